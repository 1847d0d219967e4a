// Package engine mixes: it composes the sources' pictures and sound on the frame
// grid of UTC and hands them on.
//
// Output frame n takes from each source the newest picture whose program time is
// not after that of n by less than a fixed delay, and the sound of the same
// time, so that sources agree with each other and with their sound however long
// each was on its way. A source without a picture shows a slate that names it.
//
// The geometry is voctomix 1.3's. Tested with a held clock: colours at positions,
// samples, slates, restarts.
package engine

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/mixer-host/internal/source"
)

// DefaultDelay is how far the mix is behind its sources' program time. Encoding,
// network and decoding take 60 ms on a quiet machine and 200 ms on a busy one.
const DefaultDelay = 240 * time.Millisecond

// hold is how long a source's last picture stays before its slate comes.
const hold = time.Second

// Source is one input.
type Source interface {
	Role() string
	Name() string
	Address() string
	Frame(t int64) *source.Frame
	Sound(pos int64, dst []int16) bool
	State() source.State
	Stats() source.Stats
}

// Sink takes what is mixed. Both calls are in the order of time.
type Sink interface {
	// Video takes a frame, which is valid during the call. It returns false
	// when the frame was skipped for want of time.
	Video(f *media.Frame, m Meta) bool
	// Audio takes interleaved samples from number pos on, valid during the call.
	Audio(pos int64, pcm []int16)
}

// Meta is what is known of an output frame.
type Meta struct {
	Frame   int64 // on the grid
	Capture int64 // of the oldest live picture in it, UTC ns; 0: none
	Flags   h264.Flags
}

// Options are what an engine is told.
type Options struct {
	Room          string
	Width, Height int
	Rate          int
	Delay         time.Duration // 0: DefaultDelay
	Sources       []Source
	Sink          Sink
	Scene         Scene
	Background    string // path of a PNG or JPEG; "": plain
	Logo          string // path of a PNG; "": none
	State         string // file that keeps scene and volumes; "": none
	Clock         clock.Clock
	Log           *slog.Logger
}

// Engine is a running mix.
type Engine struct {
	o       Options
	sources []*input
	compose *Compositor
	mixer   *mixer
	meter   *meter
	still   *Still // of the mix

	skipped  atomic.Uint64 // frames not made for want of time
	composed atomic.Uint64 // frames that had to be drawn

	// Of the loop.
	next   int64 // sample to mix next
	sounds [][]int16
	out    []int16
	volume []float32

	mu       sync.Mutex
	control  Control
	watchers map[chan struct{}]bool
}

