// Package discipline keeps a box's clock: it asks several NTP servers, believes
// those of which most can be right at once, draws a straight line through their
// fastest answers, and steers the kernel's clock along that line by its speed.
//
// UTC is the raw monotonic clock and an offset that changes slowly. The clock is
// stepped once, when the first servers have answered after boot, and only if it
// is off by more than a few milliseconds; after that UTC never runs faster or
// slower than true UTC by more than 500 ppm, whatever the servers say. While
// nobody answers it runs on at the speed it has learnt.
//
// Discipline is a state machine without goroutines or clocks of its own, so that
// tests simulate hours; Run gives it both. Leap seconds are slewed like any
// other error.
package discipline

import (
	"math"
	"time"

	"github.com/openvideobox/videobox/internal/clock/ntp"
)

const (
	// Poll is how often a server is asked, at most.
	Poll = 16 * time.Second
	// Beat is how often some server is asked: with fewer than four, each is
	// asked more often than Poll, so that a loss of time is seen soon.
	Beat = 4 * time.Second
	// Lost is after how long without an answer that can be used time counts as
	// lost: two beats, each with a chance to ask again.
	Lost = 2 * Beat

	burst     = 2 * time.Second // pace of the first questions
	burstSize = 16
	again     = time.Second // pace of repeated ones
	patience  = 5 * time.Second

	// stepAbove is what is slewed rather than stepped at first: as much as
	// takes two minutes.
	stepAbove = 50 * time.Millisecond
	// maxSpeed leaves 50 ppm for the crystal's own error below 500 ppm.
	maxSpeed = 450_000 // ppb
	// constant is the time in s in which the clock comes 1/e nearer to the line.
	constant = 30
	// usable is how far off UTC may probably be and still count as in sync:
	// less than a frame at 25 frames a second.
	usable = 40 * time.Millisecond
	// holdover is what a crystal may wander by while no server answers, ppb.
	holdover = 2000
	// unknown and learnt are how well the crystal's frequency is known before
	// and after servers have told it, ppb.
	unknown = 50_000
	learnt  = 3_000
)

// Config is what a Discipline is told.
type Config struct {
	Servers []string      // host or host:port
	Poll    time.Duration // 0: Poll
	// Set is whether the clock has been set since boot: then it isn't stepped.
	Set bool
	// Freq is the crystal's error as learnt before, ppb.
	Freq float64
}

// Discipline keeps one clock. It is for one goroutine.
type Discipline struct {
	kernel  Kernel
	poll    int64
	sources []*source

	line    line // UTC as the servers have it
	error   estimate
	prior   prior
	set     bool // the first answer has been used
	heard   int64
	good    int64 // when a majority was last heard, raw ns
	cause   string
	steps   int
	stepped time.Duration
	since   int64 // in sync since, UTC ns; 0: it isn't
	adjust  Adjustment
	err     error

	// What servers are outvoted by, and what sees each answer first: tests take
	// parts of the discipline away by them.
	elect   func([]estimate) []int
	combine func([]estimate, []int) (estimate, int)
	filter  func(*ntp.Reading)
}

// New keeps k. It asks at once.
func New(k Kernel, c Config) *Discipline {
	raw, utc := k.Now()
	d := &Discipline{
		kernel: k, poll: int64(c.Poll), line: line{raw, utc, c.Freq}, prior: prior{c.Freq, unknown},
		elect: vote, combine: combine,
	}
	if d.poll == 0 {
		d.poll = int64(Poll)
	}
	if c.Set {
		d.prior.sigma, d.adjust.Synced = learnt, k.Synced()
	}
	d.set = c.Set
	d.SetServers(c.Servers, raw)
	d.cause = "no time server has answered yet"
	// A program before us may have died while it slewed.
	d.adjust.Freq, d.adjust.EstError, d.adjust.MaxError = c.Freq, usable, time.Second
	d.err = k.Adjust(d.adjust)
	if d.adjust.Synced {
		d.since, d.good = utc, raw
	}
	return d
}

// SetServers replaces the servers. What is known of those that stay is kept.
func (d *Discipline) SetServers(names []string, now int64) {
	var all []*source
	for i, name := range names {
		s := &source{name: name, verdict: Unheard, next: now + int64(i)*int64(burst)/4/int64(len(names))}
		for _, old := range d.sources {
			if old.name == name {
				s = old
			}
		}
		s.every = max(s.every, d.every(len(names)))
		all = append(all, s)
	}
	d.sources = all
}

// every is how often each of n servers is asked.
func (d *Discipline) every(n int) int64 { return min(d.poll, int64(n)*int64(Beat)) }

// Due gives the servers to be asked now; each must be answered by Answer.
func (d *Discipline) Due(now int64) (ask []string) {
	for _, s := range d.sources {
		if !s.asking && s.next <= now {
			s.asking = true
			s.asked++
			ask = append(ask, s.name)
		}
	}
	return ask
}

