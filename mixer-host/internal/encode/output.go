package encode

import (
	"context"
	"log/slog"
	"net"

	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/picture"
	"github.com/openvideobox/videobox/internal/program"
	"github.com/openvideobox/videobox/internal/run"
	"github.com/openvideobox/videobox/internal/tee"
)

// ringSeconds is how much a rendition's ring holds: ARCHITECTURE asks for 10 s
// at the configured rate, and the rate is an average.
const ringSeconds = 15

// output is one rendition.
type output struct {
	event.Output
	encoder *program.VideoEncoder
	stream  *program.Stream
	ring    *tee.Ring
	jobs    chan job
	gone    chan struct{} // closed when work has returned
	scaled  media.Frame   // of a rendition that isn't the mix's size
	scaler  picture.Scaler
	log     *slog.Logger

	tcp, buffered, udp *metrics.HopCounter // udp is nil without a group
}

func newOutput(out event.Output, o Options) (*output, error) {
	c := program.Config{
		Width: out.Width, Height: out.Height, Rate: o.Rate, Bitrate: out.Bitrate,
		AudioBitrate: o.AudioBitrate, Preset: o.Preset,
	}
	enc, err := program.NewVideoEncoder(c)
	if err != nil {
		return nil, err
	}
	x := &output{
		Output: out, encoder: enc, jobs: make(chan job), gone: make(chan struct{}), log: o.Log,
		ring:     tee.NewRing((out.Bitrate + o.AudioBitrate) / 8 * ringSeconds),
		tcp:      o.Reporter.Hop(out.Name, "out", "tcp", out.TCPAddr),
		buffered: o.Reporter.Hop(out.Name+" buffered", "out", "tcp", out.BufferedTCPAddr),
	}
	if out.Multicast != "" {
		x.udp = o.Reporter.Hop(out.Name+" multicast", "out", "udp", out.Multicast)
	}
	// The mix is written whether or not anybody reads it: it must never stall.
	x.stream = program.NewStream(c, x.ring, program.Options{Clock: o.Clock, Frame: x.sent, NeedKey: func() {}})
	return x, nil
}

func (x *output) close() {
	x.encoder.Close()
	x.ring.Close()
}

// sent counts a frame that has gone into the ring.
func (x *output) sent(s h264.Stamp) {
	for _, h := range []*metrics.HopCounter{x.tcp, x.buffered, x.udp} {
		if h != nil {
			h.Frame(s.Capture)
		}
	}
}

// work encodes until the context ends. A job that has begun is finished.
func (x *output) work(ctx context.Context) error {
	defer close(x.gone)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case j := <-x.jobs:
			if err := x.do(j); err != nil {
				return err
			}
		}
	}
}

// give hands a job to work; when that has ended, it counts as done.
func (x *output) give(j job) {
	select {
	case x.jobs <- j:
	case <-x.gone:
		j.done()
	}
}

func (x *output) do(j job) error {
	defer j.done()
	return x.encode(j)
}

func (x *output) encode(j job) error {
	f := j.mix
	if f.Width != x.Width || f.Height != x.Height {
		x.scaled.Reset(x.Width, x.Height)
		x.scaler.Scale(&x.scaled, f, picture.Whole(&x.scaled))
		f = &x.scaled
	}
	data, key, err := x.encoder.Encode(f, j.meta.Frame, false)
	if err != nil {
		return err
	}
	return x.stream.Picture(program.Picture{
		Frame: j.meta.Frame, Capture: j.meta.Capture, Flags: flags(j.meta), Key: key, Data: data,
	})
}

// serve serves the ring at the rendition's addresses.
func (x *output) serve(ctx context.Context) error {
	g := run.NewGroup(ctx)
	for _, s := range []struct {
		addr string
		from tee.From
		hop  *metrics.HopCounter
	}{{x.TCPAddr, tee.Newest, x.tcp}, {x.BufferedTCPAddr, tee.HalfBack, x.buffered}} {
		l, err := run.Listen(ctx, event.Listen(s.addr))
		if err != nil {
			g.Stop()
			_ = g.Wait()
			return err
		}
		g.Go("", func(ctx context.Context) error { return x.serveTCP(ctx, l, s.from, s.hop) })
	}
	if x.udp != nil {
		g.Go("multicast "+x.Multicast, x.send)
	}
	return g.Wait()
}

func (x *output) serveTCP(ctx context.Context, l net.Listener, from tee.From, hop *metrics.HopCounter) error {
	hop.SetReaders(0)
	s := &tee.Server{Ring: x.ring, From: from, Log: x.log, OnSent: hop.Add, OnReaders: hop.AddReaders, OnLapped: hop.Drop}
	return s.Serve(ctx, l)
}

func (x *output) send(ctx context.Context) error {
	s := &tee.Sender{
		Ring: x.ring, Multicast: tee.Multicast{Group: x.Multicast, Interface: x.Interface, TTL: x.TTL}, Log: x.log,
		OnSent: x.udp.Add, OnFailed: x.udp.Drop,
	}
	return s.Run(ctx)
}
