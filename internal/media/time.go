package media

import "math/bits"

const second = 1_000_000_000

// FrameTicks is the tick of frame n at a whole rate (frames a second). It is
// exact for rates that divide 90000: 10, 25, 30, 50, 60.
func FrameTicks(n int64, rate int) int64 { return mulDiv(n, TicksPerSecond, int64(rate)) }

// FrameTime is the program time of frame n, in ns, rounded down.
func FrameTime(n int64, rate int) int64 { return mulDiv(n, second, int64(rate)) }

// FrameAt is the number of the last frame whose program time is not after t ns.
func FrameAt(t int64, rate int) int64 { return mulDiv(t, int64(rate), second) }

// AACTicks is the tick of AAC frame k.
func AACTicks(k int64) int64 { return k * TicksPerAAC }

// AACAt is the number of the AAC frame that holds the instant t (ns).
func AACAt(t int64) int64 { return SampleAt(t) / SamplesPerAAC }

// SampleAt is the number of the 48 kHz sample at t ns, rounded down.
func SampleAt(t int64) int64 { return mulDiv(t, SampleRate, second) }

// SampleTime is the time in ns of 48 kHz sample s, rounded down.
func SampleTime(s int64) int64 { return mulDiv(s, second, SampleRate) }

// TicksToTime converts ticks to ns, rounded down.
func TicksToTime(ticks int64) int64 { return mulDiv(ticks, second, TicksPerSecond) }

// TimeToTicks converts ns to ticks, rounded down.
func TimeToTicks(ns int64) int64 { return mulDiv(ns, TicksPerSecond, second) }

// Wire is a tick as the 33-bit field of a PES header carries it.
func Wire(ticks int64) int64 { return ticks & wireMask }

// Unwrap is the tick nearest to near that has the given wire value.
func Unwrap(wire, near int64) int64 {
	d := (wire - near) & wireMask
	if d > wireMask/2 {
		d -= wireMask + 1
	}
	return near + d
}

// mulDiv is a*b/c for non-negative a without overflow in between: ticks and
// nanoseconds since 1970 leave no room for a product in 64 bits.
func mulDiv(a, b, c int64) int64 {
	if a < 0 {
		return -mulDiv(-a, b, c)
	}
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(q)
}
