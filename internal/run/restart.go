package run

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
)

// ErrEnded is the cause of a restart when the function returned nil, which a
// daemon never does.
var ErrEnded = errors.New("ended without an error")

// Backoff says how long Restart waits: Min after the first failure, twice as
// long after each further one up to Max, and Min again once the function has
// run for Good. The zero value waits 0.1 s to 2 s, and Good is 10 s.
type Backoff struct {
	Min, Max, Good time.Duration
	Clock          clock.Clock  // nil: the system's
	Log            *slog.Logger // nil: the default
	// OnRestart, when set, hears of each failure, counted from 1, before the
	// wait that follows it.
	OnRestart func(n uint64, cause error)
}

func (b Backoff) withDefaults() Backoff {
	if b.Min <= 0 {
		b.Min = 100 * time.Millisecond
	}
	if b.Max <= 0 {
		b.Max = 2 * time.Second
	}
	b.Max = max(b.Max, b.Min)
	if b.Good <= 0 {
		b.Good = 10 * time.Second
	}
	if b.Clock == nil {
		b.Clock = clock.System
	}
	if b.Log == nil {
		b.Log = slog.Default()
	}
	return b
}

// Restart runs f again and again until the context ends, and returns the
// context's error. A panic in f is a failure like any other. A cause that
// repeats is logged once.
func Restart(ctx context.Context, name string, b Backoff, f func(ctx context.Context) error) error {
	b = b.withDefaults()
	wait, logged := b.Min, ""
	for n := uint64(1); ; n++ {
		start := b.Clock.Now()
		err := protect(ctx, f)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			err = ErrEnded
		}
		if time.Duration(b.Clock.Now()-start) >= b.Good {
			wait, logged = b.Min, ""
		}
		if cause := err.Error(); cause != logged {
			b.Log.Warn("restarting", "name", name, "cause", cause, "restarts", n, "wait", wait)
			logged = cause
		}
		if b.OnRestart != nil {
			b.OnRestart(n, err)
		}
		if err := clock.Sleep(ctx, b.Clock, wait); err != nil {
			return err
		}
		wait = min(2*wait, b.Max)
	}
}
