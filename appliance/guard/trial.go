package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/restart"
	"github.com/openvideobox/videobox/appliance/internal/slot"
)

// trialTime is the uptime after which an update that nobody has committed is
// ended: boxd gives up half a minute before.
const trialTime = 3 * time.Minute

// reasonFile is where boxd looks for why guard has ended a trial.
const reasonFile = "/perm/videobox/update.guard"

// trial ends an update's trial by a restart, after which the old version runs
// again. It asks boxd nothing: whether there is a trial is told by what the
// kernel was started with.
type trial struct {
	uncommitted func() (bool, error)
	uptime      func() (time.Duration, error)
	reason      string // file
	restart     func(why string) error
	over        bool // the trial, or the doubt about it
}

func systemTrial() *trial {
	return &trial{
		uncommitted: func() (bool, error) {
			c, err := slot.System()
			if err != nil {
				return false, nil // no box
			}
			return c.Uncommitted()
		},
		uptime: restart.Uptime, reason: reasonFile, restart: func(why string) error { return restart.Now("guard", why) },
	}
}

// check ends a trial whose time is over.
func (t *trial) check(answer error) {
	if t.over {
		return
	}
	up, err := t.uptime()
	if err != nil || up < trialTime {
		return
	}
	why := fmt.Sprintf("boxd has not committed the update within %v", trialTime)
	if answer != nil {
		why += fmt.Sprintf("; it does not answer: %v", answer)
	}
	t.end(why)
}

// end restarts the box if an update is on trial, else it does nothing. A boot
// partition that can't be read in a trial leaves nothing to wait for.
func (t *trial) end(why string) {
	on, err := t.uncommitted()
	if err != nil {
		why += fmt.Sprintf("; the boot partition can't be read: %v", err)
	} else if !on {
		t.over = true
		return
	}
	slog.Error("guard: ends the trial of an update", "why", why)
	if err := errors.Join(t.say(why), t.restart(why)); err != nil {
		slog.Error("guard: the trial could not be ended", "error", err)
	}
}

// say leaves the reason to the boxd that comes; the data partition may be gone.
func (t *trial) say(why string) error {
	if err := os.MkdirAll(filepath.Dir(t.reason), 0o700); err != nil {
		return err
	}
	return os.WriteFile(t.reason, []byte("guard: "+why+"\n"), 0o600)
}
