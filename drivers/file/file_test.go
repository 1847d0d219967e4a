package file

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func needFFmpeg(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"ffmpeg", "ffprobe"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: apt install ffmpeg", tool)
		}
	}
}

// make encodes a test film: the picture's luma rises from frame to frame, the
// sound is a ramp of the sample number, so that a test can say which frame and
// which sample it sees.
func makeFilm(t *testing.T, name string, args ...string) string {
	t.Helper()
	needFFmpeg(t)
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("ffmpeg", append(append([]string{"-v", "error", "-y"}, args...), path)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, out)
	}
	return path
}

const (
	lumaRamp = "color=black:s=64x36:r=%s:d=%s,format=yuv420p,geq=lum='16+mod(N*4,200)':cb=128:cr=128"
	tick     = "aevalsrc='if(lt(mod(t,1),0.02),0.5,0)':s=48000:d=%s"
)

func film(t *testing.T, name, rate, videoLen, audioLen string) string {
	return makeFilm(t, name,
		"-f", "lavfi", "-i", strings.Replace(strings.Replace(lumaRamp, "%s", rate, 1), "%s", videoLen, 1),
		"-f", "lavfi", "-i", strings.Replace(tick, "%s", audioLen, 1),
		"-c:v", "ffv1", "-c:a", "pcm_s16le")
}

// recorder is a sink that notes what it gets.
type recorder struct {
	times  []int64
	luma   []byte
	same   int
	blocks []media.Samples
}

func (r *recorder) Video(f *media.Frame) {
	r.times, r.luma = append(r.times, f.Time), append(r.luma, f.Y[0])
}

func (r *recorder) Same(int64) {
	r.same++
}

func (r *recorder) Audio(s media.Samples) {
	s.Data = append([]int16(nil), s.Data...)
	r.blocks = append(r.blocks, s)
}

// play plays so many frames of the file, each as soon as ffmpeg has decoded it.
func play(t *testing.T, path string, frames int) *recorder {
	t.Helper()
	src, err := Open(path, Config{Width: 64, Height: 36, Rate: 50})
	if err != nil {
		t.Fatal(err)
	}
	rec := new(recorder)
	p := &player{src: src, sink: rec, rate: 50, length: src.info.frames(50), first: began}
	defer p.close()
	if err := p.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n := p.first; n < began+int64(frames); n++ {
		decoded(t, p)
		if err := p.step(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	return rec
}

// began is a whole second at 50 frames a second.
const began = int64(1_800_000_000 * 50)

// decoded waits until what is due next is there, at the end of a pass from the
// next one.
func decoded(t *testing.T, p *player) {
	t.Helper()
	if p.still {
		return
	}
	for _, x := range []*pass{p.now, p.next} {
		if x == nil {
			return
		}
		if err := x.ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if x.peeked != nil {
			return
		}
	}
}

func TestLoopsKeepPictureAndSoundInStep(t *testing.T) {
	for _, c := range []struct {
		name, rate, video, audio string
		frames                   int // a pass at 50 frames a second
	}{
		{"equal.mkv", "50", "1", "1", 50},
		{"sound-longer.mkv", "50", "1", "1.3", 50},
		{"sound-shorter.mkv", "50", "1", "0.7", 50},
		{"other-rate.mkv", "24", "1", "1", 50},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := play(t, film(t, c.name, c.rate, c.video, c.audio), 3*c.frames+10)
			first := rec.times[0]
			// Every pass starts with luma 16, exactly a pass apart.
			for pass := range 3 {
				at := first + media.FrameTime(int64(pass*c.frames), 50)
				if l := rec.lumaAt(at); l != 16 {
					t.Errorf("pass %d: luma %d at its first frame, want 16", pass, l)
				}
			}
			for i, at := range rec.onsets() {
				want := first + int64(i)*int64(time.Second)
				if d := math.Abs(float64(at - want)); d > 1e6 {
					t.Errorf("tick %d is %.1f ms off", i, d/1e6)
				}
			}
			if n := len(rec.onsets()); n != 4 {
				t.Errorf("%d ticks in 3 passes of a second and a bit, want 4", n)
			}
			if len(rec.times) != 3*c.frames+10 || len(rec.blocks) != len(rec.times) {
				t.Errorf("%d frames and the sound of %d, want %d", len(rec.times), len(rec.blocks), 3*c.frames+10)
			}
		})
	}
}

