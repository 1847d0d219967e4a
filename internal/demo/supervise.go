package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/run"
)

// supervisor starts the parts, starts them again when they die, and knows
// their state.
type supervisor struct {
	layout layout
	start  time.Time
	client *http.Client

	mu    sync.Mutex
	parts []*supervised
}

type supervised struct {
	part     part
	pid      int // 0 while it doesn't run
	restarts int
	cause    string // of the last end
	cpu      float64
	seconds  float64
	measured time.Time
	status   metrics.Status
	err      error
}

func newSupervisor(l layout) *supervisor {
	s := &supervisor{layout: l, start: time.Now(), client: &http.Client{Timeout: time.Second}}
	for _, p := range l.parts() {
		s.parts = append(s.parts, &supervised{part: p, err: errors.New("starting")})
	}
	return s
}

// run keeps everything going until ctx ends, then ends it.
func (s *supervisor) run(ctx context.Context, screen *screen) error {
	g := run.NewGroup(ctx)
	for _, p := range s.parts {
		g.Go(p.part.name, func(ctx context.Context) error { return s.keep(ctx, p) })
	}
	g.Go("", func(ctx context.Context) error {
		for tick := time.NewTicker(time.Second); ; {
			screen.show(s.views(), s.start)
			select {
			case <-ctx.Done():
				tick.Stop()
				return nil
			case <-tick.C:
				if s.ask(ctx); ctx.Err() != nil {
					return nil // what ends now isn't shown as down
				}
			}
		}
	})
	err := g.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// keep runs one part for ever.
func (s *supervisor) keep(ctx context.Context, p *supervised) error {
	log, err := s.log(p.part)
	if err != nil {
		return err
	}
	defer log.Close()
	back := run.Backoff{Min: 100 * time.Millisecond, Max: 2 * time.Second, OnRestart: func(_ uint64, cause error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		p.restarts++
		p.cause = cause.Error()
	}}
	return run.Restart(ctx, p.part.name, back, func(ctx context.Context) error {
		child := run.Child{
			Name: p.part.name, Path: filepath.Join(s.layout.bin, p.part.program), Args: p.part.args,
			Line: func(line string) { fmt.Fprintln(log, line) },
		}
		proc, err := child.Start(ctx)
		if err != nil {
			return err
		}
		s.setPID(p, proc.Pid())
		defer s.setPID(p, 0)
		return proc.Wait()
	})
}

func (s *supervisor) log(p part) (*os.File, error) {
	dir := filepath.Join(s.layout.dir, "log")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	name := strings.ReplaceAll(p.name, " ", "-") + ".log"
	return os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
}

func (s *supervisor) setPID(p *supervised, pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.pid, p.seconds, p.measured, p.status = pid, 0, time.Time{}, metrics.Status{}
}

// ask fetches every part's status, all at once.
func (s *supervisor) ask(ctx context.Context) {
	var wg sync.WaitGroup
	for _, p := range s.parts {
		wg.Go(func() {
			status, err := metrics.Fetch(ctx, s.client, "http://"+p.part.status+"/api/status")
			s.mu.Lock()
			defer s.mu.Unlock()
			if p.err = err; err == nil {
				p.status = status
			}
			p.measure(time.Now())
		})
	}
	wg.Wait()
}

// measure takes the CPU share since the measurement before, children included.
func (p *supervised) measure(now time.Time) {
	if p.pid == 0 {
		p.cpu = 0
		return
	}
	u, err := run.ProcessUsage(p.pid, true)
	if err != nil {
		return
	}
	if d := now.Sub(p.measured).Seconds(); !p.measured.IsZero() && d > 0 {
		share := (u.CPUSeconds - p.seconds) / d
		p.cpu += 0.3 * (max(share, 0) - p.cpu) // over about three seconds
	}
	p.seconds, p.measured = u.CPUSeconds, now
}

// views is a snapshot for the table.
func (s *supervisor) views() []view {
	s.mu.Lock()
	defer s.mu.Unlock()
	views := make([]view, len(s.parts))
	for i, p := range s.parts {
		views[i] = view{part: p.part, restarts: p.restarts, cause: p.cause, running: p.pid != 0, status: p.status, err: p.err, cpu: p.cpu}
	}
	return views
}
