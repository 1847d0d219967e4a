package discipline

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/clock/ntp"
	"github.com/openvideobox/videobox/internal/clock/ntp/ntptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The simulated world: true UTC, boxes whose crystals are wrong, servers, and a
// network. All is decided by a seed.

// birth is true UTC at the beginning.
var birth = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC).UnixNano()

// crystal is a box's clock, and its kernel: raw runs wrong by ppb, UTC runs on
// raw and what the kernel is told.
type crystal struct {
	w      *world
	ppb    func(t float64) float64 // at t s of true time
	at     int64                   // true time up to which raw and utc are
	raw    float64
	utc    float64 // less birth
	adjust Adjustment
	steps  []time.Duration
	fast   float64 // the largest rate of UTC against true UTC since the step, ppm
}

// grain is how finely a crystal's frequency is followed.
const grain = int64(100 * time.Millisecond)

func (c *crystal) run() {
	for c.at < c.w.now {
		d := min(grain, c.w.now-c.at)
		speed := 1 + c.ppb(float64(c.at)/1e9)/1e9
		c.raw += float64(d) * speed
		whole := speed * (1 + c.adjust.Freq/1e9)
		c.utc += float64(d) * whole
		if len(c.steps) > 0 || c.adjust.Freq != 0 {
			c.fast = max(c.fast, math.Abs(whole-1)*1e6)
		}
		c.at += d
	}
}

func (c *crystal) Now() (raw, utc int64) {
	c.run()
	return int64(c.raw), birth + int64(c.utc)
}
func (c *crystal) Synced() bool              { return c.adjust.Synced }
func (c *crystal) Adjust(a Adjustment) error { c.run(); c.adjust = a; return nil }
func (c *crystal) Step(d time.Duration) error {
	c.run()
	c.utc += float64(d)
	c.steps = append(c.steps, d)
	return nil
}

// wrong is by how many ms UTC is off.
func (c *crystal) wrong() float64 {
	_, utc := c.Now()
	return float64(utc-birth-c.w.now) / 1e6
}

// path is one way through the network: base and jitter in ms, and lost a part
// of the packets.
type path struct{ base, jitter, lost float64 }

// peer is a server as a box reaches it.
type peer struct {
	name     string
	to, from path
	burst    func(t float64) (to, from float64) // more ms at t s
	off      func(t float64) float64            // by how many ms it lies
	gone     func(t float64) bool
	answer   func(t float64, p *ntp.Packet)
}

// box is a disciplined clock and its way to the servers.
type box struct {
	*crystal
	d     *Discipline
	peers map[string]*peer
	rng   *rand.Rand
}

type event struct {
	at int64
	do func()
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at < e[j].at }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any          { x := (*e)[len(*e)-1]; *e = (*e)[:len(*e)-1]; return x }

type world struct {
	now  int64 // true ns since birth
	todo events
	seed uint64
}

func (w *world) after(d int64, do func()) { heap.Push(&w.todo, event{w.now + max(d, 0), do}) }

// run goes on to true time t.
func (w *world) run(t time.Duration) {
	for len(w.todo) > 0 && w.todo[0].at <= int64(t) {
		e := heap.Pop(&w.todo).(event)
		w.now = e.at
		e.do()
	}
	w.now = int64(t)
}

// box adds one that boots now with its UTC off by wrong.
func (w *world) box(ppb func(float64) float64, wrong time.Duration, c Config, peers ...*peer) *box {
	w.seed++
	b := &box{crystal: &crystal{w: w, ppb: ppb, utc: float64(wrong)}, peers: map[string]*peer{}, rng: rand.New(rand.NewPCG(w.seed, 7))}
	for _, p := range peers {
		b.peers[p.name] = p
		c.Servers = append(c.Servers, p.name)
	}
	b.d = New(b.crystal, c)
	w.after(0, b.tick)
	w.after(0, b.ask)
	return b
}

func (b *box) tick() { b.d.Tick(); b.w.after(int64(time.Second), b.tick) }

// ask looks for questions that are due, four times a second.
func (b *box) ask() {
	raw, _ := b.Now()
	for _, name := range b.d.Due(raw) {
		b.send(b.peers[name], raw)
	}
	b.w.after(int64(time.Second)/4, b.ask)
}

// send is a question on its way through the network and back.
func (b *box) send(p *peer, sent int64) {
	cookie := b.rng.Uint64()
	t := float64(b.w.now) / 1e9
	var moreTo, moreFrom float64
	if p.burst != nil {
		moreTo, moreFrom = p.burst(t)
	}
	to, from := b.way(p.to)+moreTo, b.way(p.from)+moreFrom
	if p.gone != nil && p.gone(t) || b.rng.Float64() < p.to.lost || b.rng.Float64() < p.from.lost || to+from > 1000 {
		b.w.after(int64(time.Second), func() { b.d.Answer(p.name, ntp.Reading{}, fmt.Errorf("no answer within 1s")) })
		return
	}
	q, _ := ntp.Parse(ntp.Question(cookie))
	there := b.w.now + int64(to*1e6)
	utc := birth + there
	if p.off != nil {
		utc += int64(p.off(float64(there)/1e9) * 1e6)
	}
	reply := ntptest.Reply(q, utc)
	if p.answer != nil {
		p.answer(t, &reply)
	}
	b.w.after(int64((to+from)*1e6), func() {
		received, _ := b.Now()
		r, err := ntp.Check(reply.Append(nil), cookie, sent, received)
		b.d.Answer(p.name, r, err)
	})
}

func (b *box) way(p path) float64 { return p.base + p.jitter*b.rng.Float64() }

// course is how two boxes went from one time to another.
type course struct {
	apart, wrong, fast float64 // ms, ms, ppm
	steps              int
	unsynced           int // seconds
}

// watch runs both boxes from the true time that it is to t, looking each second.
func (w *world) watch(t time.Duration, a, b *box) (c course) {
	steps := len(a.steps) + len(b.steps)
	a.fast, b.fast = 0, 0
	for at := time.Duration(w.now).Truncate(time.Second); at <= t; at += time.Second {
		w.run(at)
		c.apart = max(c.apart, math.Abs(a.wrong()-b.wrong()))
		c.wrong = max(c.wrong, math.Abs(a.wrong()), math.Abs(b.wrong()))
		if !a.adjust.Synced || !b.adjust.Synced {
			c.unsynced++
		}
	}
	c.fast, c.steps = max(a.fast, b.fast), len(a.steps)+len(b.steps)-steps
	return c
}
