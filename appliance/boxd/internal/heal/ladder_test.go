package heal

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTrouble(t *testing.T) {
	for _, c := range []struct {
		name string
		s    Sight
		want Trouble
	}{
		{"live", Sight{true, true, true, "streaming"}, None},
		{"live, capture's status hangs", Sight{true, true, false, ""}, None},
		{"slates though it streams", Sight{true, false, true, "streaming"}, Slates},
		{"slates, capture does not answer", Sight{true, false, false, ""}, Stands},
		{"nothing at all", Sight{false, false, false, ""}, Stands},
		{"nothing at all, without a signal", Sight{false, false, true, "no signal"}, Stands},
		{"no signal", Sight{true, false, true, "no signal"}, None},
		{"no cable", Sight{true, false, true, "no cable"}, None},
		{"no device", Sight{true, false, true, "no device"}, None},
		{"unsupported", Sight{true, false, true, "unsupported"}, None},
		{"starting", Sight{true, false, true, "starting"}, None},
		{"not said yet", Sight{true, false, true, ""}, None},
		{"device sends nothing", Sight{true, false, true, "frozen"}, Hung},
		{"source fails", Sight{true, false, true, "failed"}, Hung},
	} {
		if got := c.s.Trouble(); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// climb looks once a second and writes down what was due when.
func climb(l *Ladder, from, to time.Duration, trouble func(at time.Duration) Trouble, may func() bool, fails map[Step]bool) string {
	var out []string
	for at := from; at < to; at += time.Second {
		if s, due := l.Look(at, trouble(at), may); due {
			out = append(out, fmt.Sprintf("%s@%d", s, int(at.Seconds())))
			if fails[s] {
				l.Failed()
			}
		}
	}
	return strings.Join(out, " ")
}

func TestClimbs(t *testing.T) {
	yes, no := func() bool { return true }, func() bool { return false }
	always := func(x Trouble) func(time.Duration) Trouble { return func(time.Duration) Trouble { return x } }
	between := func(from, to time.Duration) func(time.Duration) Trouble {
		return func(at time.Duration) Trouble {
			if at >= from && at < to {
				return Stands
			}
			return None
		}
	}
	for _, c := range []struct {
		name    string
		trouble func(time.Duration) Trouble
		may     func() bool
		fails   map[Step]bool
		length  time.Duration
		want    string
	}{
		{"well", always(None), yes, nil, time.Hour, ""},
		{"to the top", always(Stands), yes, nil, 2 * time.Minute, "worker@5 capture@15 usb-reset@30 usb-authorize@45 box-restart@65"},
		{"slates", always(Slates), yes, nil, 2 * time.Minute, "worker@15 capture@25 usb-reset@40 usb-authorize@55"},
		{"a hung device restarts no box", always(Hung), yes, nil, 4 * time.Minute, "worker@45 capture@55 usb-reset@70 usb-authorize@85 worker@225 capture@235"},
		{"the box may not", always(Stands), no, nil, 4 * time.Minute, "worker@5 capture@15 usb-reset@30 usb-authorize@45 worker@185 capture@195 usb-reset@210 usb-authorize@225"},
		{"not a USB device", always(Stands), yes, map[Step]bool{Reset: true, Authorize: true}, 2 * time.Minute, "worker@5 capture@15 usb-reset@30 usb-authorize@31 box-restart@32"},
		{"nothing can be done", always(Stands), yes, map[Step]bool{Worker: true, Capture: true, Reset: true, Authorize: true, Restart: true}, time.Minute, "worker@5 capture@6 usb-reset@7 usb-authorize@8 box-restart@9"},
		{"a short one", between(10*time.Second, 14*time.Second), yes, nil, time.Minute, ""},
		{"the worker's restart helps", between(10*time.Second, 18*time.Second), yes, nil, time.Hour, "worker@15"},
		{"killing capture helps", between(10*time.Second, 30*time.Second), yes, nil, time.Hour, "worker@15 capture@25"},
		{"it helps, but not for long", func(at time.Duration) Trouble {
			return max(between(10*time.Second, 18*time.Second)(at), between(50*time.Second, time.Minute)(at))
		}, yes, nil, time.Hour, "worker@15 capture@55"},
		{"the same again after a calm", func(at time.Duration) Trouble {
			return max(between(10*time.Second, 18*time.Second)(at), between(200*time.Second, 210*time.Second)(at))
		}, yes, nil, time.Hour, "worker@15 worker@205"},
	} {
		if got := climb(&Ladder{}, 0, c.length, c.trouble, c.may, c.fails); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
}

// For a day of trouble the pauses get longer, up to an hour.
func TestBacksOff(t *testing.T) {
	always := func(time.Duration) Trouble { return Hung }
	got := climb(&Ladder{}, 0, 24*time.Hour, always, func() bool { return false }, nil)
	if n := strings.Count(got, "worker"); n < 26 || n > 30 {
		t.Errorf("the worker is restarted %d times in a day of a hung device: %s", n, got)
	}
}

// Whatever happens: nothing is done when only the signal is missing, each step
// comes after the one below it and after its grace, a box restarts only when it
// may, and after a calm it begins at the bottom.
func TestAlways(t *testing.T) {
	inputs := []string{"streaming", "no signal", "no cable", "no lock", "out of range", "no device", "unsupported", "starting", "frozen", "failed", ""}
	rapid.Check(t, func(t *rapid.T) {
		l := &Ladder{}
		last, lastAt, calmSince, troubleSince := Step(-1), time.Duration(0), time.Duration(0), time.Duration(-1)
		failed, now := false, time.Duration(0)
		for range rapid.IntRange(1, 12).Draw(t, "episodes") {
			s := Sight{rapid.Bool().Draw(t, "frames"), rapid.Bool().Draw(t, "live"), rapid.Bool().Draw(t, "answers"), rapid.SampledFrom(inputs).Draw(t, "input")}
			may := rapid.Bool().Draw(t, "may")
			for range rapid.IntRange(1, 200).Draw(t, "seconds") {
				now += time.Second
				trouble := s.Trouble()
				if trouble == None {
					troubleSince = -1
					if calmSince < 0 {
						calmSince = now
					}
				} else if troubleSince < 0 {
					troubleSince = now
					if calmSince >= 0 && now-calmSince >= calm {
						last = -1
					}
					calmSince = -1
				}
				step, due := l.Look(now, trouble, func() bool { return may })
				if !due {
					continue
				}
				switch {
				case trouble == None:
					t.Fatalf("%v at %v in no trouble: %+v", step, now, s)
				case now-troubleSince < trouble.patience():
					t.Fatalf("%v after %v of trouble", step, now-troubleSince)
				case step == Restart && !may:
					t.Fatal("the box restarts though it may not")
				case step == Restart && trouble != Stands:
					t.Fatal("the box restarts though its stream goes on")
				case step != last+1 && step != Worker:
					t.Fatalf("%v after %v", step, last)
				case last >= 0 && !failed && now-lastAt < grace[last]:
					t.Fatalf("%v comes %v after %v, which has %v", step, now-lastAt, last, grace[last])
				case step == Worker && last >= 0 && now-lastAt < minPause:
					t.Fatalf("from the bottom again after %v", now-lastAt)
				}
				last, lastAt, failed = step, now, rapid.Bool().Draw(t, "fails")
				if failed {
					l.Failed()
				}
			}
		}
	})
}
