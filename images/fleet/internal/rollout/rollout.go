// Package rollout updates the boxes of an event in an order that keeps a bad
// bundle from harming more than one: all are looked at, one canary gets it and
// must commit it, then the others follow, some at a time. The first failure
// ends it: who is on trial comes to an end, nobody else begins.
//
// Each box decides by itself whether its trial is good; see boxd. What is known
// here is asked from it.
package rollout

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/openvideobox/videobox/images/fleet/internal/box"
	"github.com/openvideobox/videobox/internal/clock"
)

// Bundle is what the boxes get.
type Bundle struct {
	Version string
	Build   int64 // Unix seconds
	Board   string
	Data    io.ReaderAt
	Size    int64
}

// Target is a box to update.
type Target struct {
	Name, Room string
	Box        box.Box
}

// Plan is an update of many boxes.
type Plan struct {
	Targets  []Target
	Bundle   Bundle
	Parallel int      // boxes at a time, after the canary
	Canary   string   // a box's name; "": the first that may be updated
	Force    []string // busy, older
	Clock    clock.Clock
	Changed  func(Row) // is told of each change of a row, one at a time; may be nil
}

// Phase is where a box is in its update.
type Phase string

// The phases in which something goes on; a row whose Result is set is done.
const (
	Looking  Phase = "looking"
	Waiting  Phase = "waiting"
	Sending  Phase = "sending"
	Away     Phase = "away, trying again"
	Trying   Phase = "on trial"
	Finished Phase = "finished"
)

// Result is what became of a box.
type Result string

// The results.
const (
	Updated    Result = "updated"
	Already    Result = "has it already"
	InUse      Result = "in use"
	Newer      Result = "has a newer one"
	OtherBoard Result = "another board"
	NoAnswer   Result = "no answer"
	Failed     Result = "FAILED"
	OnTrial    Result = "on trial" // when this was interrupted; the box decides by itself
	Untouched  Result = "untouched"
)

// Row is one box.
type Row struct {
	Box, Room string
	From, To  string // versions, as far as known
	Phase     Phase
	Sent      int64 // bytes of the bundle that the box has
	Size      int64
	Trying    time.Duration // for how long it is on trial
	Result    Result
	Outage    time.Duration // of the stream; -1 unknown
	Reason    string
	Note      string // what the box couldn't find out before it got the bundle, or ""
	Canary    bool
}

// rollout is a Plan as it runs.
type rollout struct {
	Plan
	mu     sync.Mutex
	rows   []Row
	failed string // the name of the first box that did
	stop   context.CancelCauseFunc
}

// errStopped ends what has no effect on a box yet.
var errStopped = errors.New("stopped")

// lookers is how many boxes are looked at at a time; one answers in a moment.
const lookers = 16

// Run updates the boxes and says what became of each, in the order of the
// targets. When the context ends, boxes on trial are left to themselves.
func (p Plan) Run(ctx context.Context) []Row {
	r := &rollout{Plan: p, rows: make([]Row, len(p.Targets))}
	for i, t := range p.Targets {
		r.rows[i] = Row{Box: t.Name, Room: t.Room, Phase: Looking, Size: p.Bundle.Size, Outage: -1}
	}
	// gentle ends with the first failure; ctx doesn't.
	gentle, stop := context.WithCancelCause(ctx)
	r.stop = stop
	defer stop(nil)
	all := make([]int, len(p.Targets))
	for i := range all {
		all[i] = i
	}
	r.each(gentle, lookers, all, func(i int) { r.look(ctx, i) })
	r.inTurn(ctx, gentle, r.candidates(all))
	r.leave(ctx)
	return r.rows
}

// inTurn updates a canary and, once one has committed the bundle, the others.
// One that turns out to be in use proves nothing, so the next takes its place.
func (r *rollout) inTurn(ctx, gentle context.Context, queue []int) {
	one := func(i int) { r.update(ctx, gentle, i) }
	for len(queue) > 0 && gentle.Err() == nil {
		n := r.canary(queue)
		if n < 0 {
			return
		}
		i := queue[n]
		queue = slices.Delete(queue, n, n+1)
		r.set(i, func(w *Row) { w.Canary = true })
		r.each(gentle, 1, []int{i}, one)
		if r.row(i).Result == Updated {
			r.each(gentle, max(r.Parallel, 1), queue, one)
			return
		}
	}
}

// each does something for some boxes, n at a time, until the context ends.
func (r *rollout) each(ctx context.Context, n int, list []int, do func(i int)) {
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(n, len(list)) {
		wg.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for _, i := range list {
		if ctx.Err() != nil {
			break
		}
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	wg.Wait()
}

// candidates are the boxes without a result yet.
func (r *rollout) candidates(all []int) (list []int) {
	for _, i := range all {
		if r.row(i).Result == "" {
			list = append(list, i)
		}
	}
	return list
}

// canary is the place in the queue of the box that goes first, or -1.
func (r *rollout) canary(queue []int) int {
	if r.Canary == "" {
		return 0
	}
	return slices.IndexFunc(queue, func(i int) bool { return r.Targets[i].Name == r.Canary })
}

// leave says of the boxes that nobody touched why.
func (r *rollout) leave(ctx context.Context) {
	why := "no canary was updated"
	switch {
	case r.firstFailed() != "":
		why = "stopped: " + r.firstFailed() + " failed"
	case ctx.Err() != nil:
		why = "interrupted"
	case r.Canary != "":
		why = "the canary " + r.Canary + " was not updated"
	}
	for i := range r.rows {
		if r.row(i).Result == "" {
			r.done(i, Untouched, why)
		}
	}
}

func (r *rollout) row(i int) Row {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rows[i]
}

func (r *rollout) set(i int, change func(*Row)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.rows[i]
	change(&r.rows[i])
	if r.Changed != nil && r.rows[i] != before {
		r.Changed(r.rows[i])
	}
}

func (r *rollout) phase(i int, p Phase) { r.set(i, func(w *Row) { w.Phase = p }) }

// done ends a box's row; a failure ends everything that can still be ended.
func (r *rollout) done(i int, result Result, reason string) {
	r.set(i, func(w *Row) { w.Phase, w.Result, w.Reason = Finished, result, reason })
	if result != Failed {
		return
	}
	r.mu.Lock()
	if r.failed == "" {
		r.failed = r.rows[i].Box
	}
	r.mu.Unlock()
	r.stop(errStopped)
}

func (r *rollout) forced(what string) bool { return slices.Contains(r.Force, what) }

// problem ends a row by an error that a box, or the way to it, gave.
func (r *rollout) problem(ctx context.Context, i int, err error) {
	switch {
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), errStopped):
		r.done(i, Untouched, "stopped: "+r.firstFailed()+" failed"+r.kept(i))
	case ctx.Err() != nil:
		r.done(i, Untouched, "interrupted"+r.kept(i))
	default:
		r.done(i, Failed, err.Error())
	}
}

func (r *rollout) firstFailed() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// kept says that a part of the bundle is on the box.
func (r *rollout) kept(i int) string {
	if r.row(i).Sent > 0 {
		return "; it keeps what it received"
	}
	return ""
}
