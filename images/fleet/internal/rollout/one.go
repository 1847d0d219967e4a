package rollout

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/openvideobox/videobox/images/fleet/internal/box"
	"github.com/openvideobox/videobox/internal/clock"
)

// How long a box is waited for. A trial takes 3 min at most, and a restart on
// either side of it. A question may take 15 s more.
const (
	pause     = 2 * time.Second // between two questions
	trialTime = 10 * time.Minute
	awayTime  = 5 * time.Minute // without an answer
	stillTime = time.Minute     // in which a trial was to begin
	sameTries = 45              // uploads without a byte more: a box may be at one that broke off for 30 s
)

// look asks a box what it runs, and decides whether it gets the bundle. What it
// finds may have changed when its turn comes, so it is asked again then.
func (r *rollout) look(ctx context.Context, i int) (u box.Update, wanted bool) {
	u, err := r.Targets[i].Box.Update(ctx)
	if errors.Is(err, box.ErrAway) { // one packet may be lost
		u, err = r.Targets[i].Box.Update(ctx)
	}
	switch {
	case errors.Is(err, box.ErrAway):
		r.done(i, NoAnswer, err.Error())
		return u, false
	case err != nil:
		r.problem(ctx, i, err)
		return u, false
	}
	result, why := r.judge(u)
	r.set(i, func(w *Row) {
		if w.From, w.To, w.Phase, w.Note = u.Running.Version, u.Running.Version, Waiting, u.Note; result != "" {
			w.Note = "" // it is left alone
		}
	})
	if result != "" {
		r.done(i, result, why)
	}
	return u, result == ""
}

// judge says why a box doesn't get the bundle, or nothing.
func (r *rollout) judge(u box.Update) (result Result, why string) {
	run, b := u.Running, r.Bundle
	switch {
	case run.Board != b.Board:
		return OtherBoard, "is a " + run.Board + ", the bundle is for " + b.Board
	case u.State == box.Trial && !r.ours(u):
		return InUse, "another update is on trial"
	case run.Build == b.Build && u.State != box.Trial:
		return Already, ""
	case run.Build > b.Build && !r.forced("older"):
		return Newer, "--force older puts the older one on it"
	case u.State == box.Trial:
		return "", ""
	case u.Busy.Reason != "" && !r.forced("busy"):
		return InUse, u.Busy.Reason
	case u.Refused != "" && !r.forced("busy"):
		return InUse, u.Refused
	}
	return "", ""
}

// ours says whether what the box has received, or tries, is this bundle.
func (r *rollout) ours(u box.Update) bool {
	return u.Incoming.Build == r.Bundle.Build && u.Incoming.Version == r.Bundle.Version || u.State == box.Trial && u.Running.Build == r.Bundle.Build
}

// update takes a box from its first byte to the end of its trial. Up to the
// trial it can be stopped.
func (r *rollout) update(ctx, gentle context.Context, i int) {
	u, ok := r.look(gentle, i)
	if !ok {
		return
	}
	before := u.Last
	if u.State != box.Trial {
		u, err := r.send(gentle, i, u)
		if err == nil {
			err = gentle.Err()
		}
		switch {
		case r.row(i).Result != "":
			return
		case err != nil && u.State != box.Trial:
			r.problem(gentle, i, err)
			return
		}
		// From here on the box may have begun, whatever comes back.
		if u.State != box.Trial && !r.start(ctx, i, before) {
			return
		}
	}
	r.phase(i, Trying)
	r.await(ctx, i, before)
}

// start begins the trial. An answer that is lost, or that an interruption
// didn't wait for, is no refusal: the box may have restarted already, so its
// state tells. One that is refused may have been begun by somebody else.
func (r *rollout) start(ctx context.Context, i int, before box.Last) bool {
	for began := r.now(); ; {
		err := r.Targets[i].Box.Start(ctx, r.Force)
		var no *box.Refused
		refused := errors.As(err, &no) || errors.Is(err, box.ErrCredentials)
		if err == nil || errors.Is(err, box.ErrAway) || ctx.Err() != nil && !refused {
			return true
		}
		u, lookErr := r.Targets[i].Box.Update(ctx)
		trial, over := false, false
		if lookErr == nil {
			trial, over = r.elsewhere(i, u, before)
		}
		switch {
		case trial || over:
			return trial
		case no == nil || no.Code != http.StatusConflict || ctx.Err() != nil:
			r.problem(ctx, i, err)
			return false
		case lookErr == nil && (!r.ours(u) || u.Refused != "" && !r.forced("busy")) || r.now()-began >= stillTime:
			r.done(i, InUse, no.Why+"; it keeps the bundle")
			return false
		}
		_ = r.rest(ctx) // somebody else is at it; an interruption is seen above
	}
}

// elsewhere looks whether somebody else has begun the same update: its trial may
// go on, or it is over, which ends the row.
func (r *rollout) elsewhere(i int, u box.Update, before box.Last) (trial, over bool) {
	ended := u.Last.Result != "" && !u.Last.Same(before)
	switch {
	case u.State == box.Trial && r.ours(u):
		return true, false
	case u.Running.Build == r.Bundle.Build && !ended: // a trial's first seconds, in which it doesn't say so
		return true, false
	case u.State == box.Failed && ended && u.Last.To == r.Bundle.Version:
		return false, r.ended(i, u, before)
	}
	result, why := r.judge(u)
	if result == "" || result == InUse && u.State != box.Trial { // the start is refused if it still is
		return false, false
	}
	r.set(i, func(w *Row) { w.To = u.Running.Version })
	r.done(i, result, why)
	return false, true
}

