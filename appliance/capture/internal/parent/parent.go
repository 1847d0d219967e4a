// Package parent is the half of capture that must not stop: it owns the frame
// grid of the output, the mux, the ring and the sockets, and never touches a
// device or a codec. Pictures and sounds come from a worker process over a
// link; while the worker is away, the parent loops a slate that a short-lived
// child has encoded.
package parent

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/program"
	"github.com/openvideobox/videobox/internal/run"
	"github.com/openvideobox/videobox/internal/tee"
)

// ringSeconds is how much of the stream the ring holds at the highest bitrate
// that may be asked for, at least. VBV lets ten seconds be larger than the
// bitrate says by a tenth; the rest of the quarter is for packet headers, PCR
// and tables.
const ringSeconds = 10 * 1.25

// Config is what a capture does.
type Config struct {
	Program program.Config
	Source  string
	Name    string // of the box
	Labels
	// Follow, unless nil, calls its argument with other labels whenever there
	// are some, until the context ends. It may return nil at once.
	Follow func(context.Context, func(Labels) error) error

	SoundOffset *time.Duration // by which the sound is put later; nil: as the device needs it

	StreamAddr   string // TCP, from the newest keyframe on
	BufferedAddr string // TCP, from half the ring back
	StatusAddr   string
	Multicast    tee.Multicast // Group "": none
	BoxClock     bool          // boxd disciplines this host's clock: ask the kernel whether it is in sync

	Executable string      // this program, for its children
	Clock      clock.Clock // nil: the system's
}

// Labels are what a capture calls itself by, and can change.
type Labels struct {
	Room    string // "" when it has none
	Role    string // in the room
	Address string // that the slate shows: the box's page
}

// Parent is one running capture.
type Parent struct {
	cfg      Config
	clk      clock.Clock
	ring     *tee.Ring
	stream   *program.Stream
	slates   *slates
	workers  *workers
	servers  []*server
	sender   *tee.Sender
	reporter *metrics.Reporter
	status   *status
}

// server is one TCP port of the stream.
type server struct {
	tee  *tee.Server
	hop  *metrics.HopCounter
	ln   net.Listener
	sent uint64 // as last counted
	gone uint64
}

// Run captures until the context ends. It returns an error when a port is taken
// or the multicast can't be set up; nothing that befalls the source or the
// worker ends it.
func Run(ctx context.Context, c Config) error {
	p, err := listen(ctx, c)
	if err != nil {
		return err
	}
	g := run.NewGroup(ctx)
	for _, s := range p.servers {
		g.Go("", func(ctx context.Context) error { return s.tee.Serve(ctx, s.ln) })
	}
	if p.sender != nil {
		g.Go("multicast", p.sender.Run)
	}
	g.Go("", func(ctx context.Context) error { return run.ServeHTTP(ctx, c.StatusAddr, p.handler()) })
	g.Go("status", p.status.run)
	g.Go("stream", p.stream.Run)
	g.Go("slate", p.slates.run)
	g.Go("worker", p.workers.run)
	if c.Follow != nil {
		g.Go("", func(ctx context.Context) error { return c.Follow(ctx, p.relabel) })
	}
	slog.Info("capture", "name", c.Name, "source", c.Source, "stream", c.StreamAddr, "multicast", c.Multicast.Group, "status", c.StatusAddr)
	return g.Wait()
}

// relabel tells everybody who shows labels.
func (p *Parent) relabel(l Labels) error {
	p.reporter.SetRoom(l.Room)
	p.reporter.SetRole(l.Role)
	p.slates.relabel(l)
	p.workers.relabel(l)
	return nil
}

// listen opens the ports and puts the parts together.
func listen(ctx context.Context, c Config) (*Parent, error) {
	if err := c.Program.Check(); err != nil {
		return nil, err
	}
	if c.Program.MaxBitrate == 0 {
		c.Program.MaxBitrate = headroom * c.Program.Bitrate
	}
	p := &Parent{cfg: c, clk: c.Clock, reporter: metrics.New("capture", c.Name)}
	if p.clk == nil {
		p.clk = clock.System
	}
	bits := float64(c.Program.MaxBitrate + c.Program.AudioBitrate)
	p.ring = tee.NewRing(int(ringSeconds * bits / 8))
	p.ring.SetDelay(0) // a picture comes in one write
	p.status = newStatus(p)
	if err := p.reporter.Register(collector{p}); err != nil {
		return nil, err
	}
	p.stream = program.NewStream(c.Program, p.ring, program.Options{
		Clock:   p.clk,
		Synced:  func() bool { return clock.InSync(c.BoxClock) },
		Frame:   func(s h264.Stamp) { p.status.sent(s) },
		NeedKey: func() { p.workers.askKey() },
	})
	p.stream.SetAbsent(true)
	p.slates = newSlates(c, p.stream)
	p.workers = newWorkers(p)
	if err := p.serve(ctx); err != nil {
		p.close()
		return nil, err
	}
	if c.Multicast.Group != "" {
		p.sender = &tee.Sender{Ring: p.ring, Multicast: c.Multicast}
	}
	return p, nil
}

func (p *Parent) serve(ctx context.Context) error {
	for _, s := range []struct {
		name, addr string
		from       tee.From
	}{{"stream", p.cfg.StreamAddr, tee.Newest}, {"buffered", p.cfg.BufferedAddr, tee.HalfBack}} {
		ln, err := tee.Listen(ctx, s.addr)
		if err != nil {
			return err
		}
		hop := p.reporter.Hop(s.name, "out", "tcp", ln.Addr().String())
		hop.SetReaders(0)
		p.servers = append(p.servers, &server{tee: &tee.Server{Ring: p.ring, From: s.from}, hop: hop, ln: ln})
	}
	// The status page's port is opened by its server; look first, so that all
	// that is wrong with ports is known before anything starts.
	ln, err := run.Listen(ctx, p.cfg.StatusAddr)
	if err != nil {
		return fmt.Errorf("status: %w", err)
	}
	return ln.Close()
}

func (p *Parent) close() {
	for _, s := range p.servers {
		s.ln.Close()
	}
	p.ring.Close()
}
