package v4l2

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/internal/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a device driven by a test.
type fake struct {
	is     Mode
	out    chan buffer
	why    error
	closed bool
	quick  bool // little patience with silence
	mu     sync.Mutex
	taken  int // buffers not released
}

func (f *fake) mode() Mode             { return f.is }
func (f *fake) buffers() <-chan buffer { return f.out }
func (f *fake) err() error             { return f.why }
func (f *fake) close() error           { f.closed = true; return nil }

// send hands a buffer over. What it holds says what the decoder makes of it.
func (f *fake) send(sequence uint32, monotonic int64, data string) (released <-chan struct{}) {
	f.mu.Lock()
	f.taken++
	f.mu.Unlock()
	c := make(chan struct{})
	f.out <- buffer{data: []byte(data), sequence: sequence, monotonic: monotonic, release: func() {
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
	src = New(Config{Path: "/dev/video9", Decode: decode, Now: func() (int64, int64) { return utcNow, monoNow }})
	src.open = func(context.Context, Config) (device, error) { return d, nil }
	if d.quick {
		src.frozenAfter, src.reopenAfter = 10*time.Millisecond, 40*time.Millisecond
	}
	s = newSink()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	c := make(chan error, 1)
	go func() { c <- src.Run(ctx, s) }()
	return src, s, cancel, c
}

func mjpeg() *fake { return &fake{is: Mode{1280, 720, 25, "MJPG"}, out: make(chan buffer)} }

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
		data     string
		shown    bool
	}{
		{first, "good", true},
		{first + 1, "short", false},
		{first + 2, "noise", false},
		{first + 1, "good", false}, // out of order
		{first + 6, "good", true},  // three lost
		{first + 6, "good", false}, // twice
	} {
		<-d.send(c.sequence, monoNow, c.data)
		if shown := len(s.frames) == 1; shown != c.shown {
			t.Errorf("%s frame %d: shown %v, want %v", c.data, c.sequence, shown, c.shown)
		}
		for len(s.frames) > 0 {
			<-s.frames
		}
	}
	cancel()
	<-done
	want := Stats{Frames: 2, Damaged: 2, Disorder: 2, Lost: 3}
	if got := src.Stats(); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	if len(s.frames) != 0 || d.taken != 0 {
		t.Errorf("%d frames too many, %d buffers not released", len(s.frames), d.taken)
	}
}

func TestBacklogIsDrainedToTheNewest(t *testing.T) {
	d := mjpeg()
	d.out = make(chan buffer, 5)
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

func TestSilenceFreezesAndThenReopens(t *testing.T) {
	d := mjpeg()
	d.quick = true
	_, s, _, done := start(t, d)
	if st := <-s.states; st != drivers.Frozen {
		t.Errorf("state %v, want frozen", st)
	}
	err := <-done
	if e := new(drivers.Error); !errors.As(err, &e) || e.State != drivers.Frozen {
		t.Errorf("Run = %v, want frozen", err)
	}
}

func TestEndsHaveStates(t *testing.T) {
	unplugged := mjpeg()
	unplugged.why = errors.New("no such device")
	close(unplugged.out)
	yuyv := &fake{is: Mode{640, 480, 30, "YUYV"}, out: make(chan buffer)}
	for _, c := range []struct {
		d     *fake
		state drivers.State
		text  string
	}{
		{unplugged, drivers.NoDevice, "is gone: no such device"},
		{yuyv, drivers.Unsupported, "YUYV 640x480 at 30"},
	} {
		_, _, _, done := start(t, c.d)
		err := <-done
		if e := new(drivers.Error); !errors.As(err, &e) || e.State != c.state || !strings.Contains(err.Error(), c.text) {
			t.Errorf("Run = %v, want %v with %q", err, c.state, c.text)
		}
		if !c.d.closed {
			t.Error("the device was left open")
		}
	}
}

func TestMissingDeviceSaysSo(t *testing.T) {
	src := New(Config{Path: "/dev/video-none", Width: 640, Height: 480, Rate: 25, Decode: decode})
	err := src.Run(t.Context(), newSink())
	if e := new(drivers.Error); !errors.As(err, &e) || e.State != drivers.NoDevice || !strings.Contains(err.Error(), "/dev/video-none") {
		t.Errorf("Run = %v, want no device and its name", err)
	}
	if err := src.Run(t.Context(), newSink()); err == nil {
		t.Error("a regular second run works")
	}
}

// TestClocksRunTogether is the only test that reads the kernel's clocks.
func TestClocksRunTogether(t *testing.T) {
	u1, m1 := now()
	u2, m2 := now()
	if d := (u2 - u1) - (m2 - m1); d > int64(time.Second) || d < -int64(time.Second) {
		t.Errorf("UTC and CLOCK_MONOTONIC went apart by %d ns between two calls", d)
	}
}
