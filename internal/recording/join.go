package recording

import (
	"time"

	"github.com/openvideobox/videobox/internal/mpegts"
)

const (
	// A buffered port repeats some seconds. Whatever is much older is not a
	// repetition but a stream whose clock went back.
	maxRepeat    = time.Minute
	framesMinute = 60 * 60 // at the highest rate, 60 a second
	// joinDeadline is for streams without stamps: what is repeated comes at
	// once, not as fast as it is played.
	joinDeadline = 3 * time.Second
)

// join looks for the packet at which the recording broke off.
func (c *cutter) join(g *group) {
	switch {
	case !g.picture:
	case !c.pos.known():
		if g.key {
			c.resumeAt(g)
		}
	case string(g.start()) == string(c.pos.start[:]):
		c.found(g)
	case g.key && c.past(g):
		if c.resumeAt(g) {
			c.mu.Lock()
			c.tally.gaps++
			c.mu.Unlock()
		}
	}
}

// past says that a picture comes after the place where the recording broke
// off, or that it belongs to another stream.
func (c *cutter) past(g *group) bool {
	if g.stamped && c.pos.mark.stamped {
		last := c.pos.mark.frame
		return g.stamp.Epoch != c.pos.mark.epoch || g.stamp.Frame > last || g.stamp.Frame+framesMinute < last
	}
	if time.Since(c.joined) > joinDeadline || g.pts < 0 || c.pos.pts < 0 {
		return true
	}
	ahead := (g.pts - c.pos.pts) << 31 >> 31 // 33 bits with sign
	return ahead > 0 || ahead < -int64(maxRepeat/time.Second)*90000
}

// found goes on where the recording broke off.
func (c *cutter) found(g *group) {
	if c.tail != nil {
		c.seq++
		c.queue.control(item{open: &opening{seq: c.seq, name: c.tail.name, extend: true, gaps: c.tail.gaps}})
		c.facts = facts{first: c.tail.first, last: c.pos.mark, any: true}
		c.sent, c.tail = c.facts, nil
		c.begun = time.Now()
	}
	c.elsewhere = nil
	c.skip = c.pos.packets
	c.setMode(skipping)
	rest := *g
	rest.packets = g.packets[g.tables*mpegts.PacketSize:]
	rest.tables = 0
	c.skipOver(&rest)
}

// skipOver leaves out what is recorded already.
func (c *cutter) skipOver(g *group) {
	n := min(c.skip, len(g.packets)/mpegts.PacketSize)
	c.skip -= n
	rest := group{packets: g.packets[n*mpegts.PacketSize:], errors: g.errors, whole: g.whole}
	if n <= g.tables {
		rest = *g
		rest.packets, rest.tables = g.packets[n*mpegts.PacketSize:], g.tables-n
	}
	if c.skip == 0 {
		c.setMode(writing)
	}
	if len(rest.packets) > 0 {
		c.put(&rest)
	}
}
