package resample

import (
	"math"
	"math/rand/v2"
	"testing"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// began is a whole second.
const began = int64(1_800_000_000_000_000_000)

// rate and blockLen are the device's: 10 ms.
const (
	rate     = media.SampleRate
	blockLen = rate / 100
)

// device takes samples by a crystal of its own and gives blocks of them times
// that jitter.
type device struct {
	ppm    float64
	jitter float64 // seconds to either side
	wave   func(seconds float64) (left, right float64)
	lose   func(sample int64) int64 // how many are lost before this one; negative: come again

	rnd  *rand.Rand
	next int64 // of all samples taken, the one that comes next
	buf  []int16
}

func newDevice(ppm, jitter float64) *device {
	return &device{ppm: ppm, jitter: jitter, rnd: rand.New(rand.NewPCG(1, 2)), buf: make([]int16, blockLen*channels)}
}

// seconds is the true time of a sample since began. Its origin is not the grid's.
func (d *device) seconds(sample int64) float64 {
	return 0.0123 + float64(sample)/(rate*(1+d.ppm*1e-6))
}

// stamp loses what is to be lost, and gives the next block's first sample and
// its time.
func (d *device) stamp() (first, t int64) {
	if d.lose != nil {
		d.next += d.lose(d.next)
	}
	first = d.next
	d.next += blockLen
	return first, began + int64((d.seconds(first)+d.jitter*(2*d.rnd.Float64()-1))*1e9)
}

func (d *device) block() (t int64, samples []int16) {
	first, t := d.stamp()
	for i := range blockLen {
		l, r := d.wave(d.seconds(first + int64(i)))
		d.buf[2*i], d.buf[2*i+1] = quantize(l), quantize(r)
	}
	return t, d.buf
}

func quantize(v float64) int16 { return int16(math.Round(v * 32767)) }

// run has the device deliver for some seconds and returns what came out, from
// the second after began on.
func run(d *device, r *Resampler, seconds int) (out []int16) {
	first := media.SampleAt(began) + rate
	for range seconds * 100 {
		t, samples := d.block()
		pos, got := r.Write(t, samples, 0)
		if skip := first - pos; skip > 0 {
			got = got[min(int(skip)*channels, len(got)):]
		}
		out = append(out, got...)
	}
	return out
}

// left and right are one channel of interleaved samples, from -1 to 1.
func left(s []int16) []float64  { return channel(s, 0) }
func right(s []int16) []float64 { return channel(s, 1) }

func channel(s []int16, c int) []float64 {
	out := make([]float64, len(s)/channels)
	for i := range out {
		out[i] = float64(s[i*channels+c]) / 32768
	}
	return out
}

// leap is the largest discontinuity of a sine of hz: what the next sample is
// away from the one that the two before it foretell.
func leap(s []float64, hz float64) (most float64) {
	k := 2 * math.Cos(2*math.Pi*hz/rate)
	for i := 2; i < len(s); i++ {
		most = max(most, math.Abs(s[i]-k*s[i-1]+s[i-2]))
	}
	return most
}

// notch takes a sine of hz out, and what lies within some tens of Hz.
func notch(s []float64, hz float64) []float64 {
	w := 2 * math.Pi * hz / rate
	alpha := math.Sin(w) / (2 * 15) // Q of 15
	b1, a0, a2 := -2*math.Cos(w), 1+alpha, 1-alpha
	for range 2 {
		var x1, x2, y1, y2 float64
		out := make([]float64, len(s))
		for i, x := range s {
			y := (x + b1*x1 + x2 - b1*y1 - a2*y2) / a0
			out[i] = y
			x1, x2, y1, y2 = x, x1, y, y1
		}
		s = out
	}
	return s
}

func rms(s []float64) float64 {
	sum := 0.0
	for _, v := range s {
		sum += v * v
	}
	return math.Sqrt(sum / float64(len(s)))
}

func dB(v float64) float64 { return 20 * math.Log10(v) }

// amplitude and phase of the sine of hz in s; phase in seconds, of the sample
// number first of the time since began.
func sine(s []float64, hz float64, first int) (amplitude, seconds float64) {
	var re, im float64
	for i, v := range s {
		a := 2 * math.Pi * hz * float64(first+i) / rate
		re += v * math.Sin(a)
		im += v * math.Cos(a)
	}
	n := float64(len(s)) / 2
	return math.Hypot(re, im) / n, -math.Atan2(im, re) / (2 * math.Pi * hz)
}