// New prepares an engine, with the scene and the volumes of the state file when
// there is one.
func New(o Options) (*Engine, error) {
	if o.Delay == 0 {
		o.Delay = DefaultDelay
	}
	if o.Clock == nil {
		o.Clock = clock.System
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if len(o.Sources) == 0 {
		return nil, fmt.Errorf("room %s has no sources; give it a camera or slides", o.Room)
	}
	e := &Engine{
		o: o, mixer: newMixer(len(o.Sources)), meter: newMeter(), still: newStill(o.Clock),
		sounds: make([][]int16, len(o.Sources)), volume: make([]float32, len(o.Sources)),
		watchers: map[chan struct{}]bool{},
	}
	background, err := loadBackground(o.Background, o.Width, o.Height)
	if err != nil {
		return nil, err
	}
	var l *logo
	if o.Logo != "" {
		if l, err = loadLogo(o.Logo, o.Width, o.Height); err != nil {
			return nil, err
		}
	}
	e.compose = NewCompositor(background, l)
	for i, s := range o.Sources {
		e.sources = append(e.sources, newInput(s, i, o))
	}
	return e, e.restore()
}

// Run mixes until the context ends, whose error it returns.
func (e *Engine) Run(ctx context.Context) error {
	var slates sync.WaitGroup
	defer slates.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, in := range e.sources {
		slates.Go(func() { in.drawSlates(ctx) })
	}
	n := media.FrameAt(e.o.Clock.Now(), e.o.Rate) + 1
	for {
		if err := clock.Wait(ctx, e.o.Clock, media.FrameTime(n, e.o.Rate)); err != nil {
			return err
		}
		e.tick(n)
		n = e.after(n)
	}
}

// patience is how late the loop may be and still make every frame. A busy
// machine makes a process wait for its turn; frames cost a third of their time,
// so that it catches up.
const patience = 320 * time.Millisecond

// after is the frame that follows n: the next one, or, when making n took so
// long that the loop is late beyond its patience, the one whose time it is.
func (e *Engine) after(n int64) int64 {
	now := e.o.Clock.Now()
	if now-media.FrameTime(n+1, e.o.Rate) <= int64(patience) {
		return n + 1
	}
	due := media.FrameAt(now, e.o.Rate)
	e.skipped.Add(uint64(due - n - 1))
	return due
}

// tick makes output frame n and its sound.
func (e *Engine) tick(n int64) {
	control := e.Control()
	t := media.FrameTime(n, e.o.Rate) - int64(e.o.Delay)
	for _, in := range e.sources {
		in.take(t)
	}
	a, b := e.input(control.Scene.A), e.input(control.Scene.B)
	f, changed := e.compose.Compose(control.Scene.Mode, a.shown, b.shown)
	if changed {
		e.composed.Add(1)
	}
	shown := []*input{a, b}
	if control.Scene.Mode == Fullscreen {
		shown = shown[:1]
	}
	if !e.o.Sink.Video(f, meta(n, shown)) {
		e.skipped.Add(1)
	}
	e.mix(n, control)
	for _, in := range e.sources {
		in.still.offer(in.shown.Frame)
	}
	e.still.offer(f)
}

func (e *Engine) input(role string) *input {
	for _, in := range e.sources {
		if in.Role() == role {
			return in
		}
	}
	return e.sources[0]
}

// meta sums up what the shown sources are.
func meta(n int64, shown []*input) Meta {
	m := Meta{Frame: n, Flags: h264.Slate | h264.Repeated}
	for _, in := range shown {
		if in.fresh {
			m.Flags &^= h264.Repeated
		}
		if in.frame == nil {
			continue
		}
		m.Flags |= in.frame.Flags & h264.Live
		if c := in.frame.Time; c != 0 && in.frame.Flags&h264.Live != 0 && (m.Capture == 0 || c < m.Capture) {
			m.Capture = c
		}
	}
	if m.Flags&h264.Live != 0 {
		m.Flags &^= h264.Slate
	}
	return m
}

// maxSound bounds what one tick mixes; after a longer standstill sound goes on
// at the present.
const maxSound = media.SampleRate

// mix makes the sound from where it ended up to the end of frame n.
func (e *Engine) mix(n int64, c Control) {
	from, to := sampleOf(n, e.o.Rate), sampleOf(n+1, e.o.Rate)
	if e.next == 0 || from-e.next > maxSound || e.next > from {
		e.next = from
	}
	delay := int64(e.o.Delay) * media.SampleRate / int64(time.Second)
	size := int(to-e.next) * media.Channels
	for i, in := range e.sources {
		e.sounds[i] = resize(e.sounds[i], size)
		in.sound(e.next-delay, e.sounds[i])
		e.volume[i] = c.Audio[in.Role()].gain()
	}
	e.out = resize(e.out, size)
	e.mixer.mix(e.out, e.sounds, e.volume)
	e.meter.Write(e.out)
	e.o.Sink.Audio(e.next, e.out)
	e.next = to
}

// sampleOf is the number of the first sample of frame n.
func sampleOf(n int64, rate int) int64 { return n * media.SampleRate / int64(rate) }

func resize(b []int16, n int) []int16 {
	if cap(b) < n {
		return make([]int16, n)
	}
	return b[:n]
}

// Stats is what an engine has counted.
type Stats struct {
	Skipped  uint64 `json:"skipped"`  // frames not made or not encoded: overload
	Composed uint64 `json:"composed"` // frames whose picture differed from the one before
}

// Stats may be called at any time.
func (e *Engine) Stats() Stats {
	return Stats{Skipped: e.skipped.Load(), Composed: e.composed.Load()}
}
