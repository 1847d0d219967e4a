package clock

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestInSyncAsksTheKernelOnBoxesOnly(t *testing.T) {
	if !InSync(false) {
		t.Error("a host that isn't a box has a clock out of sync")
	}
	var tx unix.Timex
	if _, err := unix.Adjtimex(&tx); err != nil {
		t.Skipf("needs adjtimex: %v", err)
	}
	if want := tx.Status&unix.STA_UNSYNC == 0; InSync(true) != want {
		t.Errorf("InSync = %v with kernel status %#x", InSync(true), tx.Status)
	}
}

func TestSleepLastsByTheClock(t *testing.T) {
	h := NewHeld(0)
	done := make(chan error)
	go func() { done <- Sleep(t.Context(), h, time.Minute) }()
	if at, err := h.Next(t.Context()); err != nil || at != int64(time.Minute) {
		t.Fatalf("Next = %d, %v; want one minute", at, err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- Sleep(ctx, h, time.Minute) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Sleep with a cancelled context: %v", err)
	}
}
