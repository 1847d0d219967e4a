package timesync

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/clock/discipline"
	"github.com/openvideobox/videobox/internal/clock/ntp"
	"github.com/openvideobox/videobox/internal/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var utc = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC).UnixNano()

// kernel runs on a held clock as its raw one.
type kernel struct {
	clk *clock.Held
	mu  sync.Mutex
	off int64
	adj discipline.Adjustment
}

func (k *kernel) Now() (raw, utc int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.clk.Now(), k.clk.Now() + k.off
}
func (k *kernel) Synced() bool { return true }
func (k *kernel) Step(d time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.off += int64(d)
	return nil
}
func (k *kernel) Adjust(a discipline.Adjustment) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.adj = a
	return nil
}

// bench is a box whose network answers.
type bench struct {
	t      *testing.T
	k      *kernel
	s      *Sync
	silent func() bool
	file   string
}

func newBench(t *testing.T, file string, dhcp ask) *bench {
	b := &bench{t: t, k: &kernel{clk: clock.NewHeld(0)}, silent: func() bool { return false }, file: file}
	b.s = newSync(Config{Pool: []string{"pool"}}, b.k, b.k.clk, func(_ context.Context, server string) (ntp.Reading, error) {
		if b.silent() {
			return ntp.Reading{}, errors.New("no answer within 1s")
		}
		return ntp.Reading{Raw: b.k.clk.Now(), Offset: utc, Delay: time.Millisecond, Stratum: 1}, nil
	}, dhcp, file)
	return b
}

// run goes on until ok, or gives up.
func (b *bench) run(what string, ok func(*Status) bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Second)
	defer cancel()
	for s := b.s.Status(); s == nil || !ok(s); s = b.s.Status() {
		if _, err := b.k.clk.Next(ctx); err != nil {
			b.t.Fatalf("%s: never: %+v", what, b.s.Status())
		}
	}
}

func (b *bench) start() {
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error)
	go func() { done <- b.s.Run(ctx) }()
	b.t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			b.t.Errorf("Run: %v", err)
		}
	})
}

func noDHCP(context.Context) ([]string, error) { return nil, nil }

func TestABoxGetsItsTimeOnceAndRemembersThat(t *testing.T) {
	file := filepath.Join(t.TempDir(), "videobox", "clock.json")
	b := newBench(t, file, noDHCP)
	b.s.SetEvent([]string{"time.example"})
	b.start()
	b.run("in sync", func(s *Status) bool { return s.Synced })
	if s := b.s.Status(); s.From != "event" || s.Chosen != "time.example" || s.Steps != 1 {
		t.Errorf("%+v", s)
	}
	b.run("written", func(*Status) bool { return readState(file).Set })

	again := newBench(t, file, noDHCP)
	again.s.SetEvent([]string{"time.example"})
	again.start()
	again.run("known to be wrong", func(s *Status) bool { return s.Chosen != "" && !s.Synced })
	if s := again.s.Status(); s.Steps != 0 {
		t.Errorf("a clock that was set since boot: %+v", s)
	}
}

func TestWhoseServersAreAsked(t *testing.T) {
	var mu sync.Mutex
	var dhcp []string
	var broken error
	b := newBench(t, filepath.Join(t.TempDir(), "clock.json"), func(context.Context) ([]string, error) {
		mu.Lock()
		defer mu.Unlock()
		return dhcp, broken
	})
	uses := func(from, server string) func(*Status) bool {
		return func(s *Status) bool {
			return s.From == from && slices.ContainsFunc(s.Servers, func(v discipline.Server) bool { return v.Name == server })
		}
	}
	set := func(names []string, err error) {
		mu.Lock()
		defer mu.Unlock()
		dhcp, broken = names, err
	}
	set(nil, errors.New("no network"))
	b.start()
	b.run("pool", uses("pool", "pool"))
	if now := time.Duration(b.k.clk.Now()); now < eventPatience {
		t.Errorf("the pool after %v, the event may take %v", now, eventPatience)
	}
	set([]string{"192.0.2.1"}, nil)
	b.run("DHCP", uses("DHCP", "192.0.2.1"))
	b.s.SetEvent([]string{"time.example"})
	b.run("event", uses("event", "time.example"))
	b.s.SetEvent(nil)
	b.run("DHCP", uses("DHCP", "192.0.2.1"))
	set(nil, nil)
	b.s.SetEvent(nil)
	b.run("pool", uses("pool", "pool"))
}

func TestLeafAndMetrics(t *testing.T) {
	var mu sync.Mutex
	silent := true
	b := newBench(t, filepath.Join(t.TempDir(), "clock.json"), noDHCP)
	b.silent = func() bool { mu.Lock(); defer mu.Unlock(); return silent }
	b.s.SetEvent([]string{"a", "b"})
	b.start()
	is := func(state metrics.State, cause string) func(*Status) bool {
		return func(s *Status) bool {
			f := s.Finding()
			return f.State == state && strings.HasPrefix(f.Cause, cause)
		}
	}
	b.run("no time yet", is(metrics.Failed, "not in sync: no time server has answered yet (a: no answer within 1s)"))
	set := func(v bool) { mu.Lock(); defer mu.Unlock(); silent = v }
	set(false)
	b.run("time", is(metrics.OK, ""))
	if f := b.s.Status().Finding(); !strings.Contains(f.Value, "ms, by ") {
		t.Errorf("value %q", f.Value)
	}
	samples := gather(t, b.s)
	if samples["videobox_clock_synced"] != 1 || samples["videobox_clock_steps_total"] != 1 || samples["videobox_clock_server_state"] != 2 {
		t.Errorf("%v", samples)
	}
	for _, name := range []string{"offset", "jitter", "delay", "estimated_error", "maximum_error", "last_answer_age", "server_offset", "server_delay"} {
		if _, ok := samples["videobox_clock_"+name+"_seconds"]; !ok {
			t.Errorf("no %s: %v", name, samples)
		}
	}
	set(true)
	b.run("time lost", is(metrics.Failed, "time lost: for "))
	set(false)
	b.run("time again", is(metrics.OK, ""))
}

// gather sums the metrics of each name.
func gather(t *testing.T, s *Sync) map[string]float64 {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(s)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			sums[f.GetName()] += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return sums
}

func TestAHostThatIsNoBoxIsLeftAlone(t *testing.T) {
	s, err := New(Config{})
	if err != nil || s != nil {
		t.Fatalf("%v, %v: these tests don't run on a box", s, err)
	}
	s.SetEvent([]string{"a"})
	if s.Status() != nil || len(gather(t, s)) != 0 {
		t.Error("a status of a clock that nobody keeps")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestDamagedStateIsNoState(t *testing.T) {
	file := filepath.Join(t.TempDir(), "clock.json")
	if err := os.WriteFile(file, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if s := readState(file); s.Set {
		t.Errorf("%+v", s)
	}
}
