package aac

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"

	goaac "github.com/tphakala/go-aac"

	"github.com/openvideobox/videobox/internal/media"
)

// decode has ffmpeg decode raw frames and returns interleaved samples.
func decode(t *testing.T, frames [][]byte) []int16 {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("needs ffmpeg, which CI must have: %v", err)
		}
		t.Skip("needs ffmpeg: apt-get install ffmpeg")
	}
	var in, out, msg bytes.Buffer
	for _, f := range frames {
		head, err := goaac.AppendADTSHeader(nil, media.SampleRate, media.Channels, len(f))
		if err != nil {
			t.Fatal(err)
		}
		in.Write(head)
		in.Write(f)
	}
	cmd := exec.Command("ffmpeg", "-v", "warning", "-f", "aac", "-i", "-", "-f", "s16le", "-")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, &msg
	if err := cmd.Run(); err != nil || strings.Contains(msg.String(), "rror") {
		t.Fatalf("ffmpeg: %v: %s", err, msg.String())
	}
	pcm := make([]int16, out.Len()/2)
	if err := binary.Read(&out, binary.LittleEndian, pcm); err != nil {
		t.Fatal(err)
	}
	return pcm
}

// encode codes interleaved samples, whole blocks, and flushes with silence.
func encode(t testing.TB, bitrate int, pcm []int16) [][]byte {
	t.Helper()
	e, err := NewEncoder(bitrate)
	if err != nil {
		t.Fatal(err)
	}
	const block = Block * media.Channels
	pcm = append(pcm[:len(pcm):len(pcm)], make([]int16, Lag*block)...)
	var frames [][]byte
	for i := 0; i+block <= len(pcm); i += block {
		f, err := e.Encode(pcm[i : i+block])
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 && len(f) != 0 {
			t.Fatalf("the first block gave a frame of %d bytes", len(f))
		}
		if i > 0 && len(f) == 0 {
			t.Fatalf("block %d gave no frame", i/block)
		}
		if i > 0 {
			frames = append(frames, bytes.Clone(f))
		}
	}
	return frames
}

func sine(pcm []int16, hz, amplitude float64) {
	for i := range len(pcm) / 2 {
		v := int16(amplitude * math.Sin(2*math.Pi*hz*float64(i)/media.SampleRate))
		pcm[2*i], pcm[2*i+1] = v, v
	}
}

// An impulse comes out Delay samples later, to the sample; so frame j of the
// encoder carries block j-1, and what Encode returned for block i carries i-Lag.
func TestDelayIsWhatADecoderShows(t *testing.T) {
	const at = 10*Block + 300
	pcm := make([]int16, 20*Block*2)
	pcm[2*at], pcm[2*at+1] = 30000, 30000
	got := decode(t, encode(t, 192_000, pcm))
	peak, where := 0, 0
	for i := range len(got) / 2 {
		if v := int(got[2*i]); v > peak {
			peak, where = v, i
		}
	}
	if where-at != Delay {
		t.Errorf("impulse at %d came out at %d: delay %d, want %d", at, where, where-at, Delay)
	}
	if peak < 10000 {
		t.Errorf("peak is %d of 30000", peak)
	}
	if Lag != 2 {
		t.Errorf("Lag is %d, want 2", Lag)
	}
}

func TestSilenceIsSilent(t *testing.T) {
	frames := make([][]byte, 20)
	for i := range frames {
		frames[i] = Silence()
	}
	pcm := decode(t, frames)
	if len(pcm) != 20*Block*2 {
		t.Fatalf("%d samples from 20 frames", len(pcm)/2)
	}
	for i, v := range pcm {
		if v != 0 {
			t.Fatalf("sample %d is %d", i/2, v)
		}
	}
}

// Silence between live frames: after the fading half of the frame before, zero;
// and nowhere a step larger than the tone itself makes.
func TestSilenceBetweenLiveFramesDoesNotClick(t *testing.T) {
	const amplitude, hz = 12000.0, 440.0
	pcm := make([]int16, 30*Block*2)
	sine(pcm, hz, amplitude)
	frames := encode(t, 128_000, pcm)
	for i := 10; i < 15; i++ {
		frames[i] = Silence()
	}
	got := decode(t, frames)
	for i := 11 * Block; i < 15*Block; i++ {
		if v := got[2*i]; v != 0 {
			t.Fatalf("sample %d, in the silence, is %d", i, v)
		}
	}
	// Not before block 2: the tone starts at once there.
	limit := amplitude * 2 * math.Pi * hz / media.SampleRate * 1.5
	for i := 2 * Block; i < 28*Block; i++ {
		if step := math.Abs(float64(got[2*i]) - float64(got[2*i-2])); step > limit {
			t.Fatalf("step of %.0f at sample %d, the tone's own are below %.0f", step, i, limit)
		}
	}
}

