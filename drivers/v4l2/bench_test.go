package v4l2_test

import (
	"bytes"
	"context"
	"errors"
	"image/jpeg"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/drivers/drivertest"
	"github.com/openvideobox/videobox/drivers/v4l2"
	"github.com/openvideobox/videobox/internal/media"
)

// clocks are both the bubble's.
func clocks() (utc, monotonic int64) {
	t := time.Now().UnixNano()
	return t, t - 1e18/2
}

// decode says of a frame whether it is good, and no more.
func decode(data []byte, f *media.Frame) (int, error) {
	img, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return 0, err
	}
	f.Reset(img.Bounds().Dx(), img.Bounds().Dy())
	return 0, nil
}

// sink notes what comes.
type sink struct {
	mu     sync.Mutex
	frames int
	last   int64 // the newest frame's time
	worst  int64 // distance between two frames
	states []string
	cause  string
}

func (s *sink) Video(f *media.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frames > 0 {
		s.worst = max(s.worst, f.Time-s.last)
	}
	s.frames, s.last = s.frames+1, f.Time
	s.note("streaming")
}

func (s *sink) State(st drivers.State, cause string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cause = cause
	s.note(st.String())
}

func (s *sink) note(state string) {
	if len(s.states) == 0 || s.states[len(s.states)-1] != state {
		s.states = append(s.states, state)
	}
}

func (s *sink) Same(int64)          {}
func (s *sink) Audio(media.Samples) {}

// seen is how many frames came, and when the newest was captured.
func (s *sink) seen() (n int, last time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.frames, time.Unix(0, s.last)
}

// said is the newest cause.
func (s *sink) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// take gives the states since the last take, one after the other.
func (s *sink) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := strings.Join(s.states, ", ")
	s.states = nil
	return all
}

// bench is a source with a stick, in a bubble.
type bench struct {
	t     *testing.T
	stick *drivertest.Stick
	src   *v4l2.Source
	sink  *sink
	done  chan error
	stop  context.CancelFunc
}

// setup runs a source until the test's end.
func setup(t *testing.T, c v4l2.Config) *bench {
	b := &bench{t: t, sink: new(sink), done: make(chan error, 1)}
	b.stick = drivertest.NewStick(t.TempDir(), drivertest.Config{Now: clocks})
	c.Kernel, c.USB, c.Now, c.Decode = b.stick.Kernel(), b.stick.USB(), clocks, decode
	if c.Width == 0 {
		c.Width, c.Height, c.Rate = 320, 180, 10
	}
	b.src = v4l2.New(c)
	ctx, stop := context.WithCancel(t.Context())
	b.stop = stop
	go func() { b.done <- b.src.Run(ctx, b.sink) }()
	return b
}

// end stops it and waits.
func (b *bench) end() {
	b.stop()
	if err := <-b.done; !errors.Is(err, context.Canceled) {
		b.t.Errorf("Run = %v", err)
	}
	b.stick.Close()
}

func (b *bench) command(line string) {
	b.t.Helper()
	if err := b.stick.Command(line); err != nil {
		b.t.Fatal(err)
	}
}

// after lets time pass and compares the states that were seen meanwhile.
func (b *bench) after(d time.Duration, want string) {
	b.t.Helper()
	time.Sleep(d)
	synctest.Wait()
	if got := b.sink.take(); got != want {
		b.t.Errorf("%v: states %q, want %q (%s)", d, got, want, b.sink.cause)
	}
}
