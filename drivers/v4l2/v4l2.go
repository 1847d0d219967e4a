// Package v4l2 reads a Video4Linux2 capture device, an HDMI to USB stick above
// all: MJPEG, YUYV, UYVY and NV12.
//
// The kernel is behind a small seam (Kernel): go4vl on real hardware, a fake in
// tests. What the package adds to it: it finds the device and follows it to
// another number; it chooses the mode (Choose says how); frames that arrive out
// of order, damaged or too late are left out and counted; silence is noticed and
// a device that hangs is put right (ladder); time stamps become UTC, colours
// what the driver says they are; and every way in which a device can be missing
// has a state and a cause of its own.
//
// Seen on the emulated MS2131 (345f:2131): up to 10 of 200 small frames arrive
// out of order; short and corrupt MJPEG frames come without an error flag and
// are told by the decoder's warnings alone; short uncompressed ones are dropped
// by the kernel and are a gap in the sequence.
package v4l2

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/drivers/usb"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/media"
)

const (
	// askAfter is how long a device may deliver nothing before it is asked whether
	// it reacts at all.
	askAfter = 300 * time.Millisecond
	// frozenAfter is how long a device may deliver nothing before it counts as
	// frozen: the 250 ms for which capture holds the last frame are over then.
	frozenAfter = time.Second
	// lookEvery is how often a device that isn't there is looked for.
	lookEvery = 250 * time.Millisecond
	// retryEvery is how often a device is tried that can't be used as it is.
	retryEvery = time.Second
	// oldest is the most that a time stamp may lie back; beyond it the driver's
	// clock isn't CLOCK_MONOTONIC and the time of arrival is taken.
	oldest = time.Second
)

// Decode decodes an MJPEG frame into f, whose buffers it reuses, and counts
// what the decoder complained of; internal/codec/jpeg has one.
type Decode func(data []byte, f *media.Frame) (warnings int, err error)

// Config is what to capture.
type Config struct {
	Path                string // /dev/videoN, or Auto
	Width, Height, Rate int    // wanted; the device may give something else
	Decode              Decode

	// Models tells what is known about a USB device; nil: nothing about any.
	Models func(usb.Device) Model
	// Opened hears of each device that is open and about to deliver; nil: nobody.
	Opened func(Device, Format)
	// EDID is what inputs that tell about their signal are given; nil: they keep
	// theirs.
	EDID []byte
	// Mute hears that the device reacts to nothing any more, and that one is open
	// again: whoever asks it meanwhile waits for seconds, and its reset for them.
	// nil: nobody.
	Mute func(bool)
	// Excused says that no pictures have to come now, because the stick itself
	// says that it has no signal; nil: they always have to.
	Excused func() bool

	Kernel Kernel      // nil: Go4vl
	USB    usb.Root    // the zero value is this machine's
	Clock  clock.Clock // of all waiting; nil: the system's
	// Now gives UTC and CLOCK_MONOTONIC of the same instant, in ns; nil: the
	// kernel's.
	Now func() (utc, monotonic int64)
}

func (c Config) withDefaults() Config {
	if c.Kernel == nil {
		c.Kernel = Go4vl
	}
	if c.USB.Sys == "" {
		c.USB = usb.System
	}
	if c.Clock == nil {
		c.Clock = clock.System
	}
	if c.Now == nil {
		c.Now = Now
	}
	if c.Mute == nil {
		c.Mute = func(bool) {}
	}
	return c
}

// Stats counts what came in, what was left out, and what was done about a device
// that hung.
type Stats struct {
	Frames   uint64 // delivered
	Damaged  uint64 // short or corrupt
	Disorder uint64 // arrived after a newer one
	Stale    uint64 // skipped because a newer one had come
	Lost     uint64 // numbers missing in the driver's sequence

	Reopened, Reset, Reauthorized uint64
}

// Source is one device.
type Source struct {
	cfg    Config
	ladder ladder
	last   Device // that was opened last
	good   Device // that delivered last
	why    string // it has its mode
	held   chan struct{}
	asked  atomic.Pointer[Device] // that find has asked last, maybe in vain

	edidWritten bool
	edidTaken   []byte // what was read back then
	edidRefused string // why it isn't written again while this input is open

	choices int // devices that may be meant
	inVain  int // those that couldn't be opened or delivered nothing, in a row
	climbed int // what inVain was at the ladder's last step

	frames, damaged, disorder, stale, lost atomic.Uint64
}

// New makes a source; the device is opened by Run.
func New(c Config) *Source { return &Source{cfg: c.withDefaults()} }

// Stats is a snapshot.
func (s *Source) Stats() Stats {
	return Stats{
		s.frames.Load(), s.damaged.Load(), s.disorder.Load(), s.stale.Load(), s.lost.Load(),
		s.ladder.count[reopen].Load(), s.ladder.count[reset].Load(), s.ladder.count[reauthorize].Load(),
	}
}

// Run opens the device, as often as it takes, and delivers frames until the
// context ends or the device hangs in a way that the ladder doesn't help against:
// then the error is drivers.ErrWedged and the process should be replaced.
func (s *Source) Run(ctx context.Context, sink drivers.Sink) error {
	for said := ""; ; {
		err := s.once(ctx, sink)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, drivers.ErrWedged):
			return err
		case errors.Is(err, errClimbed):
			continue
		}
		state := stateOf(err)
		sink.State(state, err.Error())
		if err.Error() != said {
			said = err.Error()
			slog.Warn("capture", "state", state.String(), "cause", said)
		}
		if err := s.recover(ctx, state, err); err != nil {
			return err
		}
	}
}

