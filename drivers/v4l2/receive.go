package v4l2

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"syscall"
	"time"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/internal/clock"
)

const (
	// queryEvery is how often an input is asked for its signal, whatever events
	// say: they get lost.
	queryEvery = time.Second
	// settleEvery is how often while it changes. Two answers have to be the same
	// before a signal is taken: in the first moments receivers see wrong ones.
	settleEvery = 200 * time.Millisecond
	// restless is how many different answers in a row make a signal that is none.
	restless = 3
)

// errSignal ends a stream whose signal isn't what it was.
var errSignal = errors.New("the signal on the HDMI input has changed")

// receiver is a device that tells about its signal. It streams only while there
// is one, because timings can't be set otherwise, and because without a signal
// some devices go on delivering a picture of their own at full rate.
type receiver struct {
	s    *Source
	d    Device
	in   Input
	sink drivers.Sink

	set     Timings // what it streams
	changes <-chan struct{}
	again   *timer
	said    string
}

// receive delivers a receiver's frames for as long as it is there.
func (s *Source) receive(ctx context.Context, d Device, sink drivers.Sink) error {
	var in Input
	err := s.call(ctx, openPatience, func() (err error) { in, err = s.cfg.Kernel.Input(d.Node); return err },
		func() { in.Close() })
	if err != nil {
		return err
	}
	defer func() {
		if err := s.call(context.WithoutCancel(ctx), closePatience, in.Close, nil); err != nil {
			slog.Debug("close", "device", d.String(), "err", err)
		}
	}()
	r := &receiver{s: s, d: d, in: in, sink: sink, changes: in.Changes(), again: newTimer(s.cfg.Clock)}
	defer func() { r.again.stop() }()
	s.edidRefused = ""
	if err := r.tellEDID(ctx); err != nil {
		return err
	}
	for {
		m, err := r.await(ctx)
		if err != nil {
			return err
		}
		if err := s.deliver(ctx, r.d, m, sink, r); !errors.Is(err, errSignal) {
			return err
		}
	}
}

// tellEDID sees to it that the input has its EDID.
func (r *receiver) tellEDID(ctx context.Context) error {
	var warning string
	if err := r.s.call(ctx, openPatience, func() error { warning = r.s.tellEDID(r.in); return nil }, nil); err != nil {
		return err
	}
	if warning != r.d.Warning && warning != "" {
		slog.Warn("capture device", "device", r.d.String(), "cause", warning)
	}
	r.d.Warning = warning
	return nil
}

// query asks what is on the cable, and what that means.
func (r *receiver) query(ctx context.Context) (t Timings, state drivers.State, cause string, err error) {
	err = r.s.call(ctx, openPatience, func() error {
		var qerr error
		t, qerr = r.in.Query()
		state, cause = verdict(r.d.Node, r.in, t, qerr)
		return nil
	}, nil)
	if err == nil && (state == drivers.NoDevice || state == drivers.Frozen) {
		err = failure(state, errors.New(cause))
	}
	return t, state, cause, err
}

// await waits for a signal that stands, sets the device to it and chooses how to
// read it. Meanwhile it says why there is no picture.
func (r *receiver) await(ctx context.Context) (Mode, error) {
	var last Timings
	for changed := 0; ; {
		t, state, cause, err := r.query(ctx)
		if err != nil {
			return Mode{}, err
		}
		pause := queryEvery
		switch {
		case !seen(t, state):
			t, changed = Timings{}, 0
			if err := r.tellEDID(ctx); err != nil { // without one nobody sends anything
				return Mode{}, err
			}
			r.tell(state, cause)
		case !t.same(last):
			pause = settleEvery
			if changed++; changed > restless {
				r.tell(drivers.NoLock, "the signal on the HDMI input keeps changing")
			}
		case state == drivers.Unsupported:
			r.tell(state, cause)
		default:
			m, err := r.take(ctx, t)
			if e := new(drivers.Error); err == nil || !errors.As(err, &e) || e.State != drivers.OutOfRange && e.State != drivers.Unsupported {
				return m, err
			}
			r.tell(stateOf(err), err.Error())
		}
		last = t
		if err := r.wait(ctx, pause); err != nil {
			return Mode{}, err
		}
	}
}

