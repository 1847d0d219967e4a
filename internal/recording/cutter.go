package recording

import (
	"fmt"
	"sync"
	"time"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/mpegts"
)

type mode int

const (
	waiting  mode = iota // for the first keyframe
	writing              // packets go to the queue
	dropping             // until the disk takes data again and a keyframe comes
	joining              // for the place where the last connection broke off
	skipping             // packets that are recorded already
)

// opening tells the writer to begin a file, or to go on with one.
type opening struct {
	boot  int64 // the stream's clock minus the host's time since boot, while it is not in sync
	right int64 // the same once it is in sync

	seq    int       // counts the openings of this run
	name   string    // what the file's name starts with, or all of it to extend
	stamp  time.Time // in the name; zero when it is numbered
	extend bool      // it is there already
	gaps   []Gap     // before it
}

// cutter divides the stream into files. It runs in Write's goroutine.
type cutter struct {
	cfg    Config
	queue  *queue
	writer *writer
	scan   mpegts.Scanner
	group  *grouper

	mode  mode
	seq   int    // of the file in hand
	out   []byte // packets for the queue
	pos   position
	begun time.Time // when the file in hand was, by the clock

	facts facts // of the file with out
	sent  facts // of the file as far as it is in the queue
	from  mark  // the newest whole frame before out

	gapFrom  mark // where the recording broke off, while dropping or joining
	gapCause string
	afterGap bool // the file in hand starts with this gap
	skip     int  // packets left to skip
	joined   time.Time

	elsewhere *Elsewhere // until the first file begins
	tail      *tail      // file of an earlier run that may go on

	mu       sync.Mutex // for what others read and set
	tally    tally
	observed *Observation // what was measured and not noted yet
	off      bool         // nothing is to be recorded
}

// tally is what Status shows of the stream's side.
type tally struct {
	mode     mode
	gapCause string // while dropping or joining
	segments uint64
	bytes    uint64 // put into the queue
	lost     uint64 // bytes that were not
	errors   uint64
	missing  uint64
	gaps     uint64
	lastGap  *Gap
	gapSeen  time.Time // when one of this recorder's own had ended, by the clock
	skipped  uint64    // bytes of garbage
	lastByte time.Time // when anything came
	lastData time.Time // when something came that had not been there before
	off      bool
	last     mark // the newest frame
	started  time.Time
}

func newCutter(cfg Config, q *queue, w *writer) *cutter {
	c := &cutter{cfg: cfg, queue: q, writer: w, elsewhere: cfg.Elsewhere}
	c.tally.started = time.Now()
	c.group = newGrouper(c.take)
	return c
}

// resume waits for the place at which the file of an earlier run ends.
func (c *cutter) resume(t *tail) {
	c.tail, c.pos = t, t.pos
	c.group.pat, c.group.pmt = t.pat, t.pmt
	c.setMode(joining)
	c.gapFrom, c.gapCause = t.pos.whole, "the recorder was not running"
}

func (c *cutter) write(p []byte) {
	now := time.Now()
	if c.mode == joining && c.joined.IsZero() {
		c.joined = now
	}
	c.scan.Scan(p, c.group.packet)
	c.send()
	c.mu.Lock()
	c.tally.lastByte = now
	c.tally.skipped = c.scan.Skipped
	c.mu.Unlock()
}

// rejoin prepares for a new connection.
func (c *cutter) rejoin(cause string) {
	if c.mode == writing {
		c.group.flush()
	}
	c.send()
	c.scan = mpegts.Scanner{}
	c.group.reset()
	c.joined = time.Time{}
	if c.mode == writing || c.mode == skipping {
		c.gapFrom, c.gapCause = c.pos.whole, cause
		c.setMode(joining)
	}
}

func (c *cutter) resuming() bool { return c.mode == joining && c.pos.known() }

// finish puts the end of the file into the queue.
func (c *cutter) finish() {
	if c.mode == writing {
		c.group.flush()
	}
	c.send()
	if c.tail == nil { // else the next run may go on with it
		c.end()
	}
}

func (c *cutter) setMode(m mode) {
	c.mode = m
	c.mu.Lock()
	c.tally.mode, c.tally.gapCause = m, c.gapCause
	c.mu.Unlock()
}

// take decides about a group of packets.
func (c *cutter) take(g *group) {
	if c.isOff() {
		c.passOver(g)
		return
	}
	switch c.mode {
	case waiting:
		if g.key {
			c.resumeAt(g)
		}
	case writing:
		c.continueOrCut(g)
	case dropping:
		c.dropOrResume(g)
	case joining:
		c.join(g)
	case skipping:
		c.skipOver(g)
	}
}

func (c *cutter) continueOrCut(g *group) {
	if f := c.writer.failure(); f != nil && f.seq == c.seq && g.picture {
		if !f.empty || !c.afterGap {
			c.lose(f.mark, f.cause)
		} else {
			c.setMode(dropping) // nothing has been written since: the same gap goes on
		}
		c.out = c.out[:0]
		c.dropOrResume(g)
		return
	}
	if g.key && c.due(g) {
		c.facts.torn = false // where the next one begins, the last one ends
		c.sent.torn = c.sent.torn && len(c.out) > 0
		c.begin(g, nil)
		return
	}
	c.put(g)
}

// due says whether the file in hand ends before this keyframe.
func (c *cutter) due(g *group) bool {
	now := time.Now()
	m := g.mark(now)
	switch {
	case m.stamped != c.facts.last.stamped || m.epoch != c.facts.last.epoch:
		return c.facts.any
	case m.stamped && c.facts.first.stamped:
		return m.time.Sub(c.facts.first.time) >= c.cfg.Segment
	}
	return now.Sub(c.begun) >= c.cfg.Segment
}

