package worker

import (
	"sync"
	"time"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/picture"
)

// patience is how long the last good frame stands in for those that don't come.
const patience = 250_000_000

// input holds the newest frame of the source at the event's size. Three frames
// go round: the source fills spare, waiting is the newest one that nobody has
// taken yet, shown belongs to the encoder.
type input struct {
	clk  clock.Clock
	wake chan struct{} // of capacity 1: a frame has come

	fill   sync.Mutex // held while spare is being filled
	spare  *media.Frame
	scaler picture.Scaler

	mu             sync.Mutex
	waiting, shown *media.Frame
	pending        bool  // waiting holds a frame that hasn't been taken
	same           int64 // capture time of the frame shown, confirmed; 0: none
	good           int64 // when the last good frame arrived, by clock.Elapsed; 0: never
	state          drivers.State
	cause          string
	width, height  int
	frames         uint64
	dropped        uint64

	scaling, converting mean
}

// mean collects durations.
type mean struct {
	sum     time.Duration
	longest time.Duration
	n       int
}

func (m *mean) add(d time.Duration) {
	m.sum, m.longest, m.n = m.sum+d, max(m.longest, d), m.n+1
}

// take gives mean and longest in ms, 0 of none, and begins anew.
func (m *mean) take() (ms, longest float64) {
	if m.n > 0 {
		ms, longest = m.sum.Seconds()*1000/float64(m.n), m.longest.Seconds()*1000
	}
	*m = mean{}
	return ms, longest
}

func newInput(clk clock.Clock, width, height int) *input {
	return &input{
		clk: clk, wake: make(chan struct{}, 1),
		spare: media.NewFrame(width, height), waiting: media.NewFrame(width, height), shown: media.NewFrame(width, height),
	}
}

// Video takes the newest frame: scaled with its aspect kept, in BT.709 limited.
func (in *input) Video(f *media.Frame) {
	if f.Check() != nil {
		return
	}
	in.fill.Lock()
	defer in.fill.Unlock()
	start := time.Now()
	if f.Width == in.spare.Width && f.Height == in.spare.Height {
		picture.Copy(in.spare, f)
	} else {
		in.scaler.Letterbox(in.spare, f)
	}
	scaled := time.Now()
	in.spare.Color, in.spare.Time = f.Color, f.Time
	picture.Normalize(in.spare)
	converted := time.Now()

	in.mu.Lock()
	defer in.mu.Unlock()
	if in.spare.Time == 0 {
		in.spare.Time = in.clk.Now()
	}
	in.spare, in.waiting = in.waiting, in.spare
	if in.pending {
		in.dropped++
	}
	in.pending, in.same = true, 0
	in.width, in.height = f.Width, f.Height
	in.scaling.add(scaled.Sub(start))
	in.converting.add(converted.Sub(scaled))
	in.arrived()
}

// Same confirms the picture handed over last.
func (in *input) Same(t int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.frames == 0 {
		return
	}
	if in.pending {
		in.waiting.Time = t
	} else {
		in.same = t
	}
	in.arrived()
}

// arrived notes a good frame.
func (in *input) arrived() {
	in.frames++
	in.good = max(clock.Elapsed(in.clk), 1)
	in.state, in.cause = drivers.Streaming, ""
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// State notes why no frames come. A frame that comes nevertheless wins.
func (in *input) State(s drivers.State, cause string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.state, in.cause = s, cause
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// newest is the capture time of the frame that waits to be taken, 0 if none.
func (in *input) newest() int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.pending {
		return in.waiting.Time
	}
	return in.same
}

// take gives the newest frame. It stays as it is until the next take.
func (in *input) take() *media.Frame {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.pending {
		in.waiting, in.shown = in.shown, in.waiting
	} else if in.same != 0 {
		in.shown.Time = in.same
	}
	in.pending, in.same = false, 0
	return in.shown
}

// forget leaves out the frame that waits to be taken.
func (in *input) forget() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.pending, in.same = false, 0
}

// signal is the state of the source now. Without a good frame for longer
// than patience it isn't streaming, whatever the source says.
func (in *input) signal() (s drivers.State, cause string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.good != 0 && clock.Elapsed(in.clk)-in.good <= patience:
		return drivers.Streaming, ""
	case in.state != drivers.Streaming:
		return in.state, in.cause
	}
	return drivers.Frozen, "no picture from the source"
}
