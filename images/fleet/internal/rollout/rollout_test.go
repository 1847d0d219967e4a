package rollout

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/images/fleet/internal/box"
	"github.com/openvideobox/videobox/images/fleet/internal/simbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fleet is a plan for simulated boxes, and what it told.
type fleet struct {
	*simbox.Fleet
	plan Plan
	rows map[string][]Row // as they changed
}

func bundleOf(t *testing.T, key ed25519.PrivateKey) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := simbox.WriteBundle(&out, key, 5<<19); err != nil { // three chunks, the last one short
		t.Fatal(err)
	}
	return out.Bytes()
}

func newFleet(t *testing.T, n int) *fleet {
	t.Helper()
	data := bundleOf(t, simbox.Key)
	f := &fleet{Fleet: simbox.NewFleet(n), rows: map[string][]Row{}}
	t.Cleanup(f.Close)
	client := box.Client()
	f.plan = Plan{
		Bundle:   Bundle{Version: "1.3", Build: simbox.NewBuild, Board: "videobox", Data: bytes.NewReader(data), Size: int64(len(data))},
		Parallel: 4, Clock: f.Held,
		Changed: func(r Row) { f.rows[r.Box] = append(f.rows[r.Box], r) },
	}
	for i, b := range f.Boxes {
		f.plan.Targets = append(f.plan.Targets, Target{b.Name, fmt.Sprintf("room%d", i/2+1), box.Box{Addr: f.Addr(i), User: "admin", Password: "secret", HTTP: client}})
	}
	return f
}

// run runs the plan to its end while the clock goes on.
func (f *fleet) run(t *testing.T) (rows []Row) {
	t.Helper()
	f.During(t.Context(), func(ctx context.Context) { rows = f.plan.Run(ctx) })
	return rows
}

// results are the rows' results with how many have each, and a check that what
// is said of each box is what happened to it.
func (f *fleet) results(t *testing.T, rows []Row) map[Result]int {
	t.Helper()
	count := map[Result]int{}
	for i, r := range rows {
		count[r.Result]++
		puts, starts := f.Boxes[i].Touched()
		run := f.Boxes[i].Running()
		if r.Box != f.Boxes[i].Name || r.Phase != Finished {
			t.Errorf("row %d: %+v", i, r)
		}
		switch r.Result {
		case Updated:
			if run.Build != simbox.NewBuild || starts != 1 || r.From != "1.2" || r.To != "1.3" || r.Outage != 8100*time.Millisecond || r.Reason != "" {
				t.Errorf("%+v, but it runs %+v after %d starts", r, run, starts)
			}
		case Failed, Untouched:
			if run.Build != simbox.OldBuild || r.Reason == "" || r.Result == Untouched && starts != 0 {
				t.Errorf("%+v, but it runs %+v after %d starts", r, run, starts)
			}
		default:
			if puts+starts != 0 {
				t.Errorf("%+v after %d uploads and %d starts", r, puts, starts)
			}
		}
	}
	return count
}

func wantCounts(t *testing.T, got map[Result]int, want map[Result]int) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("results %v, want %v", got, want)
	}
}

// TestAll updates twenty boxes, the first one alone before anybody else begins.
func TestAll(t *testing.T) {
	f := newFleet(t, 20)
	var early []string
	changed := f.plan.Changed
	f.plan.Changed = func(r Row) {
		changed(r)
		if r.Phase == Sending && r.Box != "box1" && f.Boxes[0].Running().Build != simbox.NewBuild {
			early = append(early, r.Box)
		}
	}
	rows := f.run(t)
	wantCounts(t, f.results(t, rows), map[Result]int{Updated: 20})
	if len(early) > 0 {
		t.Errorf("%v began before the canary was done", early)
	}
	if !rows[0].Canary || rows[1].Canary || rows[3].Room != "room2" {
		t.Errorf("rows %+v", rows[:4])
	}
	again := f.run(t)
	if got := f.plan.tally(again); got[Already] != 20 {
		t.Errorf("a second time: %v", got)
	}
}

// tally counts results.
func (p Plan) tally(rows []Row) map[Result]int {
	m := map[Result]int{}
	for _, r := range rows {
		m[r.Result]++
	}
	return m
}

