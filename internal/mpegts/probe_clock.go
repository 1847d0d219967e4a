package mpegts

import "time"

// maxPending is how many tables between two PCRs are timed.
const maxPending = 64

// probeClock is the stream's time, by which tables are timed.
type probeClock struct {
	declared bool // the next PCR may be anything
	running  bool
	wire     int64 // last PCR as sent
	now      int64 // its time since the first, 27 MHz, without the jumps
	packet   uint64
	pending  [maxPending]pendingTable
	n        int
	pat, pmt tableInterval
}

// pendingTable is a table that came since the last PCR.
type pendingTable struct {
	id     byte
	packet uint64
}

// tableInterval measures how far tables are apart.
type tableInterval struct{ last, max int64 }

func (t *tableInterval) at(now int64) {
	t.max = max(t.max, now-t.last)
	t.last = now
}

// table notes a table in packet number n.
func (c *probeClock) table(id byte, n uint64) {
	if c.n < maxPending {
		c.pending[c.n] = pendingTable{id, n}
		c.n++
	}
}

// set takes the PCR v in packet number n. It returns how far the clock jumped
// without saying so, 0 if it didn't.
func (c *probeClock) set(v int64, n uint64, r *Report) (jump int64) {
	step := (v - c.wire) % pcrModulus
	switch {
	case step < -pcrModulus/2:
		step += pcrModulus
	case step > pcrModulus/2:
		step -= pcrModulus
	}
	if !c.running || c.declared || step < 0 || step > maxClockStep {
		if c.running && !c.declared {
			jump = step
		}
		// How long it took is unknown: everything is measured from here.
		c.n = 0
		c.pat.last, c.pmt.last = c.now, c.now
	} else {
		r.PCRMax = max(r.PCRMax, clockDuration(step))
		c.resolve(step, n)
		c.now += step
	}
	c.running, c.declared, c.wire, c.packet = true, false, v, n
	r.PATMax, r.PMTMax = clockDuration(c.pat.max), clockDuration(c.pmt.max)
	return jump
}

// resolve times the tables since the last PCR, step before packet n.
func (c *probeClock) resolve(step int64, n uint64) {
	for _, t := range c.pending[:c.n] {
		at := c.now + step*int64(t.packet-c.packet)/int64(n-c.packet)
		if t.id == tablePAT {
			c.pat.at(at)
		} else {
			c.pmt.at(at)
		}
	}
	c.n = 0
}

// finish counts the time since the last tables.
func (c *probeClock) finish(r *Report) {
	if c.n > 0 {
		c.resolve(0, c.packet+1)
	}
	c.pat.at(c.now)
	c.pmt.at(c.now)
	r.PATMax, r.PMTMax = clockDuration(c.pat.max), clockDuration(c.pmt.max)
}

func clockDuration(d int64) time.Duration { return time.Duration(d * 1000 / 27) }

func ticksDuration(d int64) time.Duration { return time.Duration(max(d, 0) * 100000 / 9) }
