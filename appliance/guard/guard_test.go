package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/metrics"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	goleak.VerifyTestMain(m)
}

// boxd in a test: what guard sees of it so long after the start, unless it kills.
type boxd func(at time.Duration) look

func up(answers func(at time.Duration) bool) boxd {
	return func(at time.Duration) look { return look{answers(at), 100} }
}

// crashes is one that lives for so long and is back after a second.
func crashes(after time.Duration, answers bool) boxd {
	return func(at time.Duration) look {
		life := after + time.Second
		return look{answers && at%life < after, 100 + int(at/life)}
	}
}

func TestJudge(t *testing.T) {
	start := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name    string
		boxd    boxd
		length  time.Duration
		kills   int
		restart int
		first   time.Duration
	}{
		{"always", up(func(time.Duration) bool { return true }), time.Hour, 0, 0, 0},
		{"never", up(func(time.Duration) bool { return false }), 2 * time.Minute, 2, 1, 30 * time.Second},
		{"a short hang", up(func(at time.Duration) bool { return at < 10*time.Second || at >= 35*time.Second }), time.Hour, 0, 0, 0},
		{"one hang", up(func(at time.Duration) bool { return at < 10*time.Second || at >= 45*time.Second }), time.Hour, 1, 0, 35 * time.Second},
		{"a hang every six minutes", up(func(at time.Duration) bool { return at%(6*time.Minute) < 5*time.Minute+25*time.Second }), time.Hour, 10, 0, 5*time.Minute + 50*time.Second},
		{"a hang every two minutes", up(func(at time.Duration) bool { return at%(2*time.Minute) < 85*time.Second }), 6 * time.Minute, 2, 1, 110 * time.Second},
		{"crashes at every start", crashes(0, false), time.Minute, 1, 1, 30 * time.Second},
		{"answers once, then crashes", crashes(3*time.Second, true), time.Minute, 1, 1, 30 * time.Second},
		{"crashes every 20 s", crashes(19*time.Second, true), 9 * time.Minute, 0, 2, 200 * time.Second},
		{"crashes every two minutes", crashes(2*time.Minute, true), 2 * time.Hour, 0, 0, 0},
		{"is not there", func(time.Duration) look { return look{} }, 2 * time.Minute, 2, 1, 30 * time.Second},
		{"answers, /proc does not tell", func(time.Duration) look { return look{answers: true} }, time.Hour, 0, 0, 0},
		{"an update restarts it thrice", func(at time.Duration) look { return look{true, int(at / time.Minute)} }, 3 * time.Minute, 0, 0, 0},
	} {
		j, kills, restarts, first := judge{}, 0, 0, time.Duration(0)
		for at := time.Duration(0); at < tt.length; at += interval {
			switch j.check(start.Add(at), tt.boxd(at)) {
			case kill:
				kills++
			case restartBox:
				restarts++
			default:
				continue
			}
			if first == 0 {
				first = at
			}
		}
		if kills != tt.kills || restarts != tt.restart || first != tt.first {
			t.Errorf("%s: %d kills, %d restarts, the first after %v; want %d, %d, %v", tt.name, kills, restarts, first, tt.kills, tt.restart, tt.first)
		}
	}
}

func TestWatch(t *testing.T) {
	var healthy atomic.Bool
	healthy.Store(true)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !healthy.Load() {
			panic(http.ErrAbortHandler) // no answer at all
		}
		http.Error(w, "the disk is full", http.StatusServiceUnavailable) // is one
	}))
	defer web.Close()
	r := metrics.New("guard", "box1")
	w := newWatch("box1", web.URL, r)
	killed, restarted := 0, 0
	w.trial.uncommitted = func() (bool, error) { return false, nil }
	w.kill = func(box string) (int, error) { killed++; return 1, nil }
	w.find = func(string) int { return 100 }
	w.restart = func(why string) error { restarted++; return errors.New("not here") }
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	rounds := func(n int) {
		for range n {
			w.round(t.Context(), at)
			at = at.Add(interval)
		}
	}
	rounds(20)
	if killed != 0 || r.Status().Health[0].State != metrics.OK {
		t.Errorf("a boxd that answers is killed %d times: %+v", killed, r.Status().Health)
	}
	healthy.Store(false)
	rounds(20)
	if killed != 3 || restarted != 1 {
		t.Errorf("%d kills, %d restarts in 100 s", killed, restarted)
	}
	rounds(2)
	if l := r.Status().Health[0]; l.State != metrics.Failed || !strings.Contains(l.Cause, "not here") {
		t.Errorf("a restart that is due is not seen: %+v", l)
	}
	healthy.Store(true)
	rounds(1)
	if l := r.Status().Health[0]; l.State != metrics.OK {
		t.Errorf("boxd answers again: %+v", l)
	}
	healthy.Store(false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.round(ctx, at.Add(time.Hour))
	if killed != 3 {
		t.Error("it kills while it ends")
	}
}