// send gives the box what it lacks of the bundle, again and again as long as
// that brings it further, or until somebody else has done it. It gives what is
// known of the box then.
func (r *rollout) send(ctx context.Context, i int, u box.Update) (box.Update, error) {
	b := r.Targets[i].Box
	same, before := 0, u.Last
	for have := int64(-1); ; {
		if !r.ours(u) && u.Incoming.Received > 0 {
			if err := b.Drop(ctx); err != nil {
				return u, err
			}
			u.Incoming = box.Incoming{}
		}
		if u.State == box.Ready && r.ours(u) {
			r.set(i, func(w *Row) { w.Sent = w.Size })
			return u, nil
		}
		if same++; u.Incoming.Received > have {
			have, same = u.Incoming.Received, 0
		}
		err := r.put(ctx, i, u.Incoming.Received)
		if err == nil {
			r.set(i, func(w *Row) { w.Sent = w.Size })
			return u, nil
		}
		var no *box.Refused
		offset := errors.As(err, &no) && no.Code == http.StatusConflict // asked again, it says which
		if !offset && !errors.Is(err, box.ErrAway) || same >= sameTries {
			return u, err
		}
		if u, err = r.back(ctx, i, err); err != nil {
			return u, err
		}
		trial, over := r.elsewhere(i, u, before)
		if trial {
			u.State = box.Trial
		}
		if trial || over {
			return u, nil
		}
	}
}

// put sends the bundle from an offset on.
func (r *rollout) put(ctx context.Context, i int, offset int64) error {
	r.set(i, func(w *Row) { w.Phase, w.Sent = Sending, offset })
	body := &counted{
		from: io.NewSectionReader(r.Bundle.Data, offset, r.Bundle.Size-offset),
		sent: func(n int64) { r.set(i, func(w *Row) { w.Sent += n }) },
	}
	return r.Targets[i].Box.Put(ctx, body, offset, r.Bundle.Size-offset)
}

// back waits until a box answers again.
func (r *rollout) back(ctx context.Context, i int, cause error) (box.Update, error) {
	for began := r.now(); r.now()-began < awayTime; {
		if err := r.rest(ctx); err != nil {
			return box.Update{}, err
		}
		u, err := r.Targets[i].Box.Update(ctx)
		if !unheard(err) {
			return u, err
		}
		r.phase(i, Away)
		cause = err
	}
	return box.Update{}, cause
}

func (r *rollout) rest(ctx context.Context) error { return clock.Sleep(ctx, r.Clock, pause) }

// now is for measuring how long something takes, also while the host's clock is
// set.
func (r *rollout) now() time.Duration { return time.Duration(clock.Elapsed(r.Clock)) }

// unheard says whether a box didn't answer, or did so before it could read what
// it is told to: without credentials it opens for nobody.
func unheard(err error) bool {
	var no *box.Refused
	return errors.Is(err, box.ErrAway) || errors.Is(err, box.ErrCredentials) || errors.As(err, &no) && no.Code == http.StatusForbidden
}

// await follows a trial to its end.
func (r *rollout) await(ctx context.Context, i int, before box.Last) {
	began := r.now()
	heard, stirred := began, began // when it answered last, and when it was no longer idle
	for r.now()-began < trialTime {
		if err := r.rest(ctx); err != nil {
			r.done(i, OnTrial, "interrupted; `fleet status` says how it went")
			return
		}
		r.set(i, func(w *Row) { w.Trying = r.now() - began })
		u, err := r.Targets[i].Box.Update(ctx)
		switch {
		case err != nil && ctx.Err() != nil:
			continue // to the interruption
		case unheard(err):
			if stirred = r.now(); stirred-heard >= awayTime {
				r.done(i, Failed, "has not come back from its trial: "+err.Error())
				return
			}
			continue
		case err != nil:
			r.done(i, Failed, "on trial: "+err.Error())
			return
		case r.ended(i, u, before):
			return
		}
		if heard = r.now(); u.State == box.Trial || u.State == box.Idle { // idle: it has forgotten, or doesn't know yet
			stirred = heard
		}
		if heard-stirred >= stillTime {
			r.done(i, Failed, "was told to begin its trial and didn't")
			return
		}
	}
	r.done(i, Failed, "its trial has no end")
}

// ended closes the row once the box says how its trial went. One that starts
// answers before it can read that.
func (r *rollout) ended(i int, u box.Update, before box.Last) bool {
	if u.State == box.Trial || u.Last.Result == "" || u.Last.Same(before) {
		return false
	}
	r.set(i, func(w *Row) {
		if w.To = u.Running.Version; u.Last.From != "" {
			w.From = u.Last.From
		}
		if u.Last.OutageMS >= 0 {
			w.Outage = time.Duration(u.Last.OutageMS * float64(time.Millisecond))
		}
	})
	switch {
	case u.Last.Result == box.Committed && u.Running.Build == r.Bundle.Build:
		r.done(i, Updated, "")
	case u.Last.Reason != "":
		r.done(i, Failed, u.Last.Reason)
	default:
		r.done(i, Failed, "runs "+u.Running.Version+" after its trial and doesn't say why")
	}
	return true
}

// counted tells how much was read.
type counted struct {
	from io.Reader
	sent func(int64)
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.from.Read(b)
	if n > 0 {
		c.sent(int64(n))
	}
	return n, err
}
