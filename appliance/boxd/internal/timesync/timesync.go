// Package timesync keeps the clock of a box: it runs internal/clock's discipline
// on the kernel's clock, with the time servers of the event, else those that the
// network names by DHCP (option 42), else a pool. On a host that isn't a box it
// does nothing: that clock is somebody else's.
package timesync

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/restart"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/clock/discipline"
	"github.com/openvideobox/videobox/internal/clock/ntp"
	"github.com/openvideobox/videobox/internal/run"
)

// Pool is asked when nobody names a time server.
var Pool = []string{"0.debian.pool.ntp.org", "1.debian.pool.ntp.org", "2.debian.pool.ntp.org", "3.debian.pool.ntp.org"}

// StateFile outlives boxd, not the box: a clock that was set since boot is never
// stepped again.
const StateFile = "/run/videobox/clock.json"

// Config of a Sync.
type Config struct {
	Pool []string      // nil: Pool
	Poll time.Duration // between two questions to one server; 0: discipline.Poll
}

// Sync keeps the clock.
type Sync struct {
	runner  *discipline.Runner
	servers *servers
	file    string
	clk     clock.Clock
}

// New keeps this host's clock. It is nil where the host isn't a box, and then
// does nothing.
func New(c Config) (*Sync, error) {
	if !restart.IsBox("/") {
		return nil, nil
	}
	kernel, err := discipline.System()
	if err != nil {
		return nil, err
	}
	client := &ntp.Client{Raw: func() int64 { raw, _ := kernel.Now(); return raw }}
	return newSync(c, kernel, clock.System, client.Query, inform, StateFile), nil
}

func newSync(c Config, k discipline.Kernel, clk clock.Clock, q discipline.Query, dhcp ask, file string) *Sync {
	if c.Pool == nil {
		c.Pool = Pool
	}
	s := &Sync{file: file, clk: clk}
	before := readState(file)
	s.runner = &discipline.Runner{Kernel: k, Clock: clk, Query: q, Config: discipline.Config{
		Poll: c.Poll, Set: before.Set, Freq: before.FreqPPM * 1000,
	}}
	s.servers = newServers(c.Pool, dhcp, s.runner.SetServers)
	return s
}

// Run keeps the clock until the context ends.
func (s *Sync) Run(ctx context.Context) error {
	if s == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	g := run.NewGroup(ctx)
	g.Go("clock", s.runner.Run)
	g.Go("time servers", func(ctx context.Context) error { return s.servers.run(ctx, s.clk) })
	g.Go("clock state", s.keepState)
	return g.Wait()
}

// SetEvent tells the servers that the event names; none is fine. Before the
// first call nobody is asked for a while.
func (s *Sync) SetEvent(names []string) {
	if s != nil {
		s.servers.event(names)
	}
}

// Status is how the clock is, nil where nobody keeps it or not yet.
func (s *Sync) Status() *Status {
	if s == nil {
		return nil
	}
	d := s.runner.Status()
	if d == nil {
		return nil
	}
	return &Status{Status: *d, From: s.servers.from()}
}

// Status is the discipline's, and where its servers are from.
type Status struct {
	discipline.Status
	From string `json:"from"` // event, DHCP or pool
}

// state is what a boxd that is started again must know.
type state struct {
	Set     bool    `json:"set"`
	FreqPPM float64 `json:"freq_ppm"`
}

func readState(file string) (s state) {
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		slog.Warn("what is known of the clock can't be read", "err", err)
	}
	return s
}

// keepState writes it when the clock has been set, and each minute.
func (s *Sync) keepState(ctx context.Context) error {
	var written state
	for n := 0; ; n++ {
		if d := s.runner.Status(); d != nil && d.Set {
			now := state{true, d.Freq}
			if !written.Set || now != written && n%60 == 0 {
				s.report(d, written)
				written = now
				if err := now.write(s.file); err != nil {
					slog.Warn("what is known of the clock can't be kept", "err", err)
				}
			}
		}
		if err := clock.Sleep(ctx, s.clk, time.Second); err != nil {
			return err
		}
	}
}

// report logs the first answer; the journal's times jump there.
func (s *Sync) report(d *discipline.Status, written state) {
	if !written.Set {
		slog.Info("the clock is set", "steps", d.Steps, "by", d.Stepped, "server", d.Chosen, "from", s.servers.from())
	}
}

func (s state) write(file string) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", b, 0o644); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// servers finds out whom to ask.
type servers struct {
	pool []string
	dhcp ask
	use  func([]string)

	mu     sync.Mutex
	named  []string // by the event
	source string
	wake   chan struct{}
}

// ask asks the network for time servers; none is no error.
type ask func(ctx context.Context) ([]string, error)

const (
	// eventPatience is how long after boot the box may take to find its event.
	eventPatience = 12 * time.Second
	// askAgain is how often the network is asked for its time servers.
	askAgain = time.Hour
	askSoon  = 15 * time.Second
)

func newServers(pool []string, dhcp ask, use func([]string)) *servers {
	return &servers{pool: pool, dhcp: dhcp, use: use, wake: make(chan struct{}, 1)}
}

func (s *servers) event(names []string) {
	s.mu.Lock()
	s.named = names
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *servers) from() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.source
}

// run uses what the event names whenever that changes. Where it names nothing,
// the network is asked, again and again: it may be there later, or be another.
func (s *servers) run(ctx context.Context, clk clock.Clock) error {
	wait := eventPatience
	for {
		reached, stop := clk.After(clk.Now() + int64(wait))
		select {
		case <-s.wake:
		case <-reached:
		case <-ctx.Done():
			stop()
			return ctx.Err()
		}
		stop()
		wait = s.choose(ctx)
	}
}

// choose sets the servers, and says when to look again.
func (s *servers) choose(ctx context.Context) time.Duration {
	s.mu.Lock()
	named := s.named
	s.mu.Unlock()
	if len(named) > 0 {
		s.set("event", named)
		return askAgain
	}
	names, err := s.dhcp(ctx)
	if len(names) > 0 {
		s.set("DHCP", names)
		return askAgain
	}
	if err == nil || s.from() != "DHCP" { // else it named some before
		s.set("pool", s.pool)
	}
	if err != nil {
		slog.Debug("no time servers by DHCP", "err", err)
		return askSoon
	}
	return askAgain
}

func (s *servers) set(source string, names []string) {
	s.mu.Lock()
	before := s.source
	s.source = source
	s.mu.Unlock()
	if before != source {
		slog.Info("time servers", "from", source, "servers", names)
	}
	s.use(names)
}
