package resample

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/media"
)

// tones are 997 Hz on the left, and on the right 12.5 Hz, whose phase tells the
// offset of the sound up to 40 ms.
const hz, slowHz = 997, 12.5

func tones(amplitude float64) func(float64) (float64, float64) {
	return func(t float64) (float64, float64) {
		return amplitude * math.Sin(2*math.Pi*hz*t), 0.5 * math.Sin(2*math.Pi*slowHz*t)
	}
}

// offsets is the sound's lateness in each 80 ms, a period, of what run gave.
func offsets(out []int16) (all []float64) {
	slow := right(out)
	for n := rate * 8 / 100; len(slow) >= n; slow = slow[n:] {
		_, late := sine(slow[:n], slowHz, rate)
		all = append(all, late)
	}
	return all
}

// TestSineComesThroughDrift is the sound of a device that is as far off as
// crystals are: on time, with nothing to hear.
func TestSineComesThroughDrift(t *testing.T) {
	for _, c := range []struct{ ppm, jitter float64 }{{200, 0.005}, {-200, 0.005}, {0, 0}, {37, 0.001}} {
		t.Run(fmt.Sprintf("%g ppm, jitter %g ms", c.ppm, c.jitter*1e3), func(t *testing.T) {
			d := newDevice(c.ppm, c.jitter)
			d.wave = tones(0.9)
			r := New()
			out := run(d, r, 40)
			if s := r.Stats(); s.Gaps != 0 || math.Abs(s.DriftPPM-c.ppm) > 60 {
				t.Errorf("%+v, want a drift of %g ppm and no gap", s, c.ppm)
			}
			late := 0.0
			for _, o := range offsets(out) {
				late = max(late, math.Abs(o))
			}
			tone := left(out)
			most := leap(tone, hz)
			clean := notch(tone, hz)[rate:]
			noise := dB(rms(clean) / rms(tone))
			t.Logf("late by %.2f ms at most; largest discontinuity %.1f dBFS; THD+N %.1f dB", late*1e3, dB(most), noise)
			if late > 0.006 {
				t.Errorf("late by %.1f ms", late*1e3)
			}
			if most > 0.001 {
				t.Errorf("a discontinuity of %.1f dBFS", dB(most))
			}
			if noise > -75 {
				t.Errorf("THD+N of %.1f dB", noise)
			}
		})
	}
}

// TestLeapIsFound shows that what looks for discontinuities finds the smallest
// there is: a sample too many, or too few.
func TestLeapIsFound(t *testing.T) {
	tone := make([]float64, rate)
	for i := range tone {
		tone[i] = 0.9 * math.Sin(2*math.Pi*hz*float64(i)/rate)
	}
	if got := leap(tone, hz); got > 1e-6 {
		t.Errorf("%g in a pure sine", got)
	}
	fewer := append(append([]float64(nil), tone[:1000]...), tone[1001:]...)
	twice := append(append([]float64(nil), tone[:1000]...), tone[999:]...)
	step := append([]float64(nil), tone...)
	for i := 1000; i < len(step); i++ {
		step[i] += 0.002
	}
	for name, s := range map[string][]float64{"a sample too few": fewer, "a sample twice": twice, "a step of -54 dBFS": step} {
		if got := leap(s, hz); got <= 0.001 {
			t.Errorf("%s: only %.1f dBFS", name, dB(got))
		}
	}
}

// TestLostSamplesBecomeSilence: what a device loses is found, faded and filled,
// and the sound is never off by more than 20 ms.
func TestLostSamplesBecomeSilence(t *testing.T) {
	for _, c := range []struct {
		lost int64 // in ms, each ten seconds; negative: samples come twice
		gaps bool
	}{{12, true}, {25, true}, {300, true}, {-12, true}, {-60, true}, {3, false}} {
		t.Run(fmt.Sprintf("%d ms", c.lost), func(t *testing.T) {
			d := newDevice(100, 0.003)
			d.wave = tones(0.9)
			blocks := 0
			d.lose = func(int64) int64 {
				if blocks++; blocks%600 == 500 {
					return c.lost * rate / 1000
				}
				return 0
			}
			r := New()
			out := run(d, r, 40)
			s := r.Stats()
			if c.gaps && s.Gaps != 6 || !c.gaps && s.Gaps > 0 {
				t.Errorf("%d gaps, of 6", s.Gaps)
			}
			want := 6 * c.lost * rate / 1000
			if got := s.Inserted - s.Cut; c.gaps && math.Abs(float64(got-want)) > 6*0.003*rate {
				t.Errorf("inserted %d samples less %d, want %d", s.Inserted, s.Cut, want)
			}
			for i, o := range offsets(out) {
				if math.Abs(o) > 0.020 && c.lost < 80 { // within 80 ms of silence nothing is measured
					t.Errorf("late by %.1f ms after %.2f s", o*1e3, 1+float64(i)*0.08)
				}
			}
			if most := leap(left(out), hz); c.gaps && most > 0.001 {
				t.Errorf("a discontinuity of %.1f dBFS", dB(most))
			}
		})
	}
}

// TestLateStampsAreNoGap: a time stamp that is off by itself, as of a process
// that was kept waiting, moves nothing.
func TestLateStampsAreNoGap(t *testing.T) {
	d := newDevice(50, 0.002)
	d.wave = tones(0.9)
	r := New()
	var out []int16
	for i := range 3000 {
		at, samples := d.block()
		if i%50 > 46 { // 30 ms in a row, each half second
			at += int64(40 * time.Millisecond)
		}
		_, got := r.Write(at, samples, 0)
		out = append(out, got...)
	}
	if s := r.Stats(); s.Gaps != 0 {
		t.Errorf("%+v", s)
	}
	if most := leap(left(out)[rate:], hz); most > 0.001 {
		t.Errorf("a discontinuity of %.1f dBFS", dB(most))
	}
}

