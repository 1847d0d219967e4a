package rollout

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/fleet/internal/simbox"
)

func TestBoxesThatStayAway(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(*simbox.Faults)
		why   string
	}{
		"in its upload": {func(b *simbox.Faults) { b.DieAt, b.DeadFor = 1, 24*time.Hour }, "does not answer"},
		"in its trial":  {func(b *simbox.Faults) { b.Hangs = true }, "has not come back from its trial"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 3)
			f.Fault(0, c.fault)
			rows := f.run(t)
			if rows[0].Result != Failed || !strings.Contains(rows[0].Reason, c.why) || rows[1].Result != Untouched {
				t.Errorf("%+v", rows)
			}
		})
	}
}

// TestAnswersBeforeItKnows has a box that was updated before answer in its trial
// before its data partition is there, from which it knows credentials, and how
// its last update went.
func TestAnswersBeforeItKnows(t *testing.T) {
	for name, code := range map[string]int{"idle": 0, "no credentials yet": http.StatusForbidden, "others": http.StatusUnauthorized} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 1)
			f.Fault(0, func(b *simbox.Faults) { b.TrialFails = "no picture" })
			if rows := f.run(t); rows[0].Result != Failed {
				t.Fatalf("%+v", rows)
			}
			f.Fault(0, func(b *simbox.Faults) {
				*b = simbox.Faults{Early: simbox.Judging - time.Second, EarlyCode: code}
			})
			if rows := f.run(t); rows[0].Result != Updated {
				t.Errorf("%+v", rows)
			}
		})
	}
}

// TestLockedForEver has a box that nobody can ask any more after its update.
func TestLockedForEver(t *testing.T) {
	f := newFleet(t, 2)
	f.Fault(0, func(b *simbox.Faults) {
		*b = simbox.Faults{Endless: true, Early: time.Hour, EarlyCode: http.StatusForbidden}
	})
	began := f.Held.Now()
	rows := f.run(t)
	took := time.Duration(f.Held.Now() - began)
	if rows[0].Result != Failed || !strings.Contains(rows[0].Reason, "no credentials are set") || rows[1].Result != Untouched || took < awayTime || took > awayTime+time.Minute {
		t.Errorf("after %v: %+v", took, rows)
	}
}

// TestLimitsAreTimes has every question to a box take 13 s, as one to an address
// where nobody is may: what it is waited for gets no longer by that.
func TestLimitsAreTimes(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(*simbox.Faults)
		limit time.Duration
		why   string
	}{
		"away in its upload": {func(b *simbox.Faults) { b.DieAt, b.DeadFor = 1, 24*time.Hour }, 5 * time.Minute, "does not answer"},
		"away in its trial":  {func(b *simbox.Faults) { b.Hangs = true }, 5 * time.Minute, "has not come back from its trial"},
		"a trial for ever":   {func(b *simbox.Faults) { b.Endless = true }, 10 * time.Minute, "its trial has no end"},
		"no trial at all":    {func(b *simbox.Faults) { b.StartIgnored = true }, time.Minute, "was told to begin its trial and didn't"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 1)
			f.Fault(0, func(b *simbox.Faults) {
				c.fault(b)
				b.Asked = func() { f.Held.Advance(13 * time.Second) }
			})
			began := f.Held.Now()
			rows := f.run(t)
			const more = 2 * time.Minute // upload, start, the last question
			if took := time.Duration(f.Held.Now() - began); rows[0].Result != Failed || !strings.Contains(rows[0].Reason, c.why) || took < c.limit || took > c.limit+more {
				t.Errorf("after %v: %+v, want the end after %v", took, rows[0], c.limit)
			}
		})
	}
}
