package discipline

import (
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/clock/ntp"
)

func exact(float64) float64 { return 0 }

// near is a server without jitter.
func near(name string) *peer { return &peer{name: name, to: path{base: 2}, from: path{base: 2}} }

func named(names ...string) (all []*peer) {
	for _, n := range names {
		all = append(all, near(n))
	}
	return all
}

func TestTheFirstAnswerIsTheOnlyStep(t *testing.T) {
	for _, off := range []time.Duration{-50 * 365 * 24 * time.Hour, 50 * 365 * 24 * time.Hour, -3 * time.Second, 300 * time.Millisecond} {
		w := &world{}
		b := w.box(exact, off, Config{}, named("a", "b", "c")...)
		if b.Synced() {
			t.Error("in sync before anybody has answered")
		}
		w.run(2 * time.Second)
		s := b.d.Status()
		if !s.Synced || !s.Set || s.Lost || s.Steps != 1 || (s.Stepped+off).Abs() > time.Millisecond || len(b.steps) != 1 {
			t.Errorf("off by %v: %+v", off, s)
		}
		if b.wrong() > 1 || b.wrong() < -1 {
			t.Errorf("off by %v at first, now by %.1f ms", off, b.wrong())
		}
		if s.Since.UnixNano() < birth || s.Chosen == "" || s.Cause != "" {
			t.Errorf("%+v", s)
		}
	}
}

func TestASmallErrorIsSlewed(t *testing.T) {
	w := &world{}
	b := w.box(exact, 45*time.Millisecond, Config{}, named("a", "b", "c")...)
	w.run(5 * time.Minute)
	if len(b.steps) != 0 || b.wrong() > 1 || b.fast > 450 || b.fast < 200 {
		t.Errorf("%d steps, %.1f ms off, %.0f ppm", len(b.steps), b.wrong(), b.fast)
	}
}

// A clock that has been set since boot, by a boxd before this one, is streaming.
func TestASetClockIsNeverStepped(t *testing.T) {
	w := &world{}
	b := w.box(exact, 10*time.Second, Config{Set: true}, named("a", "b", "c")...)
	w.run(time.Hour)
	s := b.d.Status()
	if len(b.steps) != 0 || b.fast > 450.001 {
		t.Errorf("steps %v, %.0f ppm", b.steps, b.fast)
	}
	// An hour at 450 ppm is 1.6 s.
	if s.Synced || b.wrong() > 8500 || b.wrong() < 8000 || !strings.Contains(s.Cause, "being slewed") {
		t.Errorf("%.0f ms off: %+v", b.wrong(), s)
	}
}

func TestALiarWhoAnswersFirstDoesNotSetTheClock(t *testing.T) {
	w := &world{}
	peers := named("liar", "b", "c")
	peers[0].off = func(float64) float64 { return 1e6 }
	for _, p := range peers[1:] {
		p.to.base = 400
	}
	b := w.box(exact, -time.Hour, Config{}, peers...)
	w.run(10 * time.Second)
	s := b.d.Status()
	if len(b.steps) != 1 || b.wrong() > 250 || b.wrong() < -250 || s.Servers[0].Verdict != Liar {
		t.Errorf("steps %v, %.0f ms off, %+v", b.steps, b.wrong(), s.Servers[0])
	}
}

func TestOneServerOfThreeIsEnoughAfterAWhile(t *testing.T) {
	w := &world{}
	peers := named("a", "b", "c")
	for _, p := range peers[1:] {
		p.gone = func(float64) bool { return true }
	}
	b := w.box(exact, -time.Hour, Config{}, peers...)
	w.run(4 * time.Second)
	if len(b.steps) != 0 {
		t.Error("set by a third of the servers at once")
	}
	w.run(8 * time.Second)
	if s := b.d.Status(); len(b.steps) != 1 || !s.Synced || s.Servers[1].Verdict != Silent || s.Servers[1].Error == "" {
		t.Errorf("after 8 s: %+v", s)
	}
}

func TestTwoServersThatDisagree(t *testing.T) {
	w := &world{}
	peers := named("a", "b")
	peers[1].off = func(float64) float64 { return 5000 }
	b := w.box(exact, -time.Hour, Config{}, peers...)
	w.run(time.Minute)
	s := b.d.Status()
	if len(b.steps) != 0 || s.Synced || !s.Lost || !strings.Contains(s.Cause, "disagree") || s.Servers[0].Verdict != Alone {
		t.Errorf("%+v", s)
	}
}

