package source

import (
	"fmt"
	"log/slog"
	"math"
	"sync"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/drivers/ms213x"
	"github.com/openvideobox/videobox/internal/media"
)

// What the sticks of this kind take, by their data sheets: 3840x2160 at 30 Hz
// and 1920x1080 at 60 Hz. A faster signal is none that they show; some hang.
const (
	maxHz     = 61
	maxPixels = 300e6 // a second
)

// signal merges what a stick says about its input with what comes from it. A
// stick without a signal sends a picture of its own: that is left out, and the
// reason told instead.
type signal struct {
	sink drivers.Sink

	mu    sync.Mutex
	state drivers.State // Streaming: nothing is wrong as far as the stick knows
	cause string
	size  string // of the input; empty: unknown

	// ignored: the status isn't believed any more, because the stick said that there is
	// no signal while the picture moved: its firmware keeps its status elsewhere than the profile says.
	// takes: no size and rate is too much any more, for the same reason; whether there is a
	// signal at all may be right nevertheless.
	moves    motion
	disproof int
	since    int64 // time of the first disproof
	ignored  bool
	takes    bool
	said     ms213x.Status // last
}

// A status is disproved by that many moving pictures that it says can't be, over
// that time: four times it is asked for meanwhile.
const (
	doubt    = 10
	doubtFor = 2e9 // ns
)

// verdict is the state that a status means.
func verdict(s ms213x.Status) (drivers.State, string) {
	switch {
	case !s.Signal && s.NoCable:
		return drivers.NoCable, "no HDMI cable is plugged in"
	case !s.Signal:
		return drivers.NoSignal, "there is no signal on the HDMI input"
	case s.Rate > maxHz || s.Rate*float64(s.Width)*float64(s.Height) > maxPixels:
		return drivers.Unsupported, fmt.Sprintf("the HDMI input has %v, which is more than the capture device takes", s)
	}
	return drivers.Streaming, ""
}

// alike says whether two answers are about the same input. A rate is measured.
func alike(a, b ms213x.Status) bool {
	return a.Signal == b.Signal && a.Width == b.Width && a.Height == b.Height && math.Abs(a.Rate-b.Rate) < 1
}

// tell takes a status. That the input is too much is told when two answers say
// so: numbers are misread now and then.
func (g *signal) tell(s ms213x.Status) {
	state, cause := verdict(s)
	g.mu.Lock()
	again := alike(s, g.said)
	g.said = s
	if state == drivers.Unsupported {
		if g.takes {
			state, cause = drivers.Streaming, ""
		} else if !again {
			g.mu.Unlock()
			return
		}
	}
	g.size = ""
	if s.Signal && s.Width > 0 {
		g.size = s.String()
	}
	if state == drivers.Streaming {
		g.ignored, g.disproof = false, 0 // it knows what a signal is
	}
	if g.ignored {
		state, cause = drivers.Streaming, ""
	}
	if state != g.state {
		g.disproof = 0
	}
	g.state, g.cause = state, cause
	g.mu.Unlock()
	if state != drivers.Streaming { // each time: the driver may have said something else since
		g.sink.State(state, cause)
	}
}

// bad says that the stick knows why there is no picture.
func (g *signal) bad() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state == drivers.NoCable || g.state == drivers.NoSignal || g.state == drivers.Unsupported
}

// Video passes frames on while there is a signal.
func (g *signal) Video(f *media.Frame) {
	if g.shows(f) {
		g.sink.Video(f)
	}
}

func (g *signal) shows(f *media.Frame) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	moved := g.moves.look(f)
	if g.state == drivers.Streaming || g.state == drivers.Starting {
		return true
	}
	if moved {
		if g.disproof++; g.disproof == 1 {
			g.since = f.Time
		}
	}
	if g.disproof > doubt && f.Time-g.since > doubtFor {
		slog.Warn("the capture device shows a picture that moves: what it says is left alone from now on", "state", g.state.String(), "cause", g.cause)
		if g.state == drivers.Unsupported {
			g.takes = true
		} else {
			g.ignored = true
		}
		g.state, g.cause = drivers.Streaming, ""
		return true
	}
	return false
}

// Same passes on.
func (g *signal) Same(t int64) { g.sink.Same(t) }

// Audio passes on.
func (g *signal) Audio(s media.Samples) { g.sink.Audio(s) }

// State passes on what the driver says, unless the stick knows better why no
// picture comes.
func (g *signal) State(s drivers.State, cause string) {
	g.mu.Lock()
	if s == drivers.Frozen {
		if g.state != drivers.Streaming && g.state != drivers.Starting {
			s, cause = g.state, g.cause
		} else if g.size != "" {
			cause += "; its input has " + g.size
		}
	}
	g.mu.Unlock()
	g.sink.State(s, cause)
}

// motion tells moving pictures from one that stands still, by samples of their
// luma.
type motion struct {
	last  [points * points]byte
	width int
}

const (
	points = 16 // a side
	apart  = 16 // of 256 levels; decoded frames of a still picture are the same
)

// look says whether the frame differs from the last one.
func (m *motion) look(f *media.Frame) bool {
	differ := 0
	for i := range m.last {
		x, y := (i%points*2+1)*f.Width/(2*points), (i/points*2+1)*f.Height/(2*points)
		v := f.Y[y*f.YStride+x]
		if d := int(v) - int(m.last[i]); d > apart || d < -apart {
			differ++
		}
		m.last[i] = v
	}
	same := m.width == f.Width
	m.width = f.Width
	return same && differ > 0
}

// heard tells the sink that sound comes, once it does.
type heard struct {
	drivers.Sink
	told bool
}

func (h *heard) Audio(s media.Samples) {
	if !h.told {
		h.told = true
		drivers.SoundState(h.Sink, drivers.Streaming, "")
	}
	h.Sink.Audio(s)
}
