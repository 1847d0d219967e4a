package dongle

import (
	"context"
	"errors"
	"io/fs"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/codec/jpeg"
	"github.com/openvideobox/videobox/internal/media"
)

// film makes two seconds of light grey with a tone.
func film(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "film.mkv")
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("needs ffmpeg: make deps installs it")
	}
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=c=#c0c0c0:s=320x180:r=10",
		"-f", "lavfi", "-i", "sine=f=1000:r=48000", "-t", "2", "-c:v", "mjpeg", "-c:a", "pcm_s16le", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

func TestFileIsOnTheCable(t *testing.T) {
	limit, release := context.WithTimeout(t.Context(), 30*time.Second)
	defer release()
	ctx, cancel := context.WithCancel(limit)
	held := clock.NewHeld(began)
	f, err := NewFile(ctx, film(t), held)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Wait()
	defer cancel()
	light := func(m Mode) bool {
		t.Helper()
		b, err := f.Frame(m, 0)
		if errors.Is(err, jpeg.ErrNoCgo) {
			t.Skip("needs cgo: this build has no libjpeg-turbo")
		}
		if err != nil {
			t.Fatal(err)
		}
		if m.Coding == YUYV {
			return b[m.Width*m.Height] > 150
		}
		shown := media.NewFrame(2, 2)
		if _, err := jpeg.Decode(b, shown); err != nil || shown.Width != m.Width {
			t.Fatalf("%d pixels wide, %v", shown.Width, err)
		}
		return shown.Y[len(shown.Y)/2] > 150
	}
	for _, m := range []Mode{{MJPEG, 320, 180, 10}, {YUYV, 640, 480, 15}} {
		if light(m) {
			t.Errorf("%v: light before the film began", m)
		}
		for !light(m) {
			if _, err := held.Next(ctx); err != nil {
				t.Fatalf("%v: the film never came: %v", m, err)
			}
		}
	}
	loud := false
	for range 10 { // the sound of those steps, taken later
		if _, err := held.Next(ctx); err != nil {
			t.Fatal(err)
		}
		pcm := make([]int16, 2*4800)
		f.Samples(pcm, media.SampleAt(held.Now()))
		for _, v := range pcm {
			loud = loud || v > 1000
		}
	}
	if !loud {
		t.Error("the film's tone isn't heard")
	}
}

func TestNoSuchFile(t *testing.T) {
	if _, err := NewFile(t.Context(), filepath.Join(t.TempDir(), "none.mkv"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestSlidesTurn(t *testing.T) {
	var s Slides
	m := Mode{YUYV, 320, 180, 10}
	show := func(n int64) string {
		t.Helper()
		b, err := s.Frame(m, n)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	first := show(0)
	if show(pageSeconds*10-1) != first {
		t.Error("the page turned too early")
	}
	if show(pageSeconds*10) == first {
		t.Error("the page doesn't turn")
	}
	pcm := []int16{1, 2}
	if s.Samples(pcm, 0); pcm[0] != 0 || pcm[1] != 0 {
		t.Error("slides make a noise")
	}
}
