// Package worker is the half of capture that may crash or hang: it reads the
// source, brings frames to the event's size and onto the grid of UTC, places
// samples, encodes both, and sends the result to its parent over a link. It
// ends when the parent's end of the pipe closes.
package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openvideobox/videobox/appliance/capture/internal/link"
	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/level"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/program"
)

// reportEvery is the pace of reports.
const reportEvery = 500_000_000

// settle is how long the first frame may take before the slate is sent.
const settle = 1_000_000_000

// Encoder encodes frames of the grid; program.VideoEncoder is one.
type Encoder interface {
	Encode(f *media.Frame, n int64, key bool) (data []byte, isKey bool, err error)
	SetBitrate(bps int) error
}

// Output takes what the worker makes; link.Writer is one.
type Output interface {
	Picture(program.Picture) error
	Sound(program.Sound) error
	JSON(link.Kind, any) error
}

// Worker is one run of a source through an encoder. It is the source's sink.
type Worker struct {
	work  link.Work
	clk   clock.Clock
	grid  grid
	enc   Encoder
	out   Output
	in    *input
	sound *sound
	slate slate

	streaming bool // the source, when last looked at
	steps     *clock.Steps
	set       bool // the clock, and the grid hasn't followed yet

	labels atomic.Pointer[labels]
	look   *level.Picture // black, frozen

	live     bool // the newest picture was of the source
	aside    sync.WaitGroup
	beside   func(func()) // runs a function beside the caller
	filling  atomic.Bool  // sound.fill runs
	needKey  atomic.Bool
	bitrate  atomic.Int64 // asked for and not set yet; 0: none
	soundErr atomic.Pointer[error]
	restarts atomic.Uint64
	device   atomic.Pointer[drivers.Device] // nil: a source without one
	report   link.Report
	reported int64  // when, by clock.Elapsed
	framesAt uint64 // frames in at that time
	encoding mean
	behind   int64 // frames
}

// New makes a worker for one task.
func New(work link.Work, clk clock.Clock, enc Encoder, out Output) *Worker {
	w := &Worker{
		work: work, clk: clk, grid: grid{work.Program.Rate}, enc: enc, out: out,
		in: newInput(clk, work.Program.Width, work.Program.Height), steps: clock.NewSteps(clk),
	}
	w.sound = newSound(work.Program.AudioBitrate, out.Sound)
	if work.SoundOffset != nil {
		w.sound.later(*work.SoundOffset)
	}
	w.beside = w.aside.Go
	w.look = level.NewPicture(0)
	w.slate = newSlate(work.Name, &w.labels, work.Program.Width, work.Program.Height)
	w.Relabel(work)
	return w
}

// Video is the sink's.
func (w *Worker) Video(f *media.Frame) { w.in.Video(f) }

// Same is the sink's.
func (w *Worker) Same(t int64) { w.in.Same(t) }

// State is the sink's.
func (w *Worker) State(s drivers.State, cause string) { w.in.State(s, cause) }

// Audio is the sink's.
func (w *Worker) Audio(s media.Samples) { w.heard(w.sound.write(s)) }

// heard keeps an error of the sound's for Run to end with.
func (w *Worker) heard(err error) {
	if err != nil {
		w.soundErr.Store(&err)
	}
}

// Relabel makes the slate say what a later task says. The rest of that task
// doesn't count: what is sent keeps its shape.
func (w *Worker) Relabel(t link.Work) { w.labels.Store(&labels{t.Room, t.Address}) }

// SoundState is the sink's.
func (w *Worker) SoundState(s drivers.State, cause string) { w.sound.tell(s, cause) }

// Device is the sink's.
func (w *Worker) Device(d drivers.Device) {
	w.device.Store(&d)
	if w.work.SoundOffset == nil {
		w.sound.later(d.SoundLater)
	}
}

// NeedKey makes the next picture an IDR.
func (w *Worker) NeedKey() { w.needKey.Store(true) }

// SetBitrate changes the bitrate from the next picture on, in bit/s.
func (w *Worker) SetBitrate(bps int) { w.bitrate.Store(int64(bps)) }

// Restarted counts a restart of the source.
func (w *Worker) Restarted() { w.restarts.Add(1) }

// Run encodes frame after frame until the context ends or the output fails.
func (w *Worker) Run(ctx context.Context) error {
	defer w.aside.Wait()
	n, err := w.first(ctx)
	for err == nil {
		n, err = w.frame(ctx, w.place(n))
	}
	return err
}

// place gives the frame to go on with instead of n.
func (w *Worker) place(n int64) int64 {
	if w.clockSet() {
		return w.follow()
	}
	to := w.grid.skip(n, w.clk.Now())
	w.report.Skipped += uint64(to - n)
	return to
}

// clockSet is whether the clock has been set and follow has to be called.
func (w *Worker) clockSet() bool {
	w.set = w.set || w.steps.Look() != 0
	return w.set
}

// follow starts the grid anew by a clock that has been set. Pictures and sounds
// stamped before are of no time that there is.
func (w *Worker) follow() int64 {
	w.set = false
	w.in.forget()
	w.sound.restart()
	n := media.FrameAt(w.clk.Now(), w.grid.rate) + 1
	slog.Info("the clock was set, the picture goes on with it", "frame", n)
	return n
}

// first waits for the source's first frame, and for no longer than settle or
// until the source says that none will come.
func (w *Worker) first(ctx context.Context) (n int64, err error) {
	until := w.clk.Now() + settle
	for {
		now := w.clk.Now()
		s, _ := w.in.signal()
		if t := w.in.newest(); t != 0 {
			return w.grid.of(t), nil
		}
		if now >= until || s != drivers.Starting {
			return media.FrameAt(now, w.grid.rate) + 1, nil
		}
		if err := w.pause(ctx, until); err != nil {
			return 0, err
		}
	}
}