// seen says that there is a signal, whether it can be taken or not.
func seen(t Timings, state drivers.State) bool {
	return t.Width > 0 && (state == drivers.Streaming || state == drivers.Unsupported)
}

// wait waits for a while; of a long one a change is the end.
func (r *receiver) wait(ctx context.Context, d time.Duration) error {
	if d < queryEvery {
		return clock.Sleep(ctx, r.s.cfg.Clock, d)
	}
	r.again.set(d)
	select {
	case <-r.again.reached:
	case _, more := <-r.changes:
		r.changed(more)
	case <-ctx.Done():
	}
	return ctx.Err()
}

// changed takes note of an event.
func (r *receiver) changed(more bool) {
	if !more {
		r.changes = nil // gone: the next query says so
	}
}

// take sets the device to a signal and chooses the format to read.
func (r *receiver) take(ctx context.Context, t Timings) (m Mode, err error) {
	var pixels []string
	err = r.s.call(ctx, openPatience, func() (err error) {
		if is, err := r.in.Timings(); err != nil || is != t {
			if err := r.in.SetTimings(t); err != nil {
				return notSet(r.d.Node, t, err)
			}
		}
		pixels, err = r.in.Pixels()
		return err
	}, nil)
	if err != nil {
		return m, err
	}
	r.d.Modes, r.set = nil, t
	readable := false
	for _, p := range pixels {
		m := Mode{Width: t.Width, Height: t.Height, Rate: t.Rate(), Pixel: p}
		r.d.Modes = append(r.d.Modes, m)
		readable = readable || m.readable()
	}
	m, _, err = r.s.cfg.Choose(r.d)
	switch {
	case err != nil && readable:
		err = failure(drivers.OutOfRange, fmt.Errorf("the HDMI input has %v, which is more than this machine can read", t))
	case err != nil:
		err = failure(drivers.Unsupported, fmt.Errorf("the capture device %v: %w", r.d, err))
	}
	r.s.why = fmt.Sprintf("the HDMI input has %v", t)
	return m, err
}

// notSet explains an errno of VIDIOC_S_DV_TIMINGS.
func notSet(node string, t Timings, err error) error {
	switch {
	case errors.Is(err, syscall.EBUSY):
		return failure(drivers.NoDevice, fmt.Errorf("the capture device %s is used by another program", node))
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ERANGE):
		return failure(drivers.OutOfRange, fmt.Errorf("the HDMI input has %v, which the capture device can't be set to", t))
	case errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.ENXIO):
		return failure(drivers.NoDevice, fmt.Errorf("the capture device %s is gone", node))
	}
	return failure(drivers.Failed, fmt.Errorf("the capture device %s can't be set to %v: %w", node, t, err))
}

// due are the channels that say when to check; nil of a device that isn't a
// receiver.
func (r *receiver) due() (changes, again <-chan struct{}) {
	if r == nil {
		return nil, nil
	}
	return r.changes, r.again.reached
}

// start begins to watch over a stream.
func (r *receiver) start() {
	if r != nil {
		r.said = ""
		r.again.set(queryEvery)
	}
}

// check ends the stream when its signal isn't the one that it began with, and
// says so before that: to close a device takes its time.
func (r *receiver) check(ctx context.Context) error {
	r.again.set(queryEvery)
	t, state, cause, err := r.query(ctx)
	switch {
	case err != nil:
		return err
	case state == drivers.Streaming && t.same(r.set):
		return nil
	case seen(t, state):
		state, cause = drivers.Starting, fmt.Sprintf("the signal on the HDMI input has changed: it is %v now", t)
	}
	r.tell(state, cause)
	return errSignal
}

// tell says a state, and logs it once. What is wrong with the EDID may be why
// nothing comes, or nothing that can be taken.
func (r *receiver) tell(state drivers.State, cause string) {
	if r.d.Warning != "" {
		cause += "; " + r.d.Warning
	}
	r.sink.State(state, cause)
	if cause != r.said {
		r.said = cause
		slog.Warn("capture", "state", state.String(), "cause", cause)
	}
}
