package discipline

import "time"

// Kernel is the clock that is kept: CLOCK_REALTIME of Linux, or a test's.
type Kernel interface {
	// Now reads both clocks at one instant: raw, which is monotonic and which
	// nobody adjusts, and UTC, in ns.
	Now() (raw, utc int64)
	// Synced is whether UTC counts as in sync.
	Synced() bool
	// Step sets UTC on by d.
	Step(d time.Duration) error
	// Adjust sets UTC's speed and what the kernel says of it.
	Adjust(Adjustment) error
}

// Adjustment is the state of a kernel's clock.
type Adjustment struct {
	Freq     float64 // how much faster than the raw clock UTC runs, ppb
	Synced   bool
	EstError time.Duration // probable error
	MaxError time.Duration // the most that it can be
}
