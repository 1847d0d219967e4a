package update

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/openvideobox/videobox/appliance/internal/slot"
)

// busy is the mark that somebody has put on the room.
type busy struct {
	Busy   bool   `json:"busy"`
	Reason string `json:"reason"`
}

// readBusy takes a mark that can't be read for one.
func (u *Updater) readBusy() (b busy) {
	if err := u.readJSON(busyFile, &b); err != nil {
		return busy{true, "the mark can't be read: " + err.Error()}
	}
	return b
}

func (u *Updater) setBusy(b busy) error {
	switch {
	case !b.Busy:
		b.Reason = ""
	case b.Reason == "":
		b.Reason = "marked busy"
	}
	u.mu.Lock()
	u.busy = b
	u.mu.Unlock()
	return u.writeJSON(busyFile, b)
}

// inUse says why the room must not be disturbed, or "". A schedule that can't be
// read keeps nobody from updating: it may be away for good.
func (u *Updater) inUse(ctx context.Context) (why, unknown string) {
	u.mu.Lock()
	b := u.busy
	u.mu.Unlock()
	if b.Busy {
		return b.Reason, ""
	}
	talk, err := u.o.Talk(ctx, u.now())
	if errors.Is(err, ErrClock) {
		return "", err.Error()
	}
	if err != nil {
		return "", "the schedule is not known: " + err.Error()
	}
	if talk != "" {
		talk = "a talk: " + talk
	}
	return talk, ""
}

// start prepares the trial of what was received; begin restarts the box into it.
func (u *Updater) start(ctx context.Context, force []string) (begin func(), err error) {
	c, err := u.mayChange()
	if err != nil {
		return nil, err
	}
	u.mu.Lock()
	in := u.in
	u.mu.Unlock()
	if !in.whole() {
		if in == nil {
			return nil, fmt.Errorf("%w: nothing was received", ErrNotWhole)
		}
		return nil, fmt.Errorf("%w: %d of %d bytes", ErrNotWhole, in.received, in.head.Size())
	}
	if in.head.Build <= u.running.Build && !slices.Contains(force, "older") {
		return nil, fmt.Errorf("%w: %s of %s, running %s of %s", ErrOlder, in.head.Version, date(in.head.Build), u.running, date(u.running.Build))
	}
	if why, _ := u.inUse(ctx); why != "" && !slices.Contains(force, "busy") {
		return nil, fmt.Errorf("%w: %s", ErrBusy, why)
	}
	if err := u.prepare(c, in); err != nil {
		return nil, err
	}
	return func() { u.restart(c) }, nil
}

// prepare makes sure of the partition's bytes and says what is to be tried.
func (u *Updater) prepare(c slot.Card, in *incoming) error {
	received, err := onCard(c, in.head)
	if err != nil {
		return err
	}
	if received != in.head.Size() {
		u.mu.Lock()
		in.received = received
		u.mu.Unlock()
		return fmt.Errorf("%w: the card doesn't hold what was written to it, from byte %d on", ErrNotWhole, received)
	}
	t := &trial{
		From: u.running, Before: u.sight(), InSync: u.o.InSync(),
		To: Version{in.head.Version, in.head.Build, in.head.Board, in.head.Arch, slotName(c.Other())},
	}
	u.guardSaid() // of a trial long ago
	err = u.keepRecord(func(r *record) { r.Trial = t })
	if err == nil {
		err = c.Try()
	}
	if err != nil {
		_ = u.keepRecord(func(r *record) { r.Trial = nil }) // the first error says more
	}
	return err
}

// restart is the last that this root does. If it can't, whatever restarts the box
// next must not begin a trial.
func (u *Updater) restart(c slot.Card) {
	var to string
	err := u.keepRecord(func(r *record) { r.Trial.Requested, to = u.now(), r.Trial.To.String() })
	if err == nil {
		err = u.o.Restart("an update to " + to + " is to be tried")
	}
	if err != nil {
		err = errors.Join(err, c.Untry())
		u.end(c, Failed, "the box could not be restarted: "+err.Error(), nil, -1)
	}
}

// list reads a parameter such as older,busy.
func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}
