package level

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// reading is one of ebur128's, each 100 ms.
type reading struct{ m, s, i float64 }

// ebur128 has ffmpeg measure the samples.
func ebur128(t *testing.T, pcm []int16) (readings []reading, peak float64) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("needs ffmpeg, which CI must have: %v", err)
		}
		t.Skip("needs ffmpeg: apt-get install ffmpeg")
	}
	var in, out, msg bytes.Buffer
	if err := binary.Write(&in, binary.LittleEndian, pcm); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("ffmpeg", "-hide_banner", "-nostats", "-f", "s16le", "-ar", "48000", "-ac", "2", "-i", "-",
		"-af", "ebur128=peak=true:metadata=1,ametadata=print:file=-", "-f", "null", "-")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, &msg
	if err := cmd.Run(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, msg.String())
	}
	var r reading
	for _, l := range strings.Split(out.String(), "\n") {
		key, value, _ := strings.Cut(l, "=")
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue
		}
		switch key {
		case "lavfi.r128.M":
			r.m = v
		case "lavfi.r128.S":
			r.s = v
		case "lavfi.r128.I":
			r.i = v
			readings = append(readings, r)
		}
	}
	_, summary, _ := strings.Cut(msg.String(), "True peak:")
	if _, err := fmt.Sscanf(strings.TrimSpace(summary), "Peak: %f dBFS", &peak); err != nil {
		t.Fatalf("no true peak in ffmpeg's summary: %v: %s", err, summary)
	}
	return readings, peak
}

// agree compares loudness. ffmpeg says -120.7 or -70 where there is none.
func agree(t *testing.T, what string, at int, got, want float64) bool {
	t.Helper()
	if want <= -69.9 && got <= -69.9 {
		return true
	}
	if math.Abs(got-want) > 0.1 {
		t.Errorf("%s after %.1f s: %.3f LUFS, ffmpeg says %.3f", what, float64(at)/10, got, want)
		return false
	}
	return true
}

func TestAgreesWithEBUR128(t *testing.T) {
	for name, make := range signals {
		t.Run(name, func(t *testing.T) {
			pcm := make()
			want, peak := ebur128(t, pcm)
			if len(want) < len(pcm)/2/step-1 {
				t.Fatalf("%d readings by ffmpeg for %.1f s", len(want), float64(len(pcm)/2)/rate)
			}
			m := New(0)
			for i, w := range want {
				m.Write(pcm[i*step*2 : (i+1)*step*2])
				v := m.Values()
				ok := agree(t, "momentary", i+1, v.Momentary, w.m)
				ok = agree(t, "short-term", i+1, v.ShortTerm, w.s) && ok
				ok = agree(t, "integrated", i+1, v.Integrated, w.i) && ok
				if !ok {
					return
				}
			}
			v := m.Values()
			// ffmpeg's own oversampling differs a little, and it rounds to 0.1.
			if got := max(v.MaxTruePeak[0], v.MaxTruePeak[1]); math.Abs(got-peak) > 0.3 {
				t.Errorf("true peak %.2f dBTP, ffmpeg says %.1f", got, peak)
			}
		})
	}
}

// EBU Tech 3341: a stereo sine of 1 kHz at -23 dBFS has -23 LUFS; and a sine
// whose peaks lie between samples has the true peak that it has.
func TestKnownValues(t *testing.T) {
	m := New(0)
	m.Write(signal(5, both(sine(1000, -23))))
	v := m.Values()
	for what, got := range map[string]float64{"momentary": v.Momentary, "short-term": v.ShortTerm, "integrated": v.Integrated} {
		if math.Abs(got+23) > 0.05 {
			t.Errorf("%s is %.2f LUFS, want -23", what, got)
		}
	}
	if math.Abs(v.RMS[0]+26.01) > 0.02 || math.Abs(v.TruePeak[0]+23) > 0.1 {
		t.Errorf("RMS %.2f dBFS, true peak %.2f dBTP; want -26 and -23", v.RMS[0], v.TruePeak[0])
	}
	m = New(0)
	m.Write(signals["peaks between samples"]())
	if v := m.Values(); math.Abs(v.MaxTruePeak[0]+6) > 0.3 {
		t.Errorf("true peak %.2f dBTP, want -6: samples reach only -9", v.MaxTruePeak[0])
	}
}

