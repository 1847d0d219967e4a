package program

import (
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
)

// steps are what a box's clock may be off by before a time server answers.
var steps = []time.Duration{50 * 365 * 24 * time.Hour, -50 * 365 * 24 * time.Hour, 5 * time.Minute, -3 * time.Second, 300 * time.Millisecond, -300 * time.Millisecond, 30 * time.Millisecond}

// timed is a rig with a clock that is moved.
func timed(t *testing.T) (*rig, *clock.Held) {
	r := newRig(t)
	held := clock.NewHeld(t0)
	r.stream.o.Clock, r.stream.steps = held, clock.NewSteps(held)
	r.n = media.FrameAt(t0, 25)
	return r, held
}

// pace is k frames of live picture and sound in their time.
func (r *rig) pace(held *clock.Held, k int) {
	r.t.Helper()
	for range k {
		r.live(1)
		held.Advance(40 * time.Millisecond)
		if _, err := r.stream.fill(); err != nil {
			r.t.Fatal(err)
		}
	}
}

func TestAStepOfTheClockIsOneDiscontinuity(t *testing.T) {
	for _, d := range steps {
		r, held := timed(t)
		r.pace(held, 60)
		before, sent := r.report(), len(r.stamps)
		held.Step(d)
		// What was encoded before the step is still on its way: two pictures.
		r.live(2)
		r.n = media.FrameAt(held.Now(), 25) // the encoder has noticed too
		r.audio.Reset()
		r.pace(held, 60)
		after := r.report()
		if n := after.Discontinuities - before.Discontinuities; n != 1 || after.Continuity != 0 || after.PCRJumps != 0 {
			t.Errorf("%v: %d discontinuities, %d continuity errors, %d PCR jumps; %q", d, n, after.Continuity, after.PCRJumps, after.Faults())
		}
		if s := r.stream.Stats(); s.Jumps != 1 {
			t.Errorf("%v: %+v", d, s)
		}
		r.checkEpochs(d, sent)
	}
}

// checkEpochs wants one new epoch after the first sent frames, which begins with
// an IDR, soon, at the right time, and with live pictures soon after.
func (r *rig) checkEpochs(d time.Duration, sent int) {
	r.t.Helper()
	old, fresh := r.stamps[0], h264.Stamp{}
	live := -1
	for i, s := range r.stamps {
		switch {
		case s.Epoch == old.Epoch && fresh.Epoch != 0:
			r.t.Fatalf("%v: frame %d is of the old epoch again", d, s.Frame)
		case s.Epoch == old.Epoch:
			continue
		case fresh.Epoch == 0:
			fresh = s
			off := time.Duration(s.Program - r.stamps[sent-1].Program)
			if lost := off - d; lost < 0 || lost > 200*time.Millisecond || i > sent+3 {
				r.t.Errorf("%v: the picture goes on %v later, by the old clock %v; %d frames after", d, off, lost, i-sent)
			}
		case s.Epoch != fresh.Epoch:
			r.t.Fatalf("%v: a third epoch", d)
		}
		if s.Flags&h264.Live != 0 && live < 0 {
			live = int(s.Frame - fresh.Frame)
		}
	}
	if live < 0 || live > 12 {
		r.t.Errorf("%v: live %d frames after the step, at most 12", d, live)
	}
}

// While the slate is on, too.
func TestAStepOfTheClockInTheSlate(t *testing.T) {
	for _, d := range steps {
		r, held := timed(t)
		r.pace(held, 20)
		idle := func(k int) {
			for range k {
				held.Advance(40 * time.Millisecond)
				if _, err := r.stream.fill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		r.stream.SetAbsent(true)
		idle(40)
		before, sent := r.report(), len(r.stamps)
		held.Step(d)
		idle(25)
		after := r.report()
		if n := after.Discontinuities - before.Discontinuities; n != 1 || after.Continuity+after.PCRJumps != 0 {
			t.Errorf("%v: %d discontinuities, %q", d, n, after.Faults())
		}
		if got := len(r.stamps) - sent; got < 20 || got > 26 {
			t.Errorf("%v: %d frames in a second after the step", d, got)
		}
		if s := r.stamps[sent]; s.Epoch == r.stamps[0].Epoch || s.Program < held.Now()-int64(1200*time.Millisecond) || s.Program > held.Now() {
			t.Errorf("%v: first after it %+v", d, s)
		}
	}
}
