package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
)

// dog is a watchdog that nobody feeds yet.
type dog struct{ fed, stopped atomic.Int32 }

func (d *dog) Write(b []byte) (int, error) {
	d.fed.Add(int32(len(b)))
	for _, c := range b {
		if c == 'V' {
			d.stopped.Add(1)
		}
	}
	return len(b), nil
}

func (d *dog) Close() error { return nil }

// TestFeeds: each second, in a trial, a watchdog that nobody has.
func TestFeeds(t *testing.T) {
	for _, tt := range []struct {
		name  string
		trial bool
		err   error
		fed   int32 // in 30 s
	}{
		{"no trial: init has it", false, nil, 0},
		{"a trial whose init has it", true, &fs.PathError{Err: syscall.EBUSY}, 0},
		{"a machine without one", true, &fs.PathError{Err: syscall.ENOENT}, 0},
		{"a trial whose init came too early", true, nil, 31},
	} {
		d, held := &dog{}, clock.NewHeld(0)
		f := feeder{func() bool { return tt.trial }, func() (io.WriteCloser, error) { return d, tt.err }, held}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- f.run(ctx) }()
		for tt.fed > 0 && d.fed.Load() < tt.fed {
			at, err := held.Waited(ctx)
			if err != nil {
				t.Fatal(err)
			}
			held.Set(at)
		}
		if got := time.Duration(held.Now()); tt.fed > 0 && got > time.Duration(tt.fed)*feedEvery {
			t.Errorf("%s: fed %d times in %v", tt.name, tt.fed, got)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := d.fed.Load(); got < tt.fed || got > tt.fed+1 || d.stopped.Load() != 0 {
			t.Errorf("%s: fed %d times, want %d; stopped %d times", tt.name, got, tt.fed, d.stopped.Load())
		}
	}
}