func TestToneKeepsItsLevel(t *testing.T) {
	pcm := make([]int16, 40*Block*2)
	sine(pcm, 1000, 8000)
	got := decode(t, encode(t, 128_000, pcm))
	sum := 0.0
	const from, to = 10 * Block, 30 * Block
	for i := from; i < to; i++ {
		sum += float64(got[2*i]) * float64(got[2*i])
	}
	if rms, want := math.Sqrt(sum/(to-from)), 8000/math.Sqrt2; math.Abs(rms-want) > want*0.02 {
		t.Errorf("level %.0f, want %.0f", rms, want)
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, rate := range []int{-1, 0, 8000, 1_000_000} {
		if _, err := NewEncoder(rate); err == nil {
			t.Errorf("bitrate %d is accepted", rate)
		}
	}
	e, err := NewEncoder(128_000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Encode(make([]int16, 100)); err == nil {
		t.Error("a short block is accepted")
	}
}

func TestBitrateIsKept(t *testing.T) {
	pcm := make([]int16, 200*Block*2)
	seed := uint32(7)
	for i := range pcm {
		seed = seed*1664525 + 1013904223
		pcm[i] = int16(seed>>16) / 4
	}
	total := 0
	frames := encode(t, 128_000, pcm)
	for _, f := range frames {
		total += len(f)
	}
	got := total * 8 * media.SampleRate / (len(frames) * Block)
	if got < 90_000 || got > 150_000 {
		t.Errorf("%d bit/s of noise, asked for 128000", got)
	}
}

func TestEncodeDoesNotAllocate(t *testing.T) {
	e, err := NewEncoder(128_000)
	if err != nil {
		t.Fatal(err)
	}
	pcm := make([]int16, Block*2)
	sine(pcm, 700, 9000)
	step := func() {
		if _, err := e.Encode(pcm); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		step()
	}
	if got := testing.AllocsPerRun(100, step); got > 0 {
		t.Errorf("%v allocations a frame", got)
	}
}

func BenchmarkEncode(b *testing.B) {
	e, err := NewEncoder(128_000)
	if err != nil {
		b.Fatal(err)
	}
	pcm := make([]int16, Block*2)
	sine(pcm, 700, 9000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Encode(pcm); err != nil {
			b.Fatal(err)
		}
	}
}

// TestSilenceIsNotCodedAgain: a tone, three seconds of zeros, a tone. What a
// decoder makes of it is the same as when every block of it is coded, but for
// the encoder's own mood; the silence is silent, and nothing clicks.
func TestSilenceIsNotCodedAgain(t *testing.T) {
	const from, to = 20, 160 // blocks of silence
	pcm := make([]int16, 200*Block*2)
	sine(pcm, 440, 12000)
	clear(pcm[from*Block*2 : to*Block*2])
	e, err := NewEncoder(128_000)
	if err != nil {
		t.Fatal(err)
	}
	var frames [][]byte
	skipped := 0
	for i := range len(pcm) / (Block * 2) {
		f, err := e.Encode(pcm[i*Block*2 : (i+1)*Block*2])
		if err != nil {
			t.Fatal(err)
		}
		if len(f) > 0 {
			if bytes.Equal(f, e.silence) {
				skipped++
			}
			frames = append(frames, bytes.Clone(f))
		}
	}
	if want := to - from - settled; skipped < want {
		t.Errorf("%d frames of silence, want at least %d", skipped, want)
	}
	got := decode(t, frames)
	for i := (from + 3) * Block; i < (to-1)*Block; i++ {
		if v := got[2*i]; v > 8 || v < -8 {
			t.Fatalf("sample %d, in the silence, is %d", i, v)
		}
	}
	errs := 0.0
	for i := (to + 3) * Block; i < 196*Block; i++ {
		d := float64(got[2*(i+Delay)]) - float64(pcm[2*i])
		errs += d * d
	}
	if rms := math.Sqrt(errs / float64(193*Block-to*Block)); rms > 200 {
		t.Errorf("the tone after the silence is off by %.0f rms of 12000", rms)
	}
}
