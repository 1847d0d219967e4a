package clock

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHeldWakesInOrder(t *testing.T) {
	h := NewHeld(100)
	early, _ := h.After(150)
	late, stop := h.After(300)
	if past, _ := h.After(100); !closed(past) {
		t.Error("an instant that has been is not reached")
	}
	at, err := h.Next(t.Context())
	if err != nil || at != 150 || h.Now() != 150 {
		t.Fatalf("Next = %d, %v, clock at %d; want 150", at, err, h.Now())
	}
	if !closed(early) || closed(late) {
		t.Error("150 wakes the first waiter only")
	}
	stop()
	stop()
	h.Set(400)
	if closed(late) {
		t.Error("a stopped timer fired")
	}
}

func TestNextWaitsForAWaiter(t *testing.T) {
	h := NewHeld(0)
	done := make(chan error)
	go func() { done <- Wait(t.Context(), h, 7) }()
	if at, err := h.Next(t.Context()); err != nil || at != 7 {
		t.Fatalf("Next = %d, %v", at, err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next without waiters: %v", err)
	}
}

func TestSystemReachesAnInstant(t *testing.T) {
	at := System.Now() + int64(2*time.Millisecond)
	if err := Wait(t.Context(), System, at); err != nil {
		t.Fatal(err)
	}
	if System.Now() < at {
		t.Error("woken too early")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Wait(ctx, System, at+int64(time.Hour)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled wait: %v", err)
	}
}

func TestStepsAreNoticedAndTimersAreNot(t *testing.T) {
	h := NewHeld(1000)
	steps := NewSteps(h)
	reached, stop := h.After(2000)
	defer stop()
	for _, d := range []time.Duration{50 * 365 * 24 * time.Hour, -3 * time.Second, 300 * time.Millisecond} {
		before := Elapsed(h)
		h.Step(d)
		if Elapsed(h) != before {
			t.Errorf("a step of %v has taken %d ns", d, Elapsed(h)-before)
		}
		if got := steps.Look(); got != d {
			t.Errorf("a step of %v is noticed as %v", d, got)
		}
		if got := steps.Look(); got != 0 || closed(reached) {
			t.Errorf("after it: %v, timer %v", got, closed(reached))
		}
	}
	h.Advance(999)
	if closed(reached) || steps.Look() != 0 {
		t.Error("999 ns are not 1000, and no step")
	}
	h.Advance(1)
	if !closed(reached) {
		t.Error("the timer is over")
	}
}

func TestSystemElapsesWithoutSteps(t *testing.T) {
	steps := NewSteps(System)
	began := Elapsed(System)
	for range 1000 {
		if d := steps.Look(); d != 0 {
			t.Fatalf("a step of %v", d)
		}
	}
	if Elapsed(System) <= began {
		t.Error("no time has passed")
	}
	if p := (plain{}); Elapsed(p) != 7 || NewSteps(p).Look() != 0 {
		t.Error("a clock that can't be set has steps")
	}
}

// plain is a clock that tells UTC only.
type plain struct{ Clock }

func (plain) Now() int64 { return 7 }

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
