package resample

import (
	"math"

	"github.com/openvideobox/videobox/internal/media"
)

// track is where the sound stands: which device sample belongs to which sample
// of the grid. Device samples are counted by an index from the start on, after
// samples were inserted or cut. A block is judged first, then added, and then
// what is ready is read.
type track struct {
	drift drift
	gap   gap

	end  int64 // index of the next sample that comes
	skip int64 // samples still to be left out of what comes

	// The next sample to give is number pos of the grid; it lies fraction after
	// index at.
	pos      int64
	at       int64
	fraction float64
}

// newTrack starts with a block of time t (UTC ns), giving nothing before number
// earliest of the grid.
func newTrack(t, earliest int64) track {
	k := track{drift: newDrift(), pos: media.SampleAt(t + 500_000_000/media.SampleRate)}
	if late := earliest - k.pos; late > 0 {
		k.pos, k.skip = earliest, late
	}
	return k
}

// offset says by how many samples a block that comes now, of time t, lies behind
// where t puts it.
func (k *track) offset(t int64) float64 {
	// Grid samples from pos to t; both are too large for a float64.
	whole := media.SampleAt(t)
	part := float64(t-media.SampleTime(whole)) * media.SampleRate / 1e9
	grid := float64(whole-k.pos) + part
	return float64(k.at-(k.end-k.skip)) + k.fraction + grid*k.drift.ratio
}

// judge steers by a block of n samples that comes at offset. It returns the
// index up to which samples may be read; and, when samples were lost or doubled,
// from which index on they must be moved by how many.
func (k *track) judge(offset float64, n int) (limit, from, move int64) {
	off, move := k.gap.block(k.end, offset, n)
	switch {
	case !off:
		k.drift.update(offset, n)
		return math.MaxInt64, 0, 0
	case move == 0:
		return k.gap.start, 0, 0 // wait and see
	}
	k.gap.n = 0
	k.drift.again()
	return math.MaxInt64, k.gap.start, move
}

// add counts n samples that have come, and says how many of them to leave out.
func (k *track) add(n int64) (cut int64) {
	cut = min(k.skip, n)
	k.skip -= cut
	k.end += n - cut
	return cut
}

// next goes on by one sample of the grid.
func (k *track) next() {
	k.pos++
	k.at++
	k.fraction += k.drift.ratio - 1
	if k.fraction >= 1 {
		k.fraction--
		k.at++
	} else if k.fraction < 0 {
		k.fraction++
		k.at--
	}
}
