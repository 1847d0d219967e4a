package engine

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/picture"
	"github.com/openvideobox/videobox/mixer-host/internal/source"
)

// input is a source as the loop sees it.
type input struct {
	Source
	index int
	room  string
	still *Still
	meter *meter

	// Of the loop.
	frame *source.Frame // nil while the slate is shown
	shown Input
	fresh bool // frame came with this tick

	missing  atomic.Uint64 // ticks for which the source had no new picture
	slated   atomic.Uint64 // ticks with its slate
	slate    atomic.Pointer[slate]
	wanted   chan string // causes to draw; holds the newest
	drawnFor string
}

// slate is a drawn one.
type slate struct {
	frame   *media.Frame
	cause   string
	version uint64
}

// Versions of inputs: a source each has a range, and its slates another.
const (
	versionBits = 56
	slateBit    = 1 << 55
)

func newInput(s Source, index int, o Options) *input {
	in := &input{
		Source: s, index: index, room: o.Room, still: newStill(o.Clock), meter: newMeter(),
		wanted: make(chan string, 1),
	}
	cause := s.State().Cause
	in.drawnFor = cause
	in.draw(cause, o.Width, o.Height)
	return in
}

// take decides what the source shows at time t of its program time.
func (in *input) take(t int64) {
	f := in.Source.Frame(t)
	in.fresh = f != nil && f != in.frame // two ticks never get one buffer with two pictures
	if f != nil && t-f.Program <= int64(hold) {
		if !in.fresh {
			in.missing.Add(1)
		}
		in.frame = f
		in.shown = Input{Frame: &f.Frame, Version: in.version() | f.Change}
		return
	}
	in.frame, in.fresh = nil, false
	in.slated.Add(1)
	if cause := in.Source.State().Cause; cause != "" && cause != in.drawnFor {
		in.want(cause)
	}
	s := in.slate.Load()
	in.shown = Input{Frame: s.frame, Version: in.version() | slateBit | s.version}
}

func (in *input) version() uint64 { return uint64(in.index+1) << versionBits }

// want asks for another slate, in place of one that was asked for before.
func (in *input) want(cause string) {
	in.drawnFor = cause
	select {
	case <-in.wanted:
	default:
	}
	in.wanted <- cause
}

// drawSlates draws what want asks for. Drawing takes as long as several frames,
// which the loop hasn't got.
func (in *input) drawSlates(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case cause := <-in.wanted:
			f := in.slate.Load().frame
			in.draw(cause, f.Width, f.Height)
		}
	}
}

var drawing sync.Mutex // one slate at a time: they take memory and a core

func (in *input) draw(cause string, w, h int) {
	drawing.Lock()
	defer drawing.Unlock()
	s := &slate{frame: media.NewFrame(w, h), cause: cause}
	if old := in.slate.Load(); old != nil {
		s.version = old.version + 1
	}
	picture.FromImage(s.frame, picture.Slate(w, h, picture.SlateText{
		Name: in.Source.Name(), Room: in.room, Cause: cause, Address: in.Source.Address(),
	}))
	in.slate.Store(s)
}

// sound reads the source's samples and measures them.
func (in *input) sound(pos int64, dst []int16) {
	in.Source.Sound(pos, dst)
	in.meter.Write(dst)
}

// SourceState is a source as the control page shows it.
type SourceState struct {
	Role    string       `json:"role"`
	Name    string       `json:"name"`
	Address string       `json:"address"`
	Phase   source.Phase `json:"phase"`
	Cause   string       `json:"cause,omitempty"`
	AgeMS   float64      `json:"age_ms"`  // since a picture was decoded; -1: never
	Missing uint64       `json:"missing"` // output frames without a new picture
	Slated  uint64       `json:"slated"`  // output frames with the source's slate

	Decoded     uint64 `json:"decoded"`      // pictures
	Late        uint64 `json:"late"`         // pictures that came after their output frame
	Dropped     uint64 `json:"dropped"`      // pictures and access units given up, queues being full
	SamplesLost uint64 `json:"samples_lost"` // that came late, or not at all
	Restarts    uint64 `json:"restarts"`     // of the decoder
	StrayBytes  uint64 `json:"stray_bytes"`  // on this connection that are no MPEG-TS
}

func (in *input) snapshot(now int64) SourceState {
	st := in.Source.State()
	s := SourceState{
		Role: in.Role(), Name: in.Name(), Address: in.Address(), Phase: st.Phase, Cause: st.Cause,
		AgeMS: -1, Missing: in.missing.Load(), Slated: in.slated.Load(),
	}
	c := in.Source.Stats()
	s.Decoded, s.Late, s.Dropped = c.Frames.Decoded, c.Frames.Late, c.Frames.Dropped+c.Overrun
	s.SamplesLost, s.Restarts, s.StrayBytes = c.Sound.Late+c.Sound.Missing, c.Restarts, c.Strays
	if !st.Decoded.IsZero() {
		s.AgeMS = float64(max(now-st.Decoded.UnixNano(), 0)) / 1e6
	}
	return s
}

// SourceStates may be called at any time.
func (e *Engine) SourceStates() []SourceState {
	list := make([]SourceState, len(e.sources))
	for i, in := range e.sources {
		list[i] = in.snapshot(e.o.Clock.Now())
	}
	return list
}
