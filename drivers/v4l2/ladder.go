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
)

// step is a rung of the ladder, what is done about a device that hangs.
type step int

// They are taken in this order, each when the one before didn't help.
const (
	reopen      step = iota // close it and open it again
	reset                   // reset its USB port
	reauthorize             // take it off the bus and back, with a reset between
	giveUp                  // replace the process
)

var stepNames = [...]string{"opening it again", "resetting its USB port", "taking it off the bus and back", "replacing the process"}

const (
	// firstPatience is how long a device may deliver nothing before the first step,
	// and before the second; each further one has twice the patience of that
	// before: 2, 2, 4, 8 s.
	firstPatience = 2 * time.Second
	// steady is how long a device has delivered without a break when what was
	// done about it is forgotten.
	steady = 10 * time.Second
	// comeBack is how long a device may take to be there after a step: 0.4 s for
	// the emulated stick, up to 2 s for real ones behind hubs.
	comeBack = 3 * time.Second
	// offTime is how long a device stays unauthorized.
	offTime = 500 * time.Millisecond
	// portReset is how long a port's reset takes, with some room: hubs take 10 to 20
	// ms, root ports 50 (USB 2.0, 7.1.7.5).
	portReset = 100 * time.Millisecond
	// openPatience and closePatience are how long the kernel may hold a call;
	// go4vl needs half a second to close. uvcvideo's requests to a device that
	// doesn't answer take up to 5 s each.
	openPatience  = 3 * time.Second
	closePatience = time.Second
	// stepPatience is how long it may hold a reset, for which it waits until
	// requests in flight to all of the device's drivers have timed out.
	stepPatience = 15 * time.Second
)

// ladder remembers what was done.
type ladder struct {
	next  step
	since int64 // first frame of a run without a break, by the clock; 0: none
	count [giveUp + 1]atomic.Uint64
}

// good notes a frame.
func (l *ladder) good(now int64) {
	if l.since == 0 {
		l.since = now
	}
	if l.next > reopen && now-l.since >= int64(steady) {
		l.next = reopen
	}
}

// patience is how long to wait for a frame before the next step.
func (l *ladder) patience() time.Duration {
	return firstPatience << max(0, l.next-reset)
}

// climb takes the next step against a device that hangs, and waits until it is
// there again.
func (s *Source) climb(ctx context.Context, cause error) error {
	l := &s.ladder
	at := l.next
	if at == reopen && s.held != nil {
		at = reset // what the kernel holds can't be opened
	}
	l.next, l.since = (at+1)%(giveUp+1), 0
	l.count[at].Add(1)
	slog.Warn("the capture device hangs", "cause", cause, "now", stepNames[at])
	var err error
	switch at {
	case reopen:
		return ctx.Err()
	case reset:
		err = s.act(ctx, s.firstly(ctx, cause, s.last.reset))
	case reauthorize:
		err = s.act(ctx, s.firstly(ctx, cause, s.offAndOn(ctx, s.last)))
	default:
		return failure(drivers.Frozen, fmt.Errorf("%w; nothing has helped: %w", drivers.ErrWedged, cause))
	}
	if err != nil {
		slog.Warn("the capture device hangs", "failed", stepNames[at], "err", err)
		return clock.Sleep(ctx, s.cfg.Clock, lookEvery)
	}
	return s.awaitDevice(ctx)
}

// act takes a step that the kernel may hold as well, and goes on without it.
func (s *Source) act(ctx context.Context, step func() error) error {
	done := make(chan error, 1)
	go func() { done <- step() }()
	reached, stop := s.cfg.Clock.After(s.cfg.Clock.Now() + int64(stepPatience))
	defer stop()
	select {
	case err := <-done:
		return err
	case <-reached:
		return errHeld
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d Device) reset() error {
	if !d.OnUSB {
		return errors.New("it isn't on USB")
	}
	return d.USB.Reset()
}

// firstly resets the port of a device that doesn't answer before it takes a step.
// The kernel takes 10 s for that step else: uvcvideo stops the stream by
// CLEAR_FEATURE, the sound is taken from its driver by SET_INTERFACE, and each
// waits for 5 s.
func (s *Source) firstly(ctx context.Context, cause error, step func() error) func() error {
	if !errors.Is(cause, usb.ErrNoAnswer) && !errors.Is(cause, errHeld) {
		return step
	}
	d := s.last
	return func() error {
		if err := d.USB.ResetPort(); err != nil {
			slog.Warn("the capture device hangs", "failed", "resetting its port by the hub", "err", err)
		} else if err := clock.Sleep(ctx, s.cfg.Clock, portReset); err != nil {
			return err
		}
		return step()
	}
}

// offAndOn takes a device off the bus, resets it, and puts it back.
func (s *Source) offAndOn(ctx context.Context, d Device) func() error {
	return func() error {
		if !d.OnUSB {
			return errors.New("it isn't on USB")
		}
		if err := d.USB.Authorize(false); err != nil {
			return err
		}
		err := errors.Join(clock.Sleep(ctx, s.cfg.Clock, offTime), d.USB.Reset())
		// Whatever happens: a device left without authorization is lost.
		return errors.Join(d.USB.Authorize(true), err)
	}
}

// awaitDevice waits until a device that was reset has a node again.
func (s *Source) awaitDevice(ctx context.Context) error {
	for until := s.cfg.Clock.Now() + int64(comeBack); s.cfg.Clock.Now() < until; {
		if err := clock.Sleep(ctx, s.cfg.Clock, lookEvery/2); err != nil {
			return err
		}
		if len(s.last.USB.Video()) > 0 {
			return nil
		}
	}
	return nil // find says what is missing
}

// errHeld says that the kernel holds a call.
var errHeld = errors.New("the capture device doesn't answer")

// call runs f, which a driver may hold for ever. After the patience it goes on
// without it, and no other call begins until the one that is held has returned;
// late undoes what f did then.
func (s *Source) call(ctx context.Context, patience time.Duration, f func() error, late func()) error {
	if s.held != nil {
		if err := s.wait(ctx, patience, s.held); err != nil {
			return err
		}
		s.held = nil
	}
	done := make(chan struct{})
	var err error
	var abandoned atomic.Bool
	go func() {
		defer close(done)
		if err = f(); err == nil && late != nil && !abandoned.CompareAndSwap(false, true) {
			late()
		}
	}()
	if werr := s.wait(ctx, patience, done); werr != nil && !abandoned.CompareAndSwap(false, true) {
		<-done // it returned just now
	} else if werr != nil {
		s.held = done
		return werr
	}
	return err
}

// wait waits for a call's end, but not for ever.
func (s *Source) wait(ctx context.Context, patience time.Duration, done <-chan struct{}) error {
	reached, stop := s.cfg.Clock.After(s.cfg.Clock.Now() + int64(patience))
	defer stop()
	select {
	case <-done:
		return nil
	case <-reached:
		return failure(drivers.Frozen, errHeld)
	case <-ctx.Done():
		return ctx.Err()
	}
}