// pause waits for a frame, a change of state, or t.
func (w *Worker) pause(ctx context.Context, t int64) error {
	reached, stop := w.clk.After(t)
	defer stop()
	select {
	case <-w.in.wake:
		return nil
	case <-reached:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// frame makes frame n of the grid, and gives the next.
func (w *Worker) frame(ctx context.Context, n int64) (next int64, err error) {
	c, err := w.await(ctx, n)
	if err != nil || c == wait { // the clock was set meanwhile
		return n, err
	}
	p, f := w.choose(n, c)
	if bps := w.bitrate.Swap(0); bps != 0 {
		if err := w.enc.SetBitrate(int(bps)); err != nil {
			slog.Error("bitrate stays as it is", "err", err) // the stream is worth more
		}
	}
	start := time.Now()
	p.Data, p.Key, err = w.enc.Encode(f, n, p.Key)
	if err != nil {
		return n, fmt.Errorf("encode frame %d: %w", n, err)
	}
	w.encoding.add(time.Since(start))
	w.behind = max(w.behind, media.FrameAt(w.clk.Now(), w.grid.rate)-n)
	if err := w.out.Picture(p); err != nil {
		return n, err
	}
	return n + 1, w.after(w.clk.Now())
}

// await waits until it is clear what frame n will show. It gives up with wait
// when the clock is set: there may be no frame n then.
func (w *Worker) await(ctx context.Context, n int64) (choice, error) {
	for {
		if w.clockSet() {
			return wait, ctx.Err()
		}
		c := w.grid.choose(n, w.clk.Now(), w.in.newest())
		if c != wait {
			return c, ctx.Err()
		}
		if err := w.pause(ctx, w.grid.deadline(n)); err != nil {
			return c, err
		}
	}
}

// choose gives the frame to encode as frame n and how to mark it: the source's,
// or the slate when the source has been silent for too long.
func (w *Worker) choose(n int64, c choice) (program.Picture, *media.Frame) {
	p := program.Picture{Frame: n, Key: w.needKey.Swap(false)}
	now := w.clk.Now()
	state, cause := w.in.signal()
	live := state == drivers.Streaming
	if live != w.streaming || w.slate.since.IsZero() {
		w.streaming, w.slate.since = live, time.Unix(0, now).UTC()
	}
	var f *media.Frame
	var fresh bool
	switch {
	case !live:
		var current bool
		f, fresh, current = w.slate.draw(state, cause)
		live = w.live && !current // the last frame stays until the slate is drawn
	case !w.live && c != take: // what was shown last is of before the slate
		f, live = w.slate.frame, false
	}
	if live != w.live {
		w.live, p.Key = live, true
		w.sound.muted.Store(!live)
		slog.Info("input", "state", state.String(), "cause", cause)
	}
	if !live {
		p.Key = p.Key || fresh
		p.Flags = h264.Slate
		w.report.Slates++
		return p, f
	}
	f = w.in.shown
	p.Flags = h264.Live
	if c == take {
		f = w.in.take()
	} else {
		p.Flags |= h264.Repeated
		w.report.Repeated++
	}
	w.look.Write(f, clock.Elapsed(w.clk))
	p.Capture = f.Time
	return p, f
}

// after does what belongs to no frame: silence and reports.
func (w *Worker) after(now int64) error {
	if err := w.soundErr.Load(); err != nil {
		return *err
	}
	if w.sound.lacks(now) && w.filling.CompareAndSwap(false, true) {
		w.beside(func() {
			defer w.filling.Store(false)
			w.heard(w.sound.fill(w.clk.Now())) // it may have been set since
		})
	}
	state, cause := w.in.signal()
	now = clock.Elapsed(w.clk)
	if now-w.reported < reportEvery && state.String() == w.report.State && cause == w.report.Cause {
		return nil
	}
	w.fillReport(now, state, cause)
	return w.out.JSON(link.Health, w.report)
}

func (w *Worker) fillReport(now int64, state drivers.State, cause string) {
	r := &w.report
	r.State, r.Cause, r.Device = state.String(), cause, w.work.Source
	if d := w.device.Load(); d != nil {
		r.Device, r.Mode, r.Counts, r.Warning = d.Name, d.Mode, d.Counts(), d.Warning
	}
	w.in.mu.Lock()
	r.Width, r.Height, r.FramesIn, r.Dropped = w.in.width, w.in.height, w.in.frames, w.in.dropped
	r.ScaleMS, _ = w.in.scaling.take()
	r.ConvertMS, _ = w.in.converting.take()
	w.in.mu.Unlock()
	if w.reported != 0 && now > w.reported {
		r.FPS = float64(r.FramesIn-w.framesAt) * 1e9 / float64(now-w.reported)
	}
	w.reported, w.framesAt = now, r.FramesIn
	r.EncodeMS, r.EncodeMaxMS = w.encoding.take()
	r.Queue, w.behind = w.behind, 0
	w.sound.report(r)
	r.Picture = w.look.Values()
	r.Restarts = w.restarts.Load()
}

// Serve receives the parent's messages until the pipe ends: it calls task for
// the task and each time that it has other labels, need for each call for a
// keyframe, and rate for a bitrate in bit/s.
func Serve(r *link.Reader, task func(link.Work), need func(), rate func(int)) error {
	for {
		m, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch m.Kind {
		case link.Task:
			var work link.Work
			if err := m.JSON(&work); err != nil {
				return err
			}
			task(work)
		case link.NeedKey:
			need()
		case link.Bitrate:
			bps, err := m.Bitrate()
			if err != nil {
				return err
			}
			rate(bps)
		}
	}
}
