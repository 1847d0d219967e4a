package resample

import (
	"math"
	"sync"
)

// The interpolation filter: a sinc cut off at half the sample rate by a Kaiser
// window, in phases between which it is interpolated linearly. 40 taps are flat
// to 20 kHz and 80 dB down from 28 kHz on, which is where the image of 20 kHz
// lies; what linear interpolation between 256 phases leaves is below -90 dB.
const (
	taps   = 40
	half   = taps / 2
	phases = 256
	beta   = 7.9 // of the Kaiser window: 80 dB
)

// kernel holds a phase more than there are, so that each has a next one. It is
// made by the first Resampler, not by each process that has this package in it:
// where floating point is emulated that takes a quarter of a second.
var kernel = new([phases + 1][taps]float32)

var makeKernel = sync.OnceFunc(fillKernel)

func fillKernel() {
	for p := range kernel {
		sum := 0.0
		var row [taps]float64
		for i := range row {
			// Distance of tap i from the point that is computed, which lies
			// p/phases after tap half-1.
			x := float64(i-(half-1)) - float64(p)/phases
			row[i] = sinc(x) * kaiser(x/half)
			sum += row[i]
		}
		for i := range row {
			kernel[p][i] = float32(row[i] / sum)
		}
	}
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// kaiser is the window at x from -1 to 1.
func kaiser(x float64) float64 {
	if x < -1 || x > 1 {
		return 0
	}
	return bessel(beta * math.Sqrt(1-x*x)) // the sum of a phase is made 1
}

// bessel is the modified Bessel function of the first kind, order 0.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= x / 2 / k * (x / 2 / k)
		sum += term
	}
	return sum
}

// interpolate gives both channels of interleaved samples at a point fraction
// (0 to 1) after sample half-1 of them. It touches nothing that two goroutines
// share, and the race detector would make it forty times slower.
//
//go:norace
func interpolate(s *[2 * taps]float32, fraction float64) (left, right float32) {
	at := fraction * phases
	p := min(int(at), phases-1)
	f := float32(at - float64(p))
	a, b := &kernel[p], &kernel[p+1]
	for i := range taps {
		h := a[i] + f*(b[i]-a[i])
		left += h * s[2*i]
		right += h * s[2*i+1]
	}
	return left, right
}
