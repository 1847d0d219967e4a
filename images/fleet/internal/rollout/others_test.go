package rollout

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/fleet/internal/box"
	"github.com/openvideobox/videobox/images/fleet/internal/simbox"
)

// TestSomebodyElse has another admin bring the canary the same bundle, at each
// step of this one: whoever comes second follows the trial of the first.
func TestSomebodyElse(t *testing.T) {
	const put, start, all = 3, 4, simbox.Restart + simbox.Judging // after two looks
	begin := func(_ Bundle, other box.Box) error { return other.Start(context.Background(), nil) }
	wholly := func(b Bundle, other box.Box) error {
		err := other.Put(context.Background(), io.NewSectionReader(b.Data, 0, b.Size), 0, b.Size)
		return errors.Join(err, begin(b, other))
	}
	for name, c := range map[string]struct {
		at     int32         // the request before which the other does it
		later  time.Duration // after which this one goes on
		do     func(b Bundle, other box.Box) error
		fault  func(*simbox.Faults)
		result Result
		reason string
		to     string
	}{
		"starts before the upload":                {put, 0, wholly, nil, Updated, "", "1.3"},
		"has it committed before the upload":      {put, all, wholly, nil, Already, "", "1.3"},
		"has it committed after the upload began": {put, all - time.Second, wholly, nil, Already, "", "1.3"},
		"sees it fail after the upload began":     {put, all - time.Second, wholly, func(b *simbox.Faults) { b.TrialFails = "no picture" }, Failed, "no picture", "1.2"},
		"is about to start":                       {start, 0, begin, func(b *simbox.Faults) { b.Preparing = 9 * time.Second }, Updated, "", "1.3"},
		"starts, and is in its trial":             {start, simbox.Restart, begin, nil, Updated, "", "1.3"},
		"starts, and has it committed":            {start, all, begin, nil, Already, "", "1.3"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 1)
			if c.fault != nil {
				f.Fault(0, c.fault)
			}
			var asked atomic.Int32
			f.Fault(0, func(b *simbox.Faults) {
				b.Asked = func() {
					if asked.Add(1) != c.at {
						return
					}
					if err := c.do(f.plan.Bundle, f.plan.Targets[0].Box); err != nil {
						t.Error(err)
					}
					f.Held.Advance(c.later)
				}
			})
			rows := f.run(t)
			if r := rows[0]; r.Result != c.result || r.Reason != c.reason || r.From != "1.2" || r.To != c.to {
				t.Errorf("%+v", r)
			}
			if _, starts := f.Boxes[0].Touched(); starts != 1 {
				t.Errorf("%d starts", starts)
			}
		})
	}
}

// TestSentAgain has another admin, who looked when nothing was there, begin to
// send the same bundle when this one is about to start it.
func TestSentAgain(t *testing.T) {
	f := newFleet(t, 1)
	other, b := f.plan.Targets[0].Box, f.plan.Bundle
	const part = 3 << 19
	var had int64
	var asked atomic.Int32
	f.Fault(0, func(faults *simbox.Faults) {
		faults.Asked = func() {
			from, to := int64(0), int64(part)
			switch asked.Add(1) {
			case 4: // two looks, the upload; now the start
			case 7: // the other's, a look; the second start
				u, err := other.Update(t.Context())
				if err != nil {
					t.Error(err)
				}
				had = u.Incoming.Received
				from, to = had, b.Size
			default:
				return
			}
			if err := other.Put(t.Context(), io.NewSectionReader(b.Data, from, to-from), from, to-from); err != nil {
				t.Error(err)
			}
		}
	})
	rows := f.run(t)
	if _, starts := f.Boxes[0].Touched(); rows[0].Result != Updated || starts != 1 || had == 0 || had >= part {
		t.Errorf("%+v after %d starts; the other one had sent %d bytes", rows[0], starts, had)
	}
}