func TestAnyPiecesMeasureTheSame(t *testing.T) {
	pcm := signals["speech"]()
	whole, pieces := New(0), New(0)
	whole.Write(pcm)
	for i, n := 0, 2; i < len(pcm); n = n*7%4999&^1 + 2 {
		pieces.Write(pcm[i:min(i+n, len(pcm))])
		i += n
	}
	a, b := whole.Values(), pieces.Values()
	for what, d := range map[string]float64{
		"integrated": a.Integrated - b.Integrated, "momentary": a.Momentary - b.Momentary,
		"short-term": a.ShortTerm - b.ShortTerm, "peak": a.MaxTruePeak[1] - b.MaxTruePeak[1],
	} {
		if math.Abs(d) > 1e-6 {
			t.Errorf("%s differs by %g", what, d)
		}
	}
}

func TestSilence(t *testing.T) {
	tone, quiet := signal(1, both(sine(440, -20))), signal(1, both(sine(440, -70)))
	m := New(3 * time.Second)
	m.Write(tone)
	for i := 1; i <= 5; i++ {
		m.Write(quiet)
		v := m.Values()
		if want := time.Duration(i) * time.Second; v.SilentFor != want || v.Silent != (i >= 3) {
			t.Errorf("after %v: silent %v for %v", want, v.Silent, v.SilentFor)
		}
		if v.Dead != None {
			t.Errorf("%s is called dead when both are silent", v.Dead)
		}
	}
	m.Write(tone)
	if v := m.Values(); v.Silent || v.SilentFor != 0 {
		t.Errorf("with the tone back: %v for %v", v.Silent, v.SilentFor)
	}
}

func TestDeadChannel(t *testing.T) {
	s := sine(440, -20)
	right := signal(1, func(i int) (float64, float64) { return 0, s(i) })
	pause, all := signal(1, both(func(int) float64 { return 0 })), signal(1, both(s))
	m := New(3 * time.Second)
	write := func(want Channel, parts ...[]int16) {
		t.Helper()
		for _, p := range parts {
			m.Write(p)
		}
		if got := m.Values().Dead; got != want {
			t.Errorf("dead channel is %q, want %q", got, want)
		}
	}
	write(None, all, right, right)
	write(Left, pause, pause, right) // a pause neither counts nor starts over
	write(Left, pause, pause, pause, pause)
	write(None, all)
	left := signal(3, func(i int) (float64, float64) { return s(i), 0 })
	write(Right, left)
}

func TestClipping(t *testing.T) {
	m := New(0)
	loud := signal(0.5, both(sine(500, 0))) // touches full scale, for up to 3 samples
	for i := range loud {
		loud[i] = min(loud[i], 32766)
	}
	m.Write(loud)
	if v := m.Values(); v.Clipping || v.Clips[0] != 0 {
		t.Errorf("a sine below full scale: %+v", v.Clips)
	}
	m.Write(signal(0.5, func(i int) (float64, float64) { return sine(500, 6)(i), 0.1 }))
	v := m.Values()
	if !v.Clipping || v.Clips[0] < 490 || v.Clips[0] > 510 || v.Clips[1] != 0 { // two a period
		t.Errorf("an overdriven sine: clipping %v, %v", v.Clipping, v.Clips)
	}
	m.Write(signal(2.1, both(sine(500, -20))))
	if v := m.Values(); v.Clipping || v.Clips[0] == 0 {
		t.Errorf("2 s later: clipping %v, %v", v.Clipping, v.Clips)
	}
	m.Reset()
	if v := m.Values(); v.Clips[0] != 0 || v.MaxTruePeak[0] != Floor || v.Integrated != Floor || v.Momentary == Floor {
		t.Errorf("after Reset: %+v", v)
	}
}

func TestNothingIsFloorAndJSON(t *testing.T) {
	m := New(0)
	for range 2 {
		v := m.Values()
		if v.Momentary != Floor || v.ShortTerm != Floor || v.Integrated != Floor || v.RMS[1] != Floor || v.MaxTruePeak[0] != Floor {
			t.Errorf("without sound: %+v", v)
		}
		if _, err := json.Marshal(v); err != nil {
			t.Error(err)
		}
		m.Write(make([]int16, 8*rate))
	}
}

func TestWriteDoesNotAllocate(t *testing.T) {
	m, pcm := New(0), signal(1, both(noise(-20, 3)))
	if got := testing.AllocsPerRun(3, func() { m.Write(pcm); m.Values() }); got > 0 {
		t.Errorf("%v allocations a second", got)
	}
}

// A second of sound an operation.
func BenchmarkMeter(b *testing.B) {
	for _, name := range []string{"speech", "sine 997 Hz -23 dBFS", "noise, channels differ"} {
		pcm := signals[name]()[:2*rate]
		b.Run(name, func(b *testing.B) {
			m := New(0)
			b.ReportAllocs()
			for b.Loop() {
				m.Write(pcm)
			}
		})
	}
}
