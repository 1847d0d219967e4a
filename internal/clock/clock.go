// Package clock tells UTC in nanoseconds since 1970 and waits for instants of
// it. Programs run on System; tests hold a Held clock and move it themselves,
// so that none of them sleeps to be right. InSync says whether a box's kernel
// has a disciplined clock.
package clock

import (
	"context"
	"sync"
	"time"
)

// Clock is what pacing needs of a clock.
type Clock interface {
	// Now is UTC in ns.
	Now() int64
	// After gives a channel that is closed once Now has reached t, and a
	// function that gives the timer up; calling it twice is fine.
	After(t int64) (reached <-chan struct{}, stop func())
}

// Wait returns nil once c has reached t, or the context's error.
func Wait(ctx context.Context, c Clock, t int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.Now() >= t {
		return nil
	}
	reached, stop := c.After(t)
	defer stop()
	select {
	case <-reached:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// System is the kernel's CLOCK_REALTIME.
var System Clock = system{}

type system struct{}

func (system) Now() int64 { return time.Now().UnixNano() }

func (system) After(t int64) (<-chan struct{}, func()) {
	c := make(chan struct{})
	timer := time.AfterFunc(time.Duration(t-time.Now().UnixNano()), func() { close(c) })
	return c, func() { timer.Stop() }
}

// Held is a clock that stands still until it is moved.
type Held struct {
	mu      sync.Mutex
	now     int64
	stepped int64 // of now, by Step
	waiters map[chan struct{}]int64
	changed chan struct{} // closed and replaced whenever waiters change
}

// NewHeld is a clock that stands at now.
func NewHeld(now int64) *Held {
	return &Held{now: now, waiters: map[chan struct{}]int64{}, changed: make(chan struct{})}
}

// Now is where the clock stands.
func (h *Held) Now() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// After is reached by Set and Advance only.
func (h *Held) After(t int64) (<-chan struct{}, func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := make(chan struct{})
	if t <= h.now {
		close(c)
		return c, func() {}
	}
	h.waiters[c] = t
	h.announce()
	return c, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if _, ok := h.waiters[c]; ok {
			delete(h.waiters, c)
			h.announce()
		}
	}
}

// Set moves the clock to t and wakes who waited for it.
func (h *Held) Set(t int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = t
	for c, at := range h.waiters {
		if at <= t {
			close(c)
			delete(h.waiters, c)
		}
	}
	h.announce()
}

// Advance moves the clock on by d.
func (h *Held) Advance(d time.Duration) { h.Set(h.Now() + int64(d)) }

// Next waits until somebody waits for the clock and moves it to the earliest
// instant that is waited for. It returns that instant.
func (h *Held) Next(ctx context.Context) (int64, error) {
	first, err := h.Waited(ctx)
	if err == nil {
		h.Set(first)
	}
	return first, err
}

// Waited waits until somebody waits for the clock, and says for which instant,
// the earliest: who only does something between two waits is done with it then.
func (h *Held) Waited(ctx context.Context) (int64, error) {
	for {
		h.mu.Lock()
		first := int64(-1)
		for _, at := range h.waiters {
			if first < 0 || at < first {
				first = at
			}
		}
		changed := h.changed
		h.mu.Unlock()
		if first >= 0 {
			return first, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func (h *Held) announce() {
	close(h.changed)
	h.changed = make(chan struct{})
}