// lose starts a gap after the given place.
func (c *cutter) lose(from mark, cause string) {
	c.gapFrom, c.gapCause = from, cause
	c.setMode(dropping)
	c.mu.Lock()
	c.tally.gaps++
	c.mu.Unlock()
	c.cfg.Log.Error("recording: gap begins", "name", c.cfg.Name, "after", from.time, "frame", from.frame, "cause", cause)
}

func (c *cutter) dropOrResume(g *group) {
	if g.key && c.queue.room() && c.writer.ready() {
		c.resumeAt(g)
		return
	}
	c.mu.Lock()
	c.tally.lost += uint64(len(g.packets))
	c.tally.lastData = time.Now()
	c.mu.Unlock()
}

// resumeAt begins a file after a gap, if there is one, and says whether anything
// is lost.
func (c *cutter) resumeAt(g *group) (lost bool) {
	if !c.playable() {
		return false
	}
	gaps, lost := c.gapsBefore(g.mark(time.Now()))
	if lost {
		gap := gaps[len(gaps)-1]
		c.cfg.Log.Warn("recording: gap ends", "name", c.cfg.Name, "seconds", gap.End.Sub(gap.Start).Seconds(), "cause", gap.Cause)
		c.mu.Lock()
		c.tally.lastGap, c.tally.gapSeen = &gap, time.Now()
		c.mu.Unlock()
	}
	c.begin(g, gaps)
	return lost
}

// playable says whether there are tables to start a file with.
func (c *cutter) playable() bool { return len(c.group.pat) > 0 && len(c.group.pmt) > 0 }

// begin ends the file in hand and starts one with this keyframe.
func (c *cutter) begin(g *group, gaps []Gap) {
	if !c.playable() {
		return
	}
	if !c.send() {
		c.dropOrResume(g)
		return
	}
	before := c.facts.content
	c.end()
	c.begun = time.Now()
	c.facts = facts{last: c.pos.mark}
	if len(gaps) > 0 {
		c.facts = facts{gaps: gaps}
	} else {
		c.facts.content = before.next(g.mark(c.begun).time)
	}
	c.afterGap = len(gaps) > 0
	if !c.pos.known() {
		c.pos.mark = g.mark(c.begun)
		c.pos.whole = c.pos.mark
	}
	c.seq++
	o := c.opening(g)
	o.gaps = append(o.gaps, c.facts.gaps...)
	c.queue.control(item{open: o})
	c.setMode(writing)
	c.mu.Lock()
	c.tally.segments++
	c.mu.Unlock()
	if g.tables < 2 {
		// The same packets again are what 2.4.3.3 calls duplicates.
		c.out = append(append(c.out, c.group.pat...), c.group.pmt...)
	}
	c.put(g)
}

// opening names the file by the frame's program time, or numbers it while the
// sender's clock is not in sync.
func (c *cutter) opening(g *group) *opening {
	synced, at := c.cfg.Synced(), time.Now()
	if g.stamped {
		synced, at = g.stamp.Flags&h264.Synced != 0, time.Unix(0, g.stamp.Program)
	}
	offset := at.UnixNano() - c.cfg.BootTime()
	if !synced {
		return &opening{seq: c.seq, name: c.cfg.Name + "-boot" + bootID(), boot: offset}
	}
	return &opening{seq: c.seq, name: c.cfg.Name, stamp: at.UTC(), right: offset}
}

// end tells the writer that the file in hand is complete, or that nothing will
// be added to the one of an earlier run.
func (c *cutter) end() {
	switch {
	case c.tail != nil:
		if !c.tail.indexed {
			c.queue.control(item{index: c.tail.name})
		}
		c.tail = nil
	case c.sent.any:
		f := c.sent
		c.queue.control(item{end: &f})
	}
	c.facts, c.sent = facts{}, facts{}
}

// put takes a group into the file.
func (c *cutter) put(g *group) {
	now := time.Now()
	if c.facts.pictures == 0 || len(c.out) == 0 {
		c.from = c.pos.whole
	}
	missing, gaps := c.facts.missing, len(c.facts.gaps)
	c.facts.add(g, now)
	c.pos.add(g, now)
	c.out = append(c.out, g.packets...)
	c.mu.Lock()
	observed := c.observed
	c.observed = nil
	c.tally.errors += uint64(g.errors)
	c.tally.missing += c.facts.missing - missing
	if len(c.facts.gaps) > gaps {
		gap := c.facts.gaps[gaps]
		c.tally.gaps++
		c.tally.lastGap = &gap // the sender's, which its own status explains
	}
	c.tally.last, c.tally.lastData = c.pos.mark, now
	c.mu.Unlock()
	if observed != nil {
		c.facts.content.observe(*observed, c.pos.mark.time)
	}
	if g.stamped && c.cfg.OnFrame != nil {
		c.cfg.OnFrame(g.stamp)
	}
	if len(c.out) >= blockSize {
		c.send()
	}
}

// send moves what was put to the queue. Without room it is lost and a gap
// begins.
func (c *cutter) send() bool {
	if len(c.out) == 0 {
		return true
	}
	n := uint64(len(c.out))
	ok := c.queue.push(c.out, c.from, c.pos.whole)
	c.out = c.out[:0]
	c.mu.Lock()
	if ok {
		c.tally.bytes += n
	} else {
		c.tally.lost += n
	}
	c.mu.Unlock()
	if ok {
		c.sent = c.facts
	} else {
		c.lose(c.from, fmt.Sprintf("the disk took no data until %d bytes were waiting", c.cfg.Queue))
	}
	return ok
}

// takeTally is for Status.
func (c *cutter) takeTally() tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tally
	t.off = c.off
	return t
}
