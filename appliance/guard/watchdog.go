package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/slot"
	"github.com/openvideobox/videobox/internal/clock"
)

const watchdogDevice = "/dev/watchdog"

// feedEvery is as often as gokrazy's init does it. A Pi's watchdog waits for 15 s.
const feedEvery = time.Second

// feeder feeds the hardware's watchdog where init doesn't. That is so in some
// trials of an update: the old root's init has opened it, which cannot be undone,
// and the new root's, which takes its place, looks for it once, while it mounts
// /dev. If it looks too early, a good update is reset in the middle of its trial.
// (gokrazy's Boot, seen with an i6300esb in three trials of ten.)
type feeder struct {
	trial func() bool // the running root was started by a trial, committed since or not
	open  func() (io.WriteCloser, error)
	clock clock.Clock
}

func systemFeeder() feeder {
	return feeder{
		trial: func() bool { c, err := slot.System(); return err == nil && c.OnTrial() },
		open:  func() (io.WriteCloser, error) { return os.OpenFile(watchdogDevice, os.O_WRONLY, 0) },
		clock: clock.System,
	}
}

// run feeds until the context ends, or waits for that where there is nothing to
// feed. Whoever comes after must open the watchdog soon: it isn't stopped.
func (f feeder) run(ctx context.Context) error {
	if !f.trial() {
		<-ctx.Done()
		return ctx.Err()
	}
	w, err := f.open()
	if err != nil {
		if !errors.Is(err, syscall.EBUSY) && !errors.Is(err, fs.ErrNotExist) { // init has it; this machine has none
			slog.Error("guard: the watchdog", "error", err)
		}
		<-ctx.Done()
		return ctx.Err()
	}
	defer w.Close()
	slog.Warn("guard: feeds the hardware's watchdog, which init has come too early for")
	for {
		// Any byte but a V, which would stop it (the kernel's watchdog-api.rst).
		if _, err := w.Write([]byte{0}); err != nil {
			return err
		}
		if err := clock.Sleep(ctx, f.clock, feedEvery); err != nil {
			return err
		}
	}
}
