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

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