func TestCanaryFails(t *testing.T) {
	f := newFleet(t, 20)
	f.Fault(0, func(b *simbox.Faults) { b.TrialFails = "capture does not stream" })
	rows := f.run(t)
	wantCounts(t, f.results(t, rows), map[Result]int{Failed: 1, Untouched: 19})
	if rows[0].Reason != "capture does not stream" || rows[0].To != "1.2" || rows[19].Reason != "stopped: box1 failed" {
		t.Errorf("%+v, %+v", rows[0], rows[19])
	}
	for _, b := range f.Boxes[1:] {
		if puts, starts := b.Touched(); puts+starts != 0 {
			t.Errorf("%s was touched", b.Name)
		}
	}
}

// TestFailureStops has the sixth of twenty fail: those that are on trial with it
// come to an end, and nobody begins after but who was being told to just then.
func TestFailureStops(t *testing.T) {
	f := newFleet(t, 20)
	f.Fault(5, func(b *simbox.Faults) { b.TrialFails = "no picture" })
	changed, failed, late, begun := f.plan.Changed, false, 0, map[string]bool{}
	f.plan.Changed = func(r Row) {
		changed(r)
		failed = failed || r.Result == Failed
		if r.Phase == Trying && !begun[r.Box] {
			if begun[r.Box] = true; failed {
				late++
			}
		}
	}
	rows := f.run(t)
	got := f.results(t, rows)
	if got[Failed] != 1 || rows[5].Result != Failed || rows[0].Result != Updated || got[Updated]+got[Untouched] != 19 || len(begun) != 1+got[Updated] || late >= f.plan.Parallel {
		t.Errorf("results %v, %d began, %d of them late", got, len(begun), late)
	}
	for _, r := range rows {
		if r.Result == Untouched && !strings.HasPrefix(r.Reason, "stopped: box6 failed") {
			t.Errorf("%+v", r)
		}
	}
}

func TestBoxesThatDoNotGetIt(t *testing.T) {
	f := newFleet(t, 8)
	f.Boxes[0].SetTalk("Opening, until 10:30")
	f.Boxes[2].SetBusy("rehearsal")
	f.Boxes[3].Set(func(_ *simbox.Faults, r *box.Running) { r.Board = "videobox-pc" })
	f.Boxes[4].Set(func(_ *simbox.Faults, r *box.Running) { r.Version, r.Build = "1.4", simbox.NewBuild+1 })
	f.Boxes[5].Set(func(_ *simbox.Faults, r *box.Running) { r.Version, r.Build = "1.3", simbox.NewBuild })
	f.plan.Targets[6].Box.Addr = "127.0.0.1:1" // nobody
	rows := f.run(t)
	wantCounts(t, f.results(t, rows), map[Result]int{Updated: 2, InUse: 2, OtherBoard: 1, Newer: 1, Already: 1, NoAnswer: 1})
	if !strings.Contains(rows[0].Reason, "Opening, until 10:30") || rows[2].Reason != "rehearsal" || !rows[1].Canary {
		t.Errorf("%+v\n%+v", rows[0], rows[2])
	}
	f.plan.Force = []string{"busy", "older"}
	got := f.plan.tally(f.run(t))
	if got[Updated] != 3 || got[Already] != 3 { // both in use, and the newer one
		t.Errorf("forced: %v", got)
	}
}

// TestTalkBegins has a talk begin in a room while its box waits for its turn,
// and in the canary's while it receives.
func TestTalkBegins(t *testing.T) {
	f := newFleet(t, 3)
	f.plan.Parallel = 1
	changed := f.plan.Changed
	f.plan.Changed = func(r Row) {
		changed(r)
		switch {
		case r.Box == "box1" && r.Phase == Sending && r.Sent == r.Size:
			f.Boxes[0].SetTalk("Keynote")
		case r.Box == "box2" && r.Phase == Trying:
			f.Boxes[2].SetTalk("Lightning talks")
		}
	}
	rows := f.run(t)
	if rows[0].Result != InUse || !strings.Contains(rows[0].Reason, "Keynote; it keeps the bundle") || rows[1].Result != Updated || !rows[1].Canary || rows[2].Result != InUse {
		t.Errorf("%+v", rows)
	}
	if _, starts := f.Boxes[0].Touched(); starts != 0 {
		t.Error("a trial began in a talk")
	}
}

// TestCredentials finds a box with another password: nobody is touched, since
// whoever runs this ought to know before.
func TestCredentials(t *testing.T) {
	f := newFleet(t, 20)
	f.plan.Targets[7].Box.Password = "wrong"
	rows := f.run(t)
	wantCounts(t, f.results(t, rows), map[Result]int{Failed: 1, Untouched: 19})
	if rows[7].Reason != box.ErrCredentials.Error() {
		t.Errorf("%+v", rows[7])
	}
}