// lose has n servers, as far apart as four, fall silent at every phase of their
// questions, and wants the loss seen within 10 s.
func TestLostTimeIsSeenWithinTenSeconds(t *testing.T) {
	for n := 1; n <= 6; n++ {
		for phase := range 16 {
			w := &world{}
			end := 600 + float64(phase)
			peers := named("a", "b", "c", "d", "e", "f")[:n]
			for _, p := range peers {
				p.gone = func(t float64) bool { return t > end && t < end+60 }
			}
			b := w.box(exact, 0, Config{}, peers...)
			w.run(time.Duration(end * 1e9))
			if s := b.d.Status(); s.Lost || s.Cause != "" {
				t.Fatalf("%d servers: lost before: %+v", n, s)
			}
			w.run(time.Duration((end + 10) * 1e9))
			s := b.d.Status()
			if !s.Lost || !strings.HasPrefix(s.Cause, "time lost: for ") || !strings.Contains(s.Cause, "no answer within 1s") {
				t.Errorf("%d servers, 10 s after: %+v", n, s)
			}
			if !s.Synced {
				t.Error("a clock that runs on for ten seconds can be used")
			}
			w.run(time.Duration((end + 60 + 17) * 1e9))
			if s := b.d.Status(); s.Lost || !s.Synced || s.Cause != "" {
				t.Errorf("%d servers, again: %+v", n, s)
			}
		}
	}
}

func TestAClockThatNobodyTellsIsOutOfSyncInTheEnd(t *testing.T) {
	w := &world{}
	p := near("a")
	p.gone = func(t float64) bool { return t > 600 }
	b := w.box(exact, 0, Config{}, p)
	w.run(4 * time.Hour)
	if !b.Synced() {
		t.Error("after 4 hours at 2 ppm a clock is still good for a frame")
	}
	w.run(7 * time.Hour)
	if b.Synced() || b.d.Status().Cause == "" {
		t.Errorf("after 7 hours: %+v", b.d.Status())
	}
}

func TestKissesAreObeyed(t *testing.T) {
	for code, most := range map[string]int64{"RATE": 12, "DENY": 2} {
		w := &world{}
		peers := named("a", "b", "c")
		asked := int64(0)
		peers[0].answer = func(_ float64, p *ntp.Packet) {
			asked++
			p.Stratum, p.RefID = 0, [4]byte([]byte(code))
		}
		b := w.box(exact, 0, Config{}, peers...)
		w.run(90 * time.Minute)
		if asked > most || asked == 0 {
			t.Errorf("%s: asked %d times in 90 minutes, at most %d", code, asked, most)
		}
		if s := b.d.Status(); !s.Synced || !strings.Contains(s.Servers[0].Error, code) {
			t.Errorf("%s: %+v", code, s)
		}
	}
}

// Servers are asked as often as is polite, and evenly.
func TestPaceOfQuestions(t *testing.T) {
	for n, every := range map[int]int{1: 4, 2: 8, 4: 16, 6: 16} {
		w := &world{}
		b := w.box(exact, 0, Config{}, named("a", "b", "c", "d", "e", "f")[:n]...)
		w.run(10 * time.Minute)
		before := b.d.Status().Servers[0].Asked
		w.run(10*time.Minute + 160*time.Second)
		if got := b.d.Status().Servers[0].Asked - before; got != 160/every {
			t.Errorf("%d servers: asked %d times in 160 s, want %d", n, got, 160/every)
		}
	}
}

func TestOtherServersTakeOver(t *testing.T) {
	w := &world{}
	b := w.box(exact, time.Second, Config{}, named("a", "b")...)
	w.run(time.Minute)
	b.peers["c"] = near("c")
	raw, _ := b.Now()
	b.d.SetServers([]string{"b", "c"}, raw)
	w.run(2 * time.Minute)
	s := b.d.Status()
	if len(s.Servers) != 2 || s.Servers[0].Name != "b" || s.Servers[0].Asked < 10 || s.Servers[1].Samples == 0 || len(b.steps) != 1 {
		t.Errorf("%+v", s)
	}
	b.d.SetServers(nil, raw)
	w.run(3 * time.Minute)
	if s := b.d.Status(); !s.Lost || s.Cause != "no time server is known" {
		t.Errorf("%+v", s)
	}
}

func TestVote(t *testing.T) {
	e := func(offset, bound float64) estimate { return estimate{ok: true, offset: offset, bound: bound} }
	for _, c := range []struct {
		name string
		all  []estimate
		want int
	}{
		{"nobody", nil, 0},
		{"one", []estimate{e(5, 1)}, 1},
		{"two that meet", []estimate{e(0, 5), e(9, 5)}, 2},
		{"two that don't", []estimate{e(0, 4), e(9, 4)}, 0},
		{"two of three", []estimate{e(0, 1), e(50, 1), e(1, 1)}, 2},
		{"two of four", []estimate{e(0, 1), e(0, 1), e(50, 1), e(50, 1)}, 0},
		{"three of five", []estimate{e(0, 1), e(50, 1), e(1, 1), e(0.5, 1), e(-50, 1)}, 3},
		{"one unheard", []estimate{e(0, 1), {}, e(1, 1)}, 2},
		{"a wide one agrees with all", []estimate{e(0, 1), e(20, 100), e(1, 1)}, 3},
	} {
		if got := vote(c.all); len(got) != c.want {
			t.Errorf("%s: %v, want %d", c.name, got, c.want)
		}
	}
}