// lumaAt is the luma of the frame at t; when that one was late, of none.
func (r *recorder) lumaAt(t int64) int {
	for i, at := range r.times {
		if at == t {
			return int(r.luma[i])
		}
	}
	return -1
}

// onsets are the times at which sound begins after silence.
func (r *recorder) onsets() (at []int64) {
	loud := false
	for _, b := range r.blocks {
		for i := range b.Len() {
			v := b.Data[2*i]
			if v > 8000 && !loud {
				at = append(at, b.Time+media.SampleTime(int64(i)))
			}
			loud = v > 8000
		}
	}
	return at
}

// live is a sink that waits for nobody, for Run.
type live chan int64

func (l live) Video(f *media.Frame) {
	select {
	case l <- f.Time:
	default:
	}
}
func (live) Same(int64)          {}
func (live) Audio(media.Samples) {}

func TestRunGoesByTheClockAndEndsWithItsContext(t *testing.T) {
	src, err := Open(film(t, "film.mkv", "50", "1", "1"), Config{Width: 64, Height: 36, Rate: 50})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	times, done := make(live, 1), make(chan error, 1)
	go func() { done <- src.Run(ctx, times) }()
	for range 5 {
		select {
		case at := <-times:
			if at != media.FrameTime(media.FrameAt(at+1, 50), 50) || time.Now().UnixNano() < at {
				t.Errorf("a frame of %d, off the grid or before its time", at)
			}
		case err := <-done:
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
}

func TestStillPictureStays(t *testing.T) {
	path := makeFilm(t, "still.png", "-f", "lavfi", "-i", "color=red:s=80x60", "-frames:v", "1")
	rec := play(t, path, 40)
	if len(rec.times) != 1 || rec.same < 30 {
		t.Errorf("%d pictures and %d times the same, want 1 and the rest", len(rec.times), rec.same)
	}
}

func TestLetterboxOfAnotherAspect(t *testing.T) {
	path := makeFilm(t, "square.mkv", "-f", "lavfi", "-i", "color=white:s=60x60:r=50:d=1", "-c:v", "ffv1", "-pix_fmt", "yuv420p")
	rec := play(t, path, 10)
	if rec.luma[0] != 16 {
		t.Errorf("luma %d at the left edge of a square film, want a black bar", rec.luma[0])
	}
	for _, b := range rec.blocks {
		for _, v := range b.Data {
			if v != 0 {
				t.Fatal("sound out of a film without any")
			}
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	needFFmpeg(t)
	dir := t.TempDir()
	text := filepath.Join(dir, "notes.mp4")
	if err := os.WriteFile(text, []byte("no film"), 0o644); err != nil {
		t.Fatal(err)
	}
	beep := makeFilm(t, "beep.wav", "-f", "lavfi", "-i", "sine=d=0.1")
	for _, c := range []struct {
		path   string
		ffmpeg string
		want   string
		is     error
	}{
		{filepath.Join(dir, "none.mp4"), "", "no such file", fs.ErrNotExist},
		{dir, "", "not a regular file", nil},
		{text, "", "not a media file", nil},
		{beep, "", "has no picture", nil},
		{text, filepath.Join(dir, "ffmpeg"), "apt install ffmpeg", fs.ErrNotExist},
	} {
		_, err := Open(c.path, Config{Width: 64, Height: 36, Rate: 25, FFmpeg: c.ffmpeg})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want one line with %q", c.path, err, c.want)
		}
		if c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v is not %v", c.path, err, c.is)
		}
	}
}

func TestDeadDecoderIsAnError(t *testing.T) {
	path := film(t, "film.mkv", "50", "1", "1")
	dir := t.TempDir()
	broken := filepath.Join(dir, "ffmpeg")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\nhead -c 5000 /dev/zero\necho boom >&2\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	src, err := Open(path, Config{Width: 64, Height: 36, Rate: 50, FFmpeg: broken})
	if err != nil {
		t.Fatal(err)
	}
	err = src.Run(t.Context(), make(live))
	if err == nil || !strings.Contains(err.Error(), "within a frame") && !strings.Contains(err.Error(), "boom") {
		t.Errorf("Run = %v, want what became of ffmpeg", err)
	}
}
