package engine

import (
	"math"
	"testing"
)

func sine(n int, amplitude float64) []int16 {
	pcm := make([]int16, 2*n)
	for i := range pcm {
		pcm[i] = int16(amplitude * math.Sin(2*math.Pi*440*float64(i/2)/48000))
	}
	return pcm
}

func TestMixAdds(t *testing.T) {
	m := newMixer(2)
	m.gain[0], m.gain[1] = 1, 0.5
	a, b := sine(1920, 10000), sine(1920, 6000)
	out := make([]int16, len(a))
	m.mix(out, [][]int16{a, b}, []float32{1, 0.5})
	for i := range out {
		if d := int(out[i]) - int(a[i]) - int(b[i])/2; d < -1 || d > 1 {
			t.Fatalf("sample %d: %d from %d and %d", i, out[i], a[i], b[i])
		}
	}
}

func TestVolumeMovesWithoutAStep(t *testing.T) {
	m := newMixer(1)
	in := make([]int16, 2*1920)
	for i := range in {
		in[i] = 10000
	}
	out := make([]int16, len(in))
	m.mix(out, [][]int16{in}, []float32{1})
	last := int16(0)
	for i := 0; i < len(out); i += 2 {
		if d := out[i] - last; d < 0 || d > 1001 {
			t.Fatalf("step of %d at sample %d", d, i/2)
		}
		last = out[i]
	}
	if last != 10000 {
		t.Errorf("ends at %d", last)
	}
	m.mix(out, [][]int16{in}, []float32{0})
	if out[len(out)-1] != 0 {
		t.Error("muted sound is heard")
	}
}

// TestLimiterKeepsTheSumFromClipping gives three sources at full scale.
func TestLimiterKeepsTheSumFromClipping(t *testing.T) {
	m := newMixer(3)
	for i := range m.gain {
		m.gain[i] = 1
	}
	loud := sine(1920*4, 32000)
	out := make([]int16, len(loud))
	m.mix(out, [][]int16{loud, loud, loud}, []float32{1, 1, 1})
	clipped, peak := 0, 0
	for _, v := range out {
		if peak = max(peak, int(v), -int(v)); v == 32767 || v == -32768 {
			clipped++
		}
	}
	if clipped > 0 || peak < 28000 {
		t.Errorf("%d clipped samples, peak %d", clipped, peak)
	}
	// And it lets go again.
	quiet := sine(48000, 1000)
	out = make([]int16, len(quiet))
	zero := make([]int16, len(quiet))
	m.mix(out, [][]int16{quiet, zero, zero}, []float32{1, 1, 1})
	if got, want := peak16(out[len(out)-4800:]), peak16(quiet); got < want-2 {
		t.Errorf("a second later the peak is %d of %d", got, want)
	}
}

func peak16(pcm []int16) (p int) {
	for _, v := range pcm {
		p = max(p, int(v), -int(v))
	}
	return p
}

func BenchmarkMix(b *testing.B) {
	m := newMixer(2)
	in := [][]int16{sine(1920, 20000), sine(1920, 20000)}
	out := make([]int16, len(in[0]))
	for b.Loop() {
		m.mix(out, in, []float32{1, 1})
	}
}
