package update

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/slot"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/metrics"
)

const (
	lookEvery = time.Second
	// lookForFrame is how often, until the stream has begun.
	lookForFrame = 200 * time.Millisecond
	// steady is for how long all must be as well as before.
	steady = 30 * time.Second
	// patience is the uptime until which that must be reached. Guard waits half a
	// minute longer and asks nobody.
	patience  = 150 * time.Second
	noteEvery = 5 * time.Second
	// plausible is the longest outage that a clock which isn't in sync is
	// believed.
	plausible = 10 * time.Minute
)

// Sight is how the parts of the box are, by name.
type Sight map[string]metrics.State

// least is what is wanted of a trial of which nothing is known.
var least = Sight{
	FirstFrame: metrics.OK, "stream growing": metrics.OK, "recorder growing": metrics.OK, "network link": metrics.OK, Address: metrics.OK, Page: metrics.OK,
}

// Address is the part of a Sight that is OK while the box can be reached.
const Address = "address"

// Page is the part of a Sight that is OK while boxd's page answers, asked as
// anybody would: a trial is watched by boxd, whose page may hang all the same.
const Page = "page"

// FirstFrame is the part of a Sight that is OK once the stream has begun.
const FirstFrame = "first frame"

// worse lists the parts that are worse than before.
func (s Sight) worse(before Sight) (list []string) {
	for name, was := range before {
		if is, ok := s[name]; !ok || is.Worse(was) {
			if !ok {
				is = metrics.Unknown
			}
			list = append(list, fmt.Sprintf("%s is %s, was %s", name, is, was))
		}
	}
	slices.Sort(list)
	return list
}

// sight is nil before there is a page.
func (u *Updater) sight() Sight {
	u.mu.Lock()
	look := u.look
	u.mu.Unlock()
	if look == nil {
		return nil
	}
	return look()
}

// watched is a trial as far as it has been watched.
type watched struct {
	u     *Updater
	card  slot.Card
	trial trial
	good  time.Duration // uptime since when all is as well as before; 0: it isn't
	first time.Duration // uptime of the first frame; 0: none yet
	noted time.Duration
}

// watch follows a trial to its end.
func (u *Updater) watch(ctx context.Context, c slot.Card) error {
	if err := c.Settle(); err != nil {
		slog.Warn("the boot partition", "error", err)
	}
	w := watched{u: u, card: c, trial: trial{From: Version{Slot: slotName(c.Other())}, To: u.running, Before: least}}
	u.mu.Lock()
	if u.record.Trial != nil {
		w.trial = *u.record.Trial
	} else { // begun by somebody else
		u.record.Trial = &w.trial
	}
	u.mu.Unlock()
	if _, asked := w.trial.Before[Page]; !asked { // by a version that didn't ask; least has it
		before := Sight{Page: metrics.OK}
		maps.Copy(before, w.trial.Before)
		w.trial.Before = before
	}
	for {
		if done, err := w.step(); done {
			return err
		}
		every := lookEvery
		if w.first == 0 {
			every = lookForFrame
		}
		if err := clock.Sleep(ctx, u.o.Clock, every); err != nil {
			return err
		}
	}
}

// step looks once.
func (w *watched) step() (done bool, err error) {
	up, sight := w.u.o.Uptime(), w.u.sight()
	if w.first == 0 && sight[FirstFrame] == metrics.OK {
		w.first = up
	}
	worse := sight.worse(w.trial.Before)
	if sight == nil {
		worse = []string{"boxd's page has not begun"}
	}
	if w.card.OldInit { // what would run after the next start is not what runs here
		return true, w.giveUp("the new root's init could not be started")
	}
	if len(worse) > 0 {
		w.good = 0
	} else if w.good == 0 {
		w.good = up
	}
	switch {
	case w.good != 0 && up-w.good >= steady:
		return true, w.commit()
	case up >= patience:
		return true, w.giveUp(w.late(worse))
	}
	w.note(up, worse)
	return false, nil
}

// AsWell is what a trial looks like in which nothing is worse than before.
const AsWell = "all was as well as before"

