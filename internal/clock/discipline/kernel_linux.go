//go:build linux && (amd64 || arm64)

package discipline

import (
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the middle of struct timex's tick, in µs: nothing else may have moved
// the clock's speed.
const tick = 10_000

// Linux is the kernel's CLOCK_REALTIME, set by adjtimex(2), and
// CLOCK_MONOTONIC_RAW. It needs CAP_SYS_TIME to change anything.
type Linux struct {
	adjtimex func(*unix.Timex) (int, error) // nil: the kernel's
}

// System is this host's clock.
func System() (Kernel, error) { return &Linux{}, nil }

func (l *Linux) call(t *unix.Timex) (int, error) {
	if l.adjtimex != nil {
		return l.adjtimex(t)
	}
	return unix.Adjtimex(t)
}

// Now reads the clocks. A reading that was interrupted between them, which is
// seen by the time it took, is repeated.
func (l *Linux) Now() (raw, utc int64) {
	best := int64(math.MaxInt64)
	for range 3 {
		before := read(unix.CLOCK_MONOTONIC_RAW)
		u := read(unix.CLOCK_REALTIME)
		after := read(unix.CLOCK_MONOTONIC_RAW)
		if after-before < best {
			best, raw, utc = after-before, before+(after-before)/2, u
		}
		if best < 20_000 {
			break
		}
	}
	return raw, utc
}

// read is a clock in ns. These two exist on every Linux, so it can't fail.
func read(id int32) int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(id, &t)
	return t.Nano()
}

// Synced asks the kernel.
func (l *Linux) Synced() bool {
	var t unix.Timex
	_, err := l.call(&t)
	return err == nil && t.Status&unix.STA_UNSYNC == 0
}

// Step uses ADJ_SETOFFSET, which adds to the clock, so that no time is lost
// between reading and setting. The kernel then counts as not in sync.
func (l *Linux) Step(d time.Duration) error {
	seconds, ns := int64(d/time.Second), int64(d%time.Second)
	if ns < 0 { // the kernel wants the fraction positive
		seconds, ns = seconds-1, ns+int64(time.Second)
	}
	t := unix.Timex{Modes: unix.ADJ_SETOFFSET | unix.ADJ_NANO, Time: unix.Timeval{Sec: seconds, Usec: ns}}
	if _, err := l.call(&t); err != nil {
		return fmt.Errorf("adjtimex: step the clock by %v: %w", d, err)
	}
	return nil
}

// Adjust sets frequency and state. The kernel's own PLL stays off.
func (l *Linux) Adjust(a Adjustment) error {
	t := unix.Timex{
		Modes: unix.ADJ_FREQUENCY | unix.ADJ_TICK | unix.ADJ_STATUS | unix.ADJ_ESTERROR | unix.ADJ_MAXERROR,
		// ppm with 16 bits of a fraction.
		Freq:     int64(math.Round(a.Freq / 1000 * 65536)),
		Tick:     tick,
		Esterror: a.EstError.Microseconds(), Maxerror: a.MaxError.Microseconds(),
	}
	if !a.Synced {
		t.Status = unix.STA_UNSYNC
	}
	if _, err := l.call(&t); err != nil {
		return fmt.Errorf("adjtimex: set the clock's speed to %+.3f ppm: %w", a.Freq/1000, err)
	}
	return nil
}