// Next is when Due has the next server, raw ns.
func (d *Discipline) Next() int64 {
	next := int64(math.MaxInt64)
	for _, s := range d.sources {
		if !s.asking {
			next = min(next, s.next)
		}
	}
	return next
}

// Answer takes what came of asking a server.
func (d *Discipline) Answer(name string, r ntp.Reading, err error) {
	now, _ := d.kernel.Now()
	for i, s := range d.sources {
		if s.name != name || !s.asking {
			continue
		}
		s.asking = false
		soon := false
		if err != nil {
			soon = s.bad(err)
		} else {
			if d.filter != nil {
				d.filter(&r)
			}
			s.good(r, now)
			d.judge(now, i)
		}
		d.schedule(s, i, now, soon)
		return
	}
}

// schedule says when to ask s next. In regular operation each server has a beat
// of its own, so that answers come evenly.
func (d *Discipline) schedule(s *source, i int, now int64, soon bool) {
	switch {
	case soon:
		s.next = now + int64(again)
	case s.asked < burstSize && s.missed <= retries && s.every <= d.every(len(d.sources)):
		s.next = now + int64(burst)
	default:
		s.next = now + s.every
		if phase := s.every * int64(i) / int64(len(d.sources)); s.every <= d.poll {
			s.next = (now-phase+s.every-1)/s.every*s.every + phase
			if s.next-now < s.every/2 {
				s.next += s.every
			}
		}
	}
}

// judge draws the line anew after server i has answered.
func (d *Discipline) judge(now int64, i int) {
	if d.heard == 0 {
		d.heard = now
	}
	all := make([]estimate, len(d.sources))
	for k, s := range d.sources {
		if now-s.answer <= int64(window) { // what was said before that counts no more than a guess
			all[k] = s.fit(now, d.line, d.prior)
		}
		s.now = all[k]
	}
	honest := d.elect(all)
	d.mark(all, honest)
	if honest == nil {
		d.cause = "the time servers disagree"
		return
	}
	e, chosen := d.combine(all, honest)
	d.sources[chosen].verdict = Chosen
	if d.sources[i].verdict == Liar || !d.set && !d.begin(now, all) {
		return
	}
	d.line = line{now, d.line.at(now) + int64(math.Round(e.offset)), e.freq}
	d.error, d.good = e, now
	for _, s := range d.sources {
		s.now.offset -= e.offset // against the new line
	}
	if e.spread < learnt {
		d.prior = prior{e.freq, learnt}
	}
	if !d.set {
		d.first()
	}
}

// begin is whether enough servers have answered to set the clock by: more than
// half, or those that do within the patience for the others.
func (d *Discipline) begin(now int64, all []estimate) bool {
	answered := 0
	for _, e := range all {
		if e.ok {
			answered++
		}
	}
	return 2*answered > len(all) || now-d.heard > int64(patience)
}

// first sets the clock: the only step there is.
func (d *Discipline) first() {
	raw, utc := d.kernel.Now()
	if off := time.Duration(d.line.at(raw) - utc); off.Abs() > stepAbove {
		if d.err = d.kernel.Step(off); d.err != nil {
			return
		}
		d.steps++
		d.stepped = off
	}
	d.set = true
	d.Tick()
}

func (d *Discipline) mark(all []estimate, honest []int) {
	for i, s := range d.sources {
		switch {
		case !all[i].ok && s.missed > retries:
			s.verdict = Silent
		case !all[i].ok:
			s.verdict = Unheard
		case honest == nil:
			s.verdict = Alone
		default:
			s.verdict = Liar
		}
	}
	for _, i := range honest {
		d.sources[i].verdict = Agrees
	}
}

// Tick steers the clock towards the line; call it each second.
func (d *Discipline) Tick() {
	raw, utc := d.kernel.Now()
	if !d.set || d.good == 0 {
		return
	}
	off := float64(d.line.at(raw) - utc)
	unheard := max(float64(raw-d.good)/1e9, 0)
	a := Adjustment{
		Freq:     limit(d.line.freq+limit(off/constant, maxSpeed), maxSpeed),
		EstError: time.Duration(math.Abs(off) + d.error.sigma + unheard*holdover),
		MaxError: time.Duration(math.Abs(off) + d.error.bound + unheard*10*holdover),
	}
	a.Synced = a.EstError < usable
	d.err = d.kernel.Adjust(a)
	d.adjust = a
	switch {
	case !a.Synced || d.err != nil:
		d.since = 0
	case d.since == 0:
		d.since = utc
	}
}

func limit(v, most float64) float64 { return max(-most, min(v, most)) }

// Rest leaves the clock at the speed that the crystal needs, for the end of the
// program: nobody would end a slew.
func (d *Discipline) Rest() {
	if d.set && d.good != 0 {
		d.adjust.Freq = limit(d.line.freq, maxSpeed)
		d.err = d.kernel.Adjust(d.adjust)
	}
}
