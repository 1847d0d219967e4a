package discipline

import (
	"fmt"
	"math"
	"os"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/clock/ntp"
)

// wander is a crystal that is off by ppm, warms up by 8 ppm in its first half
// hour and follows the air conditioning by 2 ppm.
func wander(ppm, period float64) func(float64) float64 {
	return func(t float64) float64 {
		return 1000 * (ppm - 8*math.Exp(-t/600) + 2*math.Sin(2*math.Pi*t/period))
	}
}

// server is an honest one behind 20 ms of jitter on each way, 1 % lost.
func server(i int) *peer {
	p := path{base: 1 + float64(i), jitter: 20, lost: 0.01}
	return &peer{name: fmt.Sprintf("server%d", i), to: p, from: p}
}

// scene is what befalls two boxes. Each gets servers of its own making, which
// differ in what happens on its way to them.
type scene struct {
	name    string
	servers func(box int) []*peer
}

func three(change func(box, i int, p *peer)) func(int) []*peer {
	return func(box int) (all []*peer) {
		for i := range 3 {
			p := server(i)
			change(box, i, p)
			all = append(all, p)
		}
		return all
	}
}

// bursts delay one way by 50 ms for a minute and a half in every eleven, at
// another time for each box, and the other way in between for half a minute.
func bursts(box int) func(float64) (to, from float64) {
	return func(t float64) (to, from float64) {
		switch at := math.Mod(t+float64(box)*200, 660); {
		case at < 90:
			return 50, 0
		case at > 400 && at < 430:
			return 0, 50
		}
		return 0, 0
	}
}

func liar(i int, off func(t float64) float64) func(int) []*peer {
	return three(func(_, k int, p *peer) {
		if k == i {
			p.off = off
		}
	})
}

var scenes = []scene{
	{"jitter", three(func(int, int, *peer) {})},
	{"one server", func(int) []*peer { return []*peer{server(0)} }},
	{"asymmetric bursts", three(func(box, _ int, p *peer) { p.burst = bursts(box) })},
	{"a liar off by 3 s", liar(0, func(float64) float64 { return 3000 })},
	{"a liar who walks away", liar(1, func(t float64) float64 { return 0.02 * max(t-1800, 0) })},
	{"a liar within the bounds", liar(2, func(float64) float64 { return -9 })},
	{"a liar who jumps", liar(2, func(t float64) float64 { return 400 * math.Floor(t/1000) })},
	{"a server goes away", three(func(_, i int, p *peer) {
		p.gone = func(t float64) bool { return i == 0 && t > 3600 }
	})},
	{"all go away for ten minutes", three(func(_, _ int, p *peer) {
		p.gone = func(t float64) bool { return t > 3600 && t < 4200 }
	})},
	{"a third of the packets lost", three(func(_, _ int, p *peer) { p.to.lost, p.from.lost = 0.18, 0.18 })},
	{"kiss of death", three(func(_, i int, p *peer) {
		p.answer = func(t float64, r *ntp.Packet) {
			if i == 0 && t > 1800 {
				r.Stratum, r.Leap, r.RefID = 0, 3, [4]byte([]byte("DENY"))
			}
		}
	})},
}

// converged is when boxes that booted together agree.
const converged = 10 * time.Minute

// play boots two boxes into a scene and says how they go until then, and after.
func (s scene) play(t *testing.T, length time.Duration, seed uint64, c Config, change func(*box)) (before, after course) {
	t.Helper()
	w := &world{seed: 100 * seed}
	a := w.box(wander(50, 1200), -50*365*24*time.Hour, c, s.servers(0)...)
	b := w.box(wander(-50, 1700), 3*time.Second, c, s.servers(1)...)
	change(a)
	change(b)
	before = w.watch(converged, a, b)
	return before, w.watch(length, a, b)
}

// hours is how long scenes last: make drill has a whole conference day of them.
func hours() time.Duration {
	if os.Getenv("DRILL") != "" {
		return 12 * time.Hour
	}
	return 2 * time.Hour
}

// faults is what is wrong with a course after convergence.
func (c course) faults() (f []string) {
	if c.apart > 5 {
		f = append(f, fmt.Sprintf("%.1f ms apart, at most 5", c.apart))
	}
	if c.wrong > 10 {
		f = append(f, fmt.Sprintf("%.1f ms from UTC, at most 10", c.wrong))
	}
	if c.steps > 0 {
		f = append(f, fmt.Sprintf("%d steps", c.steps))
	}
	if c.fast > 500 {
		f = append(f, fmt.Sprintf("%.0f ppm fast, at most 500", c.fast))
	}
	if c.unsynced > 0 {
		f = append(f, fmt.Sprintf("not in sync for %d s", c.unsynced))
	}
	return f
}

// Two boxes, crystals 100 ppm apart and wandering, agree within 5 ms.
func TestDrillTwoBoxesAgree(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(2) {
				before, after := s.play(t, hours(), seed, Config{}, func(*box) {})
				if f := after.faults(); len(f) > 0 {
					t.Errorf("seed %d: %q", seed, f)
				}
				if before.steps != 2 || before.fast > 500 || before.unsynced > 10 {
					t.Errorf("seed %d, at first: %+v", seed, before)
				}
				t.Logf("apart by at most %.1f ms, from UTC %.1f ms, speed off by at most %.0f ppm", after.apart, after.wrong, after.fast)
			}
		})
	}
}

// The same scenes find disciplines that lack a part.
func TestDrillScenesFindABrokenDiscipline(t *testing.T) {
	for _, c := range []struct {
		name, scene string
		breaks      func(*Discipline)
	}{
		{"takes the mean of all servers", "a liar off by 3 s", withoutVote},
		{"takes the mean of all servers", "a liar who walks away", withoutVote},
		{"doesn't look at delays", "asymmetric bursts", func(d *Discipline) { d.filter = func(r *ntp.Reading) { r.Delay = 10_000_000 } }},
		{"believes the newest answer", "jitter", func(d *Discipline) {
			d.filter = func(*ntp.Reading) {
				for _, s := range d.sources {
					s.samples = nil
				}
			}
		}},
	} {
		t.Run(c.name+", "+c.scene, func(t *testing.T) {
			t.Parallel()
			for _, s := range scenes {
				if s.name != c.scene {
					continue
				}
				_, after := s.play(t, hours(), 0, Config{}, func(b *box) { c.breaks(b.d) })
				if len(after.faults()) == 0 {
					t.Errorf("nobody noticed: %+v", after)
				}
				t.Logf("%q", after.faults())
			}
		})
	}
}

func withoutVote(d *Discipline) {
	d.elect = func(all []estimate) (voters []int) {
		for i, e := range all {
			if e.ok {
				voters = append(voters, i)
			}
		}
		return voters
	}
	d.combine = func(all []estimate, voters []int) (m estimate, chosen int) {
		for k, i := range voters {
			m = mix(all[i], m, 1/float64(k+1))
		}
		return m, voters[0]
	}
}
