package resample

import (
	"math"

	"github.com/openvideobox/videobox/internal/media"
)

// drift steers the speed at which samples are read so that they stay where
// their times put them. It is a control loop of second order, slow enough not
// to follow the jitter of the times: between the loop and the times stand two
// low-passes at ten times its bandwidth.
//
// A loop of bandwidth B that starts with no idea of a drift d lets the sound go
// off by at most d/(2πB)·0.46: at 0.02 Hz and 200 ppm, 0.7 ms.
type drift struct {
	low, lower float64 // low-passed offset, in seconds
	speed      float64 // the integral: drift as known so far, relative
	ratio      float64 // device samples per sample of the grid
	age        float64 // seconds since the start
}

const (
	// slow and fast are the loop's bandwidths in Hz, in the long run and at the
	// start, when the first time stamp may be off by its jitter.
	slow, fast = 0.02, 0.5
	// learn is the age, in seconds, at which drift begins to be learnt: before
	// it the loop is so quick that it would learn jitter.
	learn = 3
	// most is how far the ratio may be from 1: crystals are within 200 ppm, UTC
	// is slewed by at most 500, and the loop needs room to catch up.
	most = 2000e-6
	// mostSpeed bounds what is held to be drift.
	mostSpeed = 1000e-6
)

func newDrift() drift { return drift{ratio: 1} }

// again makes the loop quick for a few seconds: samples have been moved.
func (d *drift) again() {
	d.low, d.lower, d.age = 0, 0, 4
}

// update takes the offset of a block of n samples: by how many samples the sound
// lags behind its time, positive when the device is slower than it should be.
func (d *drift) update(offset float64, n int) {
	dt := float64(n) / media.SampleRate
	d.age += dt
	bandwidth := min(max(0.3/d.age, slow), fast)
	pass := 1 - math.Exp(-2*math.Pi*10*bandwidth*dt)
	d.low += pass * (offset/media.SampleRate - d.low)
	d.lower += pass * (d.low - d.lower)
	w := 2 * math.Pi * bandwidth
	if d.age > learn {
		d.speed = clamp(d.speed+w*w*d.lower*dt, mostSpeed)
	}
	d.ratio = 1 - clamp(d.speed+math.Sqrt2*w*d.lower, most)
}

func clamp(x, limit float64) float64 { return min(max(x, -limit), limit) }

// gap finds samples that were lost, or that came twice: then block after block
// is off by the same, which jitter isn't. The zero value is ready.
type gap struct {
	usual float64 // mean absolute offset of blocks that were not off, in samples
	start int64   // index of the first sample of the run of blocks that are off
	sum   float64 // of their offsets, each times its samples
	n     int     // samples in the run; 0: there is none
}

const (
	// least is what an offset must exceed to be called off, in samples: 6 ms.
	// Less than that the loop takes back within seconds. Where jitter is large
	// it is three times that, but never more than mostLeast, 15 ms.
	least, mostLeast = media.SampleRate * 6 / 1000, media.SampleRate * 15 / 1000
	// sure is for how many samples blocks must be off: 50 ms.
	sure = media.SampleRate / 20
)

// block takes the offset of n samples from index on. It says whether they are
// off; and once that is certain, by how many samples all from g.start on must be
// moved: up (silence goes before them), or down (they are cut), else 0.
func (g *gap) block(index int64, offset float64, n int) (off bool, move int64) {
	size := math.Abs(offset)
	if size <= min(max(least, 3*g.usual), mostLeast) {
		g.usual += (size - g.usual) * min(float64(n)/media.SampleRate, 1)
		g.n = 0
		return false, 0
	}
	if g.n == 0 || (offset > 0) != (g.sum > 0) {
		g.start, g.sum, g.n = index, 0, 0
	}
	g.sum += offset * float64(n)
	g.n += n
	if g.n < sure {
		return true, 0
	}
	return true, int64(math.Round(g.sum / float64(g.n)))
}
