package recording

import "time"

// causeOff is the cause of the gap while recording is switched off.
const causeOff = "recording is switched off"

// SetOn switches recording off and on again; it is on at the start. Any
// goroutine may call it. What is not recorded meanwhile is a gap of the index,
// whose cause says so.
func (r *Recorder) SetOn(on bool) {
	r.cut.mu.Lock()
	defer r.cut.mu.Unlock()
	r.cut.off = !on
}

func (c *cutter) isOff() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.off
}

// passOver lets the stream go by while recording is switched off. The file in
// hand ends at once, whole. Where nothing has been recorded yet there is no gap.
func (c *cutter) passOver(g *group) {
	switch {
	case c.mode == writing && c.send():
		if c.tail != nil { // the writer has it open, and indexes it when it closes it
			c.tail = nil
		} else {
			c.end()
		}
		c.queue.control(item{close: true})
		c.lose(c.pos.whole, causeOff)
	case c.mode != dropping && c.mode != waiting:
		c.end()
		c.lose(c.pos.whole, causeOff)
	}
	c.mu.Lock()
	c.tally.lastData = time.Now()
	c.mu.Unlock()
}
