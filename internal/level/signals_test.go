package level

import (
	"math"

	"github.com/openvideobox/videobox/internal/media"
)

const rate = media.SampleRate

// signal makes seconds of stereo from a function of the sample's number that
// gives left and right in -1..1.
func signal(seconds float64, fn func(i int) (l, r float64)) []int16 {
	pcm := make([]int16, 2*int(seconds*rate))
	for i := range len(pcm) / 2 {
		l, r := fn(i)
		pcm[2*i], pcm[2*i+1] = sample(l), sample(r)
	}
	return pcm
}

func sample(v float64) int16 {
	return int16(math.Round(math.Max(math.Min(v*32768, 32767), -32768)))
}

func amplitude(dbfs float64) float64 { return math.Pow(10, dbfs/20) }

func sine(hz, dbfs float64) func(int) float64 {
	a := amplitude(dbfs)
	return func(i int) float64 { return a * math.Sin(2*math.Pi*hz*float64(i)/rate) }
}

func both(fn func(int) float64) func(int) (float64, float64) {
	return func(i int) (float64, float64) { v := fn(i); return v, v }
}

// fade lets a signal begin within 50 ms: what a step makes of interpolation
// filters is the filters' own matter.
func fade(fn func(int) float64) func(int) float64 {
	return func(i int) float64 { return fn(i) * math.Min(float64(i)/(rate/20), 1) }
}

// noise is pink-like noise: white noise through three leaky integrators.
func noise(dbfs float64, seed uint32) func(int) float64 {
	var a, b, c float64
	g := amplitude(dbfs)
	return func(int) float64 {
		seed = seed*1664525 + 1013904223
		w := float64(int32(seed)) / (1 << 31)
		a = 0.997*a + 0.029*w
		b = 0.985*b + 0.032*w
		c = 0.950*c + 0.048*w
		return g * (a + b + c + 0.05*w) * 3
	}
}

// speech is bursts of a voiced sound of changing pitch and level, 3 to 5 a
// second, with pauses between sentences.
func speech(dbfs float64) func(int) float64 {
	hiss := noise(dbfs-12, 99)
	a, phase := amplitude(dbfs), 0.0
	return func(i int) float64 {
		t := float64(i) / rate
		n := hiss(i)
		if math.Mod(t, 5) > 3.8 {
			return n * 0.01
		}
		pitch := 110 + 30*math.Sin(2*math.Pi*0.7*t)
		phase += 2 * math.Pi * pitch / rate
		burst := math.Max(math.Sin(2*math.Pi*3.7*t)+0.3*math.Sin(2*math.Pi*1.3*t), 0)
		v := 0.0
		for k := 1.0; k <= 20; k++ {
			v += math.Sin(k*phase) / (1 + math.Abs(k-5))
		}
		return burst * (a*v*0.4 + n)
	}
}

// signals are what the meter is compared on.
var signals = map[string]func() []int16{
	"sine 997 Hz -23 dBFS": func() []int16 { return signal(12, both(sine(997, -23))) },
	"sine 100 Hz -10 dBFS": func() []int16 { return signal(8, both(sine(100, -10))) },
	"sine 8 kHz, left only": func() []int16 {
		s := fade(sine(8000, -14))
		return signal(8, func(i int) (float64, float64) { return s(i), 0 })
	},
	// EBU Tech 3341 test 3: the relative gate drops the quiet parts.
	"sine in three levels": func() []int16 {
		return signal(30, func(i int) (float64, float64) {
			db := -36.0
			if i/rate >= 5 && i/rate < 25 {
				db = -23
			}
			v := sine(1000, db)(i)
			return v, v
		})
	},
	"noise, channels differ": func() []int16 {
		l, r := noise(-14, 1), noise(-26, 2)
		return signal(12, func(i int) (float64, float64) { return l(i), r(i) })
	},
	"speech": func() []int16 { return signal(20, both(speech(-16))) },
	"gated silence": func() []int16 {
		n := noise(-20, 5)
		return signal(20, func(i int) (float64, float64) {
			v := n(i)
			if i/(4*rate)%2 == 1 {
				return 0, 0
			}
			return v, v
		})
	},
	"quiet noise near the gate": func() []int16 { return signal(10, both(noise(-58, 7))) },
	// Samples at 0.707 of a sine of a quarter of the rate: its peaks lie
	// between them.
	"peaks between samples": func() []int16 {
		a := amplitude(-6)
		return signal(5, both(fade(func(i int) float64 { return a * math.Sin(math.Pi/4+math.Pi/2*float64(i)) })))
	},
}
