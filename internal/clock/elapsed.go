package clock

import "time"

// both is what a clock has that can be set: UTC and, of the same instant, a
// time that no setting touches.
type both interface {
	both() (utc, elapsed int64)
}

// Elapsed is ns since some instant, by a clock that isn't set when c is: what
// durations are measured by. It runs at c's speed.
func Elapsed(c Clock) int64 {
	if b, ok := c.(both); ok {
		_, elapsed := b.both()
		return elapsed
	}
	return c.Now()
}

var start = time.Now()

// both takes one reading of Go's, which holds both of the kernel's clocks.
func (system) both() (utc, elapsed int64) {
	t := time.Now()
	return t.UnixNano(), int64(t.Sub(start))
}

func (h *Held) both() (utc, elapsed int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now, h.now - h.stepped
}

// Step sets the clock on by d, or back. As with the kernel's timers, who waits
// goes on waiting for as long as before.
func (h *Held) Step(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now += int64(d)
	h.stepped += int64(d)
	for c := range h.waiters {
		h.waiters[c] += int64(d)
	}
	h.announce()
}

// Steps notices that a clock has been set. It is for one goroutine.
type Steps struct {
	c   Clock
	off int64 // UTC less elapsed
}

// least is what counts as a step: more than a thread is held up between two
// readings, and than a slewed clock gains between two looks; the kernel slews
// both of its clocks alike.
const least = 20 * time.Millisecond

// NewSteps looks for steps of c from now on.
func NewSteps(c Clock) *Steps {
	s := &Steps{c: c}
	s.off = s.read()
	return s
}

func (s *Steps) read() int64 {
	if b, ok := s.c.(both); ok {
		utc, elapsed := b.both()
		return utc - elapsed
	}
	return 0
}

// Look says by how much the clock has been set since the last look; 0 if it
// hasn't.
func (s *Steps) Look() time.Duration {
	if time.Duration(s.read()-s.off).Abs() < least {
		return 0
	}
	// Once more: a thread may have been held up within the reading.
	d := time.Duration(s.read() - s.off)
	if d.Abs() < least {
		return 0
	}
	s.off += int64(d)
	return d
}
