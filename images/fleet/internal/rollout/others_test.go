package rollout

import (
	"context"
	"errors"
	"io"
	"sync"
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

// TestTwoAtOnce updates the same boxes twice at the same time.
func TestTwoAtOnce(t *testing.T) {
	f := newFleet(t, 8)
	f.plan.Changed = nil
	var rows [2][]Row
	f.During(t.Context(), func(ctx context.Context) {
		var wg sync.WaitGroup
		for i := range rows {
			wg.Go(func() { rows[i] = f.plan.Run(ctx) })
		}
		wg.Wait()
	})
	for _, list := range rows {
		if n := f.plan.tally(list); n[Updated]+n[Already] != len(f.Boxes) {
			t.Errorf("%v: %+v", n, list)
		}
	}
	for _, b := range f.Boxes {
		if _, starts := b.Touched(); starts != 1 {
			t.Errorf("%s was started %d times", b.Name, starts)
		}
	}
}
