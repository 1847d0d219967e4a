// Package encode turns the mix into its renditions: each is scaled, encoded as
// H.264 and put, with one AAC stream that all share, into a transport stream,
// which a ring serves by TCP, by TCP with a delay, and by multicast.
//
// The engine never waits for long: a frame that finds the encoders busy until it
// is patience late is skipped, counted, and the clock in the stream goes on. Tested
// with internal/mpegts's probe and ffmpeg.
package encode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/picture"
	"github.com/openvideobox/videobox/internal/program"
	"github.com/openvideobox/videobox/internal/run"
	"github.com/openvideobox/videobox/mixer-host/internal/engine"
)

// Options are what the encoders are told.
type Options struct {
	Outputs      []event.Output // main first; its size is the mix's
	Rate         int
	AudioBitrate int
	Preset       string // of x264; "": superfast
	Clock        clock.Clock
	Log          *slog.Logger
	Reporter     *metrics.Reporter
}

// Encoder encodes and serves a room's renditions. It is an engine.Sink.
type Encoder struct {
	o      Options
	frame  time.Duration
	health *metrics.LeafState

	mix     *media.Frame // what the renditions encode; of Video between two waits
	busy    sync.WaitGroup
	idle    chan struct{} // has one token while nobody encodes
	outputs []*output
	audio   *program.AudioEncoder
	fault   fault
	load    load
}

var _ engine.Sink = (*Encoder)(nil)

// New opens the encoders.
func New(o Options) (*Encoder, error) {
	if o.Clock == nil {
		o.Clock = clock.System
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	e := &Encoder{
		o: o, frame: time.Second / time.Duration(o.Rate), health: o.Reporter.Leaf("encoder"),
		mix: &media.Frame{}, idle: make(chan struct{}, 1), audio: program.NewAudioEncoder(o.AudioBitrate),
		fault: fault{set: make(chan struct{})},
	}
	e.load.clock = o.Clock
	e.idle <- struct{}{}
	for _, out := range o.Outputs {
		x, err := newOutput(out, o)
		if err != nil {
			e.Close()
			return nil, fmt.Errorf("rendition %s: %w", out.Name, err)
		}
		e.outputs = append(e.outputs, x)
	}
	return e, nil
}

// Close frees the encoders, after Run has returned.
func (e *Encoder) Close() {
	for _, x := range e.outputs {
		x.close()
	}
}

// Run serves the renditions until the context ends, or an encoder or a socket
// fails for good.
func (e *Encoder) Run(ctx context.Context) error {
	g := run.NewGroup(ctx)
	for _, x := range e.outputs {
		g.Go("", x.serve)
		g.Go("encode "+x.Name, x.work)
	}
	g.Go("encode", e.fault.wait)
	err := g.Wait()
	<-e.idle // nobody encodes any more
	return err
}

// patience is how late a frame may be when the encoders take it.
const patience = 400 * time.Millisecond

// Video encodes a frame of the mix. When the frame before is still being encoded
// it waits, within its patience.
func (e *Encoder) Video(f *media.Frame, m engine.Meta) bool {
	if !e.wait(media.FrameTime(m.Frame, e.o.Rate) + int64(patience)) {
		e.load.skip()
		e.report()
		return false
	}
	picture.Copy(e.mix, f)
	start := e.o.Clock.Now()
	e.busy.Add(len(e.outputs))
	for _, x := range e.outputs {
		x.give(job{mix: e.mix, meta: m, done: e.busy.Done})
	}
	go e.finish(start)
	return true
}

// finish gives the token back when every rendition is encoded.
func (e *Encoder) finish(start int64) {
	e.busy.Wait()
	e.load.add(e.o.Clock.Now()-start, int64(e.frame))
	e.report()
	e.idle <- struct{}{}
}

// wait takes the token, or gives up at the instant until.
func (e *Encoder) wait(until int64) bool {
	select {
	case <-e.idle:
		return true
	default:
	}
	late, stop := e.o.Clock.After(until)
	defer stop()
	select {
	case <-e.idle:
		return true
	case <-late:
		return false
	}
}

// Audio encodes samples once, for all renditions.
func (e *Encoder) Audio(pos int64, pcm []int16) {
	err := e.audio.Write(pos, pcm, func(s program.Sound) error {
		var errs []error
		for _, x := range e.outputs {
			errs = append(errs, x.stream.Sound(s))
		}
		return errors.Join(errs...)
	})
	if err != nil {
		e.fault.report(err)
	}
}

// report tells the health of the encoders.
func (e *Encoder) report() {
	share, skipped := e.load.recent()
	switch {
	case skipped > 0:
		e.health.Set(metrics.Degraded, fmt.Sprintf("overload: %d frames skipped in the last seconds; use a faster preset or a smaller picture", skipped))
	case share > 0.9:
		e.health.Set(metrics.Degraded, fmt.Sprintf("%.0f %% of the time between frames is used", 100*share))
	default:
		e.health.Set(metrics.OK, "")
	}
}

// Load is how much of the time between frames encoding takes, 1 being all.
func (e *Encoder) Load() float64 {
	share, _ := e.load.recent()
	return share
}

// Output is a rendition's state, for the control page.
type Output struct {
	Name    string        `json:"name"`
	Stream  program.Stats `json:"stream"`
	Readers int           `json:"readers"` // by TCP
}

// Outputs may be called at any time.
func (e *Encoder) Outputs() []Output {
	list := make([]Output, len(e.outputs))
	for i, x := range e.outputs {
		list[i] = Output{Name: x.Name, Stream: x.stream.Stats(), Readers: x.tcp.Snapshot().Readers + x.buffered.Snapshot().Readers}
	}
	return list
}

// job is a frame for a rendition.
type job struct {
	mix  *media.Frame
	meta engine.Meta
	done func()
}

// flags drops what only Stream knows.
func flags(m engine.Meta) h264.Flags { return m.Flags &^ h264.Synced }
