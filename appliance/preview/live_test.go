package main

import (
	"context"
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/boxtest"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/run/runtest"
	"github.com/openvideobox/videobox/internal/tee"
)

// reader is anybody who reads the stream.
type reader struct {
	mu       sync.Mutex
	captured map[int64]int64 // when a keyframe's picture was made, by its number
	last     uint64
	frames   int
	gaps     []string
}

func (r *reader) Audio(media.Unit) {}

func (r *reader) Video(u media.Unit) {
	s, ok := h264.FindStamp(u.Data)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frames++; r.last != 0 && s.Frame != r.last+1 {
		r.gaps = append(r.gaps, fmt.Sprintf("%d after %d", s.Frame, r.last))
	}
	r.last = s.Frame
	if u.Key {
		r.captured[int64(s.Frame)] = s.Capture
	}
}

// read reads a box's stream until the test ends.
func read(t *testing.T, b *boxtest.Box) *reader {
	t.Helper()
	r := &reader{captured: map[int64]int64{}}
	ctx, cancel := context.WithCancel(context.Background())
	src, err := tee.Open(ctx, "tcp://"+b.Stream, tee.OpenOptions{ReadTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); mpegts.Demux(src, r) }()
	t.Cleanup(func() { cancel(); src.Close(); <-done })
	return r
}

// timed is a screen that notes when which picture was there.
type timed struct {
	fake
	at map[int64]time.Time
}

func (s *timed) Draw(img *image.RGBA, part image.Rectangle) error {
	err := s.fake.Draw(img, part)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, seen := s.at[s.number]; !seen {
		s.at[s.number] = time.Now()
	}
	return err
}

// stalls notes when this machine stood still: when a goroutine that only sleeps
// for 10 ms was late by a fifth of a second.
type stalls struct {
	mu   sync.Mutex
	late [][2]time.Time
}

func watchHost(t *testing.T) *stalls {
	h, tick, done := &stalls{}, time.NewTicker(10*time.Millisecond), make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(done)
		for last := time.Now(); ; {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			now := time.Now()
			if now.Sub(last) > 200*time.Millisecond {
				h.mu.Lock()
				h.late = append(h.late, [2]time.Time{last, now})
				h.mu.Unlock()
			}
			last = now
		}
	}()
	t.Cleanup(func() { tick.Stop(); close(stop); <-done })
	return h
}

// stood says whether the machine stood still at some time in a span.
func (h *stalls) stood(from, to time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.late, func(l [2]time.Time) bool { return l[0].Before(to) && l[1].After(from) })
}

// From a picture's capture to it on the screen it takes at most a second, in 99
// of 100 cases. BENCH=1 looks at more.
func TestKeyframeToScreen(t *testing.T) {
	b := boxtest.Start(t, "")
	b.GOP.Store(2) // a dozen keyframes a second, to see many
	want := 100
	if os.Getenv("BENCH") != "" {
		want = 500
	}
	r, host := read(t, b), watchHost(t)
	s := &timed{fake: fake{there: true, size: image.Pt(320, 240)}, at: map[int64]time.Time{}}
	start(t, b, kind{"device", func() []string { return []string{"x"} }, func(string) (panel, error) { return s, nil }})
	count := func(f func()) { s.mu.Lock(); defer s.mu.Unlock(); f() }
	for enough, deadline := false, time.Now().Add(3*time.Minute); !enough; time.Sleep(50 * time.Millisecond) {
		if count(func() { enough = len(s.at) > want }); time.Now().After(deadline) {
			t.Fatalf("only %d pictures were drawn", len(s.at))
		}
	}
	var took []time.Duration
	left := 0
	count(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for n, at := range s.at {
			captured, ok := r.captured[n]
			switch {
			case ok && host.stood(time.Unix(0, captured), at):
				left++
			case ok:
				took = append(took, at.Sub(time.Unix(0, captured)))
			}
		}
	})
	slices.Sort(took)
	if len(took) < want/2 {
		t.Fatalf("only %d pictures are known", len(took))
	}
	p99 := took[len(took)*99/100]
	t.Logf("%d keyframes: median %v, p99 %v, most %v; %d left out, when this host stood still", len(took), took[len(took)/2], p99, took[len(took)-1], left)
	if p99 > time.Second {
		t.Errorf("p99 %v", p99)
	}
}

// childArgs in the environment makes this test binary be preview.
const childArgs = "PREVIEW_TEST_ARGS"

func child(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childArgs+"="+strings.Join(args, "\n"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd
}

// A preview that is stopped, killed or started again costs no reader a frame.
func TestADyingPreviewHarmsNobody(t *testing.T) {
	b := boxtest.Start(t, "")
	r := read(t, b)
	out := filepath.Join(t.TempDir(), "screen.png")
	args := []string{"--config", b.Config, "--name", "box1", "--out", out, "--no-screens", "--status", "127.0.0.1:0"}
	shows := func(after int64) int64 {
		t.Helper()
		var n int64
		runtest.Eventually(t, "preview shows the stream", func() bool {
			var err error
			n, err = fileNumber(out)
			return err == nil && n > after
		})
		return n
	}
	frames := func(n int) {
		t.Helper()
		var from int
		get := func() (n int) { r.mu.Lock(); defer r.mu.Unlock(); return r.frames }
		from = get()
		runtest.Eventually(t, "the stream goes on", func() bool { return get() > from+n })
	}
	p := child(t, args...)
	n := shows(0)
	for _, signal := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
		if err := p.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		frames(50)
	}
	n = shows(n)
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSEGV, syscall.SIGTERM} {
		p.Process.Signal(signal)
		p.Wait()
		frames(10)
		p = child(t, args...)
		n = shows(n)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.gaps) > 0 || r.frames < 100 {
		t.Errorf("%d frames, gaps: %v", r.frames, r.gaps)
	}
	t.Logf("%d frames without a gap", r.frames)
}