// note says what was seen last, in case that the box restarts in this moment.
func (w *watched) note(up time.Duration, worse []string) {
	text := AsWell
	if len(worse) > 0 {
		text = strings.Join(worse, ", ")
	}
	if text == w.trial.Seen || w.noted != 0 && up-w.noted < noteEvery {
		return
	}
	w.noted, w.trial.Seen = up, text
	if err := w.u.keepRecord(func(r *record) { t := w.trial; r.Trial = &t }); err != nil {
		slog.Error("the trial can't be noted", "error", err)
	}
}

func (w *watched) commit() error {
	if err := w.card.Commit(); err != nil {
		return w.giveUp("it could not be committed: " + err.Error())
	}
	took, outage := w.outage()
	w.u.end(w.card, Committed, "", took, outage)
	return nil
}

// late says why a trial's time is over.
func (w *watched) late(worse []string) string {
	if len(worse) == 0 {
		return fmt.Sprintf("not steadily as well as before within %v; before: %s", patience, w.trial.Seen)
	}
	return fmt.Sprintf("not as well as before within %v: %s", patience, strings.Join(worse, ", "))
}

// giveUp restarts the box, which comes up with the old root.
func (w *watched) giveUp(reason string) error {
	w.trial.Reason = reason
	if err := w.u.keepRecord(func(r *record) { t := w.trial; r.Trial = &t }); err != nil {
		slog.Error("the trial's end can't be noted", "error", err)
	}
	return w.u.o.Restart("the update on trial is given up: " + reason)
}

// outage is for how long the stream was away, and what took the time. The
// restart was at a time of the clock, which a board may have lost; all after it
// is told by the uptime.
func (w *watched) outage() ([]Step, float64) {
	if w.first == 0 || w.trial.Requested.IsZero() {
		return nil, -1
	}
	ms := func(d time.Duration) float64 { return float64(d.Milliseconds()) }
	kernel := w.u.now().Add(-w.u.o.Uptime()) // when it started
	off := kernel.Sub(w.trial.Requested)
	known := off > 0 && (w.u.o.InSync() && w.trial.InSync || off < plausible)
	steps := []Step{{"kernel, init, start of boxd", ms(w.u.started)}, {"start of capture, first frame", ms(max(0, w.first-w.u.started))}}
	if w.first < w.u.started {
		steps = []Step{{"kernel, init, first frame", ms(w.first)}}
	}
	if !known {
		return steps, -1
	}
	return append([]Step{{"restart, firmware", ms(off)}}, steps...), ms(off + w.first)
}

// settle finds out how a trial of an earlier start has ended.
func (u *Updater) settle(c slot.Card) {
	u.mu.Lock()
	t := u.record.Trial
	u.mu.Unlock()
	if t == nil {
		return
	}
	if t.To.Slot == slotName(c.Running) {
		u.end(c, Committed, "", nil, -1)
		return
	}
	reason, said := t.Reason, u.guardSaid()
	switch {
	case reason != "":
	case said != "":
		reason = said
	case t.Seen != "":
		reason = "the box restarted by itself; a kernel that crashed, or the power"
	default:
		reason = "the box restarted before the new boxd could say anything: init or kernel crashed, or the power went"
	}
	if t.Seen != "" && t.Reason == "" {
		reason += "; seen last: " + t.Seen
	}
	u.end(c, Failed, reason, nil, -1)
}

// end writes down how an update has ended, and forgets its bundle.
func (u *Updater) end(c slot.Card, result State, reason string, took []Step, outage float64) {
	err := u.keepRecord(func(r *record) {
		t := r.Trial
		r.Trial = nil
		r.Last = &Last{From: t.From.String(), To: t.To.String(), Result: result, Reason: reason, OutageMS: outage, Took: took, At: u.now()}
	})
	slog.Info("update", "result", result, "reason", reason, "outage_ms", outage, "took", took, "slot", slotName(c.Running), "error", err)
	u.mu.Lock()
	u.trial = false
	u.mu.Unlock()
	u.forget()
	u.markTrial(false)
}