// recover does what a failure asks for before the next try.
func (s *Source) recover(ctx context.Context, state drivers.State, cause error) error {
	switch {
	case state == drivers.NoDevice, errors.Is(cause, errStopped):
		return clock.Sleep(ctx, s.cfg.Clock, lookEvery)
	case state != drivers.Frozen:
		return clock.Sleep(ctx, s.cfg.Clock, retryEvery)
	case s.another() && !errors.Is(cause, errHeld): // which holds all others, too
		return ctx.Err()
	}
	s.climbed = s.inVain
	return s.climb(ctx, cause)
}

// another says that a round has begun in which not all devices were tried.
func (s *Source) another() bool {
	tried := s.inVain - s.climbed
	return tried > 0 && tried < s.choices
}

// once finds a device and delivers its frames until it fails.
func (s *Source) once(ctx context.Context, sink drivers.Sink) error {
	var d Device
	var m Mode
	err := s.call(ctx, openPatience, func() (err error) { d, m, err = s.find(); return err }, nil)
	if asked := s.asked.Load(); errors.Is(err, errHeld) && asked != nil {
		s.last = *asked // which a new process knows from this alone
	}
	if err != nil {
		return err
	}
	s.last = d
	if d.Input != nil {
		return s.receive(ctx, d, sink)
	}
	return s.deliver(ctx, d, m, sink, nil)
}

// deliver opens a device in a mode and delivers its frames until it fails, or
// until the signal of a receiver isn't what it was.
func (s *Source) deliver(ctx context.Context, d Device, m Mode, sink drivers.Sink, in *receiver) error {
	s.inVain++ // until it has delivered
	var stream Stream
	err := s.call(ctx, openPatience, func() (err error) { stream, err = s.cfg.Kernel.Open(ctx, d.Node, m); return err },
		func() { stream.Close() })
	if err != nil {
		return err
	}
	defer s.close(ctx, d, stream)
	is := stream.Format()
	if !is.readable() {
		return failure(drivers.Unsupported, fmt.Errorf("the capture device %v gives %v, which can't be read", d, is.Mode))
	}
	slog.Info("capture device", "device", d.String(), "mode", is.String(), "because", s.why)
	s.cfg.Mute(false)
	if s.cfg.Opened != nil {
		s.cfg.Opened(d, is)
	}
	err = s.stream(ctx, d, stream, sink, in)
	if errors.Is(err, usb.ErrNoAnswer) {
		return s.wake(ctx, sink, err)
	}
	return err
}

func (s *Source) close(ctx context.Context, d Device, stream Stream) {
	if err := s.call(context.WithoutCancel(ctx), closePatience, stream.Close, nil); err != nil {
		slog.Debug("close", "device", d.String(), "err", err)
	}
}

// stream delivers frames until the device fails.
func (s *Source) stream(ctx context.Context, d Device, stream Stream, sink drivers.Sink, in *receiver) error {
	r := reader{s: s, is: stream.Format(), frame: media.NewFrame(2, 2)}
	limit := newTimer(s.cfg.Clock)
	defer limit.stop()
	limit.set(askAfter)
	ask := question{device: d}
	in.start()
	for quiet := false; ; {
		changes, again := in.due()
		select {
		case _, more := <-changes:
			in.changed(more)
			if err := in.check(ctx); err != nil {
				return err
			}
		case <-again:
			if err := in.check(ctx); err != nil {
				return err
			}
		case b, ok := <-stream.Buffers():
			if !ok {
				return s.ended(ctx, d, stream)
			}
			b = r.newest(b, stream.Buffers())
			if r.take(b) {
				sink.Video(r.frame)
				s.ladder.good(s.cfg.Clock.Now())
				s.good, s.inVain, s.climbed, quiet = d, 0, 0, false
				limit.set(askAfter)
				ask = question{device: d}
			}
			b.Release()
		case err := <-ask.answer:
			if ask.answer = nil; errors.Is(err, usb.ErrNoAnswer) {
				return failure(drivers.Frozen, err)
			}
		case <-limit.reached:
			switch excused := s.cfg.Excused != nil && s.cfg.Excused(); {
			case ask.put():
				limit.set(frozenAfter - askAfter)
			case excused:
				quiet = false
				limit.set(frozenAfter)
			case quiet:
				return failure(drivers.Frozen, r.silence(d))
			default:
				sink.State(drivers.Frozen, r.silence(d).Error())
				quiet = true
				limit.set(s.ladder.patience() - frozenAfter)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// errStopped is in the error of a stream that ended by itself.
var errStopped = errors.New("it stopped streaming")

// ended is why: the device is gone, or it is there and may stream again at once.
func (s *Source) ended(ctx context.Context, d Device, stream Stream) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.ladder.next, s.ladder.since = reopen, 0
	err := errStopped
	if why := stream.Err(); why != nil {
		err = fmt.Errorf("%w: %w", errStopped, why)
	}
	answers := func() error { _, _, err := s.cfg.Kernel.Modes(d.Node); return err }
	if s.call(ctx, openPatience, answers, nil) == nil {
		return failure(drivers.Failed, fmt.Errorf("the capture device %v failed: %w", d, err))
	}
	return failure(drivers.NoDevice, fmt.Errorf("the capture device %v is gone: %w", d, err))
}

// timer is one of a clock's that can be set anew.
type timer struct {
	clk     clock.Clock
	reached <-chan struct{}
	stop    func()
}

func newTimer(clk clock.Clock) *timer { return &timer{clk: clk, stop: func() {}} }

func (t *timer) set(d time.Duration) {
	t.stop()
	t.reached, t.stop = t.clk.After(t.clk.Now() + int64(d))
}
