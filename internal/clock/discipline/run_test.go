package discipline

import (
	"context"
	"errors"
	"math"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/clock/ntp"
	"github.com/openvideobox/videobox/internal/clock/ntp/ntptest"
)

// held is a kernel on a clock that the test moves: raw is the clock itself.
type held struct {
	clk *clock.Held
	mu  sync.Mutex
	off int64
	adj Adjustment
}

func (h *held) Now() (raw, utc int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.clk.Now()
	return now, now + h.off
}
func (h *held) Synced() bool { return false }
func (h *held) Step(d time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.off += int64(d)
	return nil
}
func (h *held) Adjust(a Adjustment) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.adj = a
	return nil
}

func TestRunnerSetsTheClockAndLeavesItAtRest(t *testing.T) {
	k := &held{clk: clock.NewHeld(0), off: birth}
	asked := make(chan string, 1000)
	r := &Runner{Kernel: k, Clock: k.clk, Query: func(_ context.Context, server string) (ntp.Reading, error) {
		asked <- server
		if server == "broken" {
			return ntp.Reading{}, errors.New("broken")
		}
		return ntp.Reading{Raw: k.clk.Now(), Offset: birth + int64(time.Hour), Delay: time.Millisecond, Stratum: 1}, nil
	}}
	if r.Status() != nil {
		t.Error("a status before it runs")
	}
	r.SetServers([]string{"never"})
	r.SetServers([]string{"a", "broken"})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	for r.Status() == nil || !r.Status().Synced {
		if _, err := k.clk.Next(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if s := <-asked; s != "a" && s != "broken" {
		t.Errorf("asked %s", s)
	}
	s := r.Status()
	if s.Steps != 1 || s.Stepped != time.Hour || s.Servers[0].Offset != 0 || s.Chosen != "a" {
		t.Errorf("%+v", s)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if math.Abs(k.adj.Freq) > 1 || !k.adj.Synced {
		t.Errorf("left as %+v", k.adj)
	}
}

// A question that hangs holds up no other server, and ends with the runner.
func TestRunnerDoesNotWaitForAServerThatHangs(t *testing.T) {
	k := &held{clk: clock.NewHeld(0), off: birth}
	r := &Runner{Kernel: k, Clock: k.clk, Config: Config{Servers: []string{"hangs", "a", "b"}}}
	r.Query = func(ctx context.Context, server string) (ntp.Reading, error) {
		if server == "hangs" {
			<-ctx.Done()
			return ntp.Reading{}, ctx.Err()
		}
		return ntp.Reading{Raw: k.clk.Now(), Offset: birth, Delay: time.Millisecond, Stratum: 1}, nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	for r.Status() == nil || !r.Status().Synced {
		if _, err := k.clk.Next(ctx); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	<-done
}

var started = time.Now()

// hosts is a kernel of this host's clocks whose UTC is its own.
type hosts struct{ held }

func (r *hosts) Now() (raw, utc int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now() // both of one instant
	return int64(now.Sub(started)), now.UnixNano() + r.off
}

// TestRunnerByUDP asks three servers on loopback, of which one lies.
func TestRunnerByUDP(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	var servers []string
	for _, off := range []time.Duration{0, 3 * time.Second, 0} {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		servers = append(servers, conn.LocalAddr().String())
		s := &ntptest.Server{Now: func() int64 { return time.Now().Add(off).UnixNano() }}
		running.Go(func() { s.Serve(ctx, conn) })
	}
	k := &hosts{held{off: -int64(24 * time.Hour)}}
	client := &ntp.Client{Raw: func() int64 { raw, _ := k.Now(); return raw }}
	var mu sync.Mutex
	var slowest time.Duration // an answer is as exact as it is quick: half its delay
	query := func(ctx context.Context, server string) (ntp.Reading, error) {
		reading, err := client.Query(ctx, server)
		mu.Lock()
		defer mu.Unlock()
		slowest = max(slowest, reading.Delay)
		return reading, err
	}
	r := &Runner{Kernel: k, Clock: clock.System, Query: query, Config: Config{Servers: servers}}
	running.Go(func() { r.Run(ctx) })
	deadline := time.After(time.Minute)
	for r.Status() == nil || r.Status().Servers[1].Verdict != Liar {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			t.Fatalf("%+v", r.Status())
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if s := r.Status(); !s.Synced || s.Steps != 1 || (s.Stepped-24*time.Hour).Abs() > 100*time.Millisecond+slowest/2 {
		t.Errorf("%+v", s)
	}
}