// TestUploadBreaksOff has a box go away in the middle of the bundle and come
// back a minute later: it gets the rest.
func TestUploadBreaksOff(t *testing.T) {
	f := newFleet(t, 2)
	f.Fault(0, func(b *simbox.Faults) { b.DieAt, b.DeadFor = 3<<19, time.Minute })
	f.Fault(1, func(b *simbox.Faults) { b.StartLost = true })
	wantCounts(t, f.results(t, f.run(t)), map[Result]int{Updated: 2})
	if puts, _ := f.Boxes[0].Touched(); puts != 2 {
		t.Errorf("%d uploads, want the one that broke off and its rest", puts)
	}
	var away, resumed bool
	for i, r := range f.rows["box1"] {
		away = away || r.Phase == Away
		resumed = resumed || i > 0 && r.Phase == Sending && f.rows["box1"][i-1].Phase == Away && r.Sent >= 2<<20
	}
	if !away || !resumed {
		t.Errorf("seen away: %v, resumed where it was: %v", away, resumed)
	}
}

// TestBadBundles gives the canary what it must refuse.
func TestBadBundles(t *testing.T) {
	good := bundleOf(t, simbox.Key)
	bad := bytes.Clone(good)
	bad[3<<19] ^= 1
	other := bundleOf(t, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize)))
	for name, c := range map[string]struct {
		data []byte
		why  string
	}{
		"no bundle":       {make([]byte, 100<<10), "no bundle"},
		"somebody else's": {other, "signature"},
		"damaged":         {bad, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 3)
			f.plan.Bundle.Data, f.plan.Bundle.Size = bytes.NewReader(c.data), int64(len(c.data))
			rows := f.run(t)
			if rows[0].Result != Failed || !strings.Contains(rows[0].Reason, c.why) || rows[1].Result != Untouched {
				t.Errorf("%+v", rows)
			}
		})
	}
}

// TestInterrupted ends the program while the canary receives.
func TestInterrupted(t *testing.T) {
	f := newFleet(t, 3)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f.plan.Changed = func(r Row) {
		if r.Phase == Sending && r.Sent > 0 {
			cancel()
		}
	}
	rows := f.plan.Run(ctx)
	if rows[0].Result != Untouched || !strings.HasPrefix(rows[0].Reason, "interrupted") || rows[2].Reason != "interrupted" {
		t.Errorf("%+v", rows)
	}
}

// TestInterruptedAtItsStart ends the program while the canary is being told to
// begin: the box has begun, and the table must not say that nobody touched it.
func TestInterruptedAtItsStart(t *testing.T) {
	f := newFleet(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f.Fault(0, func(b *simbox.Faults) {
		b.StartHeld = func(asked context.Context) {
			cancel()
			<-asked.Done() // the program has hung up
		}
	})
	rows := f.plan.Run(ctx)
	if rows[0].Result != OnTrial || !strings.HasPrefix(rows[0].Reason, "interrupted") || rows[1].Result != Untouched {
		t.Errorf("%+v", rows)
	}
	if _, starts := f.Boxes[0].Touched(); starts != 1 {
		t.Errorf("%d starts", starts)
	}
}

// TestLeftOnTrial finds the canary on trial with this very bundle, as after an
// interruption, and waits for its end.
func TestLeftOnTrial(t *testing.T) {
	f := newFleet(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	f.plan.Changed = func(r Row) {
		if r.Phase == Trying {
			cancel()
		}
	}
	if rows := f.plan.Run(ctx); rows[0].Result != OnTrial || !strings.Contains(rows[0].Reason, "interrupted") {
		t.Errorf("%+v", rows[0])
	}
	f.plan.Changed = nil
	f.Held.Advance(simbox.Restart)
	wantCounts(t, f.results(t, f.run(t)), map[Result]int{Updated: 2})
}

func TestNamedCanary(t *testing.T) {
	f := newFleet(t, 3)
	f.plan.Canary = "box3"
	rows := f.run(t)
	if !rows[2].Canary || rows[0].Canary || f.plan.tally(rows)[Updated] != 3 {
		t.Errorf("%+v", rows)
	}
	f = newFleet(t, 3)
	f.plan.Canary = "box3"
	f.Boxes[2].SetBusy("rehearsal")
	if rows := f.run(t); rows[0].Result != Untouched || rows[0].Reason != "the canary box3 was not updated" {
		t.Errorf("%+v", rows)
	}
}
