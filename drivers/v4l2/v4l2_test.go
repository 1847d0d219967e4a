package v4l2

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/drivers/usb"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a stream driven by a test, and the kernel that has it.
type fake struct {
	is     Format
	out    chan Buffer
	why    error
	closed bool
	mu     sync.Mutex
	taken  int // buffers not released
}

func (f *fake) Format() Format         { return f.is }
func (f *fake) Buffers() <-chan Buffer { return f.out }
func (f *fake) Err() error             { return f.why }
func (f *fake) Close() error           { f.closed = true; return nil }

func (f *fake) Nodes() ([]string, error) { return []string{"/dev/video9"}, nil }

func (f *fake) Modes(string) (string, []Mode, error) { return "fake", []Mode{f.is.Mode}, nil }

func (f *fake) Open(context.Context, string, Mode) (Stream, error) { return f, nil }

func (f *fake) Input(string) (Input, error) { return nil, ErrNoTimings }

// send hands a buffer over. What it holds says what the decoder makes of it.
func (f *fake) send(sequence uint32, monotonic int64, data string) (released <-chan struct{}) {
	f.mu.Lock()
	f.taken++
	f.mu.Unlock()
	c := make(chan struct{})
	f.out <- Buffer{Data: []byte(data), Sequence: sequence, Monotonic: monotonic, Release: func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.taken--
		close(c)
	}}
	return c
}

func decode(data []byte, f *media.Frame) (int, error) {
	switch string(data) {
	case "short":
		return 1, nil
	case "noise":
		return 0, errors.New("no JPEG")
	}
	f.Reset(4, 2)
	return 0, nil
}

type sink struct {
	frames chan int64 // times
	states chan drivers.State
}

func newSink() *sink {
	return &sink{make(chan int64, 100), make(chan drivers.State, 100)}
}

func (s *sink) Video(f *media.Frame)               { s.frames <- f.Time }
func (s *sink) Same(int64)                         {}
func (s *sink) Audio(media.Samples)                {}
func (s *sink) State(st drivers.State, why string) { s.states <- st }

const (
	utcNow  = int64(1_800_000_000_000_000_000)
	monoNow = int64(5_000_000_000)
)

// start runs a source on a fake device.
func start(t *testing.T, d *fake) (src *Source, s *sink, cancel func(), done <-chan error) {
	t.Helper()
	src = New(Config{
		Path: "/dev/video9", Decode: decode, Now: func() (int64, int64) { return utcNow, monoNow }, Kernel: d,
		Width: 1280, Height: 720, Rate: 25, Clock: clock.NewHeld(utcNow), USB: usb.Root{Sys: t.TempDir()},
	})
	s = newSink()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	c := make(chan error, 1)
	go func() { c <- src.Run(ctx, s) }()
	return src, s, cancel, c
}

func mjpeg() *fake {
	return &fake{is: Format{Mode: Mode{1280, 720, 25, "MJPG"}}, out: make(chan Buffer)}
}

func TestTimesBecomeUTC(t *testing.T) {
	d := mjpeg()
	_, s, cancel, done := start(t, d)
	for i, c := range []struct {
		stamp, want int64
	}{
		{monoNow - 40e6, utcNow - 40e6},
		{monoNow + 1, utcNow},   // in the future
		{monoNow - 2e9, utcNow}, // too old to be true
		{12_345, utcNow},        // another clock
		{monoNow - 1, utcNow - 1},
	} {
		d.send(uint32(i), c.stamp, "good")
		if got := <-s.frames; got != c.want {
			t.Errorf("stamp %d: %d, want %d", c.stamp, got, c.want)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || !d.closed || d.taken != 0 {
		t.Errorf("Run = %v, device closed %v, %d buffers not released", err, d.closed, d.taken)
	}
}

func TestBadFramesAreLeftOutAndCounted(t *testing.T) {
	d := mjpeg()
	src, s, cancel, done := start(t, d)
	first := ^uint32(0) // the sequence wraps
	for _, c := range []struct {
		sequence uint32
		age      int64
		data     string
		shown    bool
	}{
		{first, 9, "good", true},
		{first + 1, 8, "short", false},
		{first + 2, 7, "noise", false},
		{first + 1, 6, "good", false}, // out of order
		{first + 6, 5, "good", true},  // three lost
		{first + 6, 5, "good", false}, // twice
		{first + 6, 4, "good", true},  // another one of that number
	} {
		<-d.send(c.sequence, monoNow-c.age, c.data)
		if shown := len(s.frames) == 1; shown != c.shown {
			t.Errorf("%s frame %d: shown %v, want %v", c.data, c.sequence, shown, c.shown)
		}
		for len(s.frames) > 0 {
			<-s.frames
		}
	}
	cancel()
	<-done
	want := Stats{Frames: 3, Damaged: 2, Disorder: 2, Lost: 3}
	if got := src.Stats(); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	if len(s.frames) != 0 || d.taken != 0 {
		t.Errorf("%d frames too many, %d buffers not released", len(s.frames), d.taken)
	}
}

func TestBacklogIsDrainedToTheNewest(t *testing.T) {
	d := mjpeg()
	d.out = make(chan Buffer, 5)
	for i, at := range []uint32{7, 8, 10, 9, 11} {
		d.send(at, monoNow-int64(100-i), "good")
	}
	src, s, cancel, done := start(t, d)
	if got := <-s.frames; got != utcNow-96 {
		t.Errorf("the frame of %d, want the newest", got)
	}
	cancel()
	<-done
	if st := src.Stats(); st.Stale != 3 || st.Disorder != 1 || d.taken != 0 {
		t.Errorf("%+v, %d not released; want 3 stale, 1 out of order", st, d.taken)
	}
}

// TestClocksRunTogether is the only test that reads the kernel's clocks.
func TestClocksRunTogether(t *testing.T) {
	u1, m1 := Now()
	u2, m2 := Now()
	if d := (u2 - u1) - (m2 - m1); d > int64(time.Second) || d < -int64(time.Second) {
		t.Errorf("UTC and CLOCK_MONOTONIC went apart by %d ns between two calls", d)
	}
}