// TestPassBandIsFlat sends sines through a device with drift.
func TestPassBandIsFlat(t *testing.T) {
	for _, f := range []float64{20, 100, 1000, 5000, 10000, 15000, 18000, 19000, 20000} {
		d := newDevice(0, 0)
		d.wave = func(t float64) (float64, float64) {
			v := 0.5 * math.Sin(2*math.Pi*f*t)
			return v, v
		}
		a, _ := sine(left(run(d, New(), 4))[rate:2*rate], f, 0)
		if gain := dB(a / 0.5); math.Abs(gain) > 0.1 {
			t.Errorf("%g Hz: %.3f dB", f, gain)
		}
	}
	// An image of 20 kHz would lie at 28 kHz, which is seen at 20 kHz again: look
	// at the filter itself.
	for _, f := range []float64{28000, 30000, 40000, 47000} {
		if got := dB(response(f)); got > -75 {
			t.Errorf("the filter lets %g Hz through with %.1f dB", f, got)
		}
	}
	if got := dB(response(20000)); math.Abs(got) > 0.1 {
		t.Errorf("the filter has %.2f dB at 20 kHz", got)
	}
}

// response is the gain of the filter as a whole, before sampling.
func response(f float64) float64 {
	var re, im float64
	for p := range phases {
		for i := range taps {
			a := 2 * math.Pi * f / rate * (float64(i-(half-1)) - float64(p)/phases)
			re += float64(kernel[p][i]) * math.Cos(a)
			im += float64(kernel[p][i]) * math.Sin(a)
		}
	}
	return math.Hypot(re, im) / phases
}

func TestStartAndEndAreFaded(t *testing.T) {
	d := newDevice(0, 0)
	d.wave = tones(0.9)
	r := New()
	at, samples := d.block()
	earliest := media.SampleAt(at) + 700 // silence has been sent up to there
	pos, out := r.Write(at, samples, earliest)
	for range 20 {
		at, samples = d.block()
		p, got := r.Write(at, samples, 0)
		if len(out) == 0 {
			pos = p
		}
		out = append(out, got...)
	}
	p, rest := r.Drain()
	if pos != earliest || p != pos+int64(len(out)/channels) {
		t.Errorf("starts at %d, want %d; the rest at %d, want %d", pos, earliest, p, pos+int64(len(out)/channels))
	}
	out = append(out, rest...)
	zero := make([]int16, 2*channels)
	tone := left(append(append(append([]int16(nil), zero...), out...), zero...))
	if most := leap(tone, hz); most > 0.001 {
		t.Errorf("a discontinuity of %.1f dBFS", dB(most))
	}
	if n, want := len(out)/channels, 21*blockLen-700; n < want-30 || n > want+30 {
		t.Errorf("%d samples, want %d", n, want)
	}
	if _, again := r.Drain(); len(again) != 0 {
		t.Error("something is left after the end")
	}
}

func TestClockThatWasSet(t *testing.T) {
	for _, by := range []time.Duration{-time.Hour, time.Hour, 5 * time.Second, -5 * time.Second} {
		d := newDevice(0, 0)
		d.wave = tones(0.9)
		r := New()
		run(d, r, 3)
		at, samples := d.block()
		at += int64(by)
		r.Write(at, samples, 0)
		if want := media.SampleAt(at); r.track.pos < want || r.track.pos > want+2 {
			t.Errorf("%v: goes on at %d, want %d", by, r.track.pos, want)
		}
		if s := r.Stats(); s.Gaps != 0 {
			t.Errorf("%v: %+v", by, s)
		}
	}
}

func TestWriteDoesNotAllocate(t *testing.T) {
	d := newDevice(150, 0.004)
	d.wave = tones(0.9)
	r := New()
	run(d, r, 5)
	if got := testing.AllocsPerRun(300, func() {
		at, samples := d.block()
		r.Write(at, samples, 0)
	}); got > 0 {
		t.Errorf("%v allocations a block", got)
	}
}

// A second of sound an operation.
func BenchmarkResample(b *testing.B) {
	d := newDevice(150, 0.004)
	d.wave = func(float64) (float64, float64) { return 0.1, 0.1 }
	r := New()
	b.ReportAllocs()
	for b.Loop() {
		for range 100 {
			_, at := d.stamp()
			r.Write(at, d.buf, 0)
		}
	}
}

// TestDigitalSilenceChangesNothing: what lies beside it comes out as from a sound
// that never pauses but for less than a step of 16 bits.
func TestDigitalSilenceChangesNothing(t *testing.T) {
	play := func(pause int16) (all []int16) {
		r := New()
		for i := range int64(200) {
			data := make([]int16, 2*480)
			for k := range data {
				n := i*480 + int64(k/2)
				if data[k] = pause; n/4800%2 == 0 {
					data[k] = int16(8000 * math.Sin(2*math.Pi*997*float64(n)/48000))
				}
			}
			_, out := r.Write(1_800_000_000_000_000_000+i*10_000_000*(1e6+100)/1e6, data, 0)
			all = append(all, out...)
		}
		return all
	}
	quiet, not := play(0), play(1)
	if len(quiet) != len(not) || len(quiet) < 180*960 {
		t.Fatalf("%d and %d values", len(quiet), len(not))
	}
	zeros := 0
	for i := range quiet {
		if d := int(quiet[i]) - int(not[i]); d > 2 || d < -2 {
			t.Fatalf("value %d is %d, beside no silence %d", i, quiet[i], not[i])
		}
		if quiet[i] == 0 {
			zeros++
		}
	}
	if zeros < len(quiet)/3 {
		t.Errorf("%d of %d are zero", zeros, len(quiet))
	}
}
