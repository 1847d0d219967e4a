package recording

import (
	"fmt"
	"time"
)

// Elsewhere is where a stream was recorded before it is recorded here, up to
// which frame this was flushed there, and why it isn't any more.
type Elsewhere struct {
	Dir   string    `json:"dir"`
	Epoch uint32    `json:"epoch"`
	Frame uint64    `json:"frame"` // the last whole one
	Time  time.Time `json:"time"`  // its program time
	Cause string    `json:"cause,omitempty"`
}

// Flushed is up to where the stream is safe on the disk; ok is false as long as
// nothing is, or where it carries no frame numbers.
func (r *Recorder) Flushed() (e Elsewhere, ok bool) {
	r.writer.mu.Lock()
	defer r.writer.mu.Unlock()
	m := r.writer.state.durable
	return Elsewhere{Dir: r.dir, Epoch: m.epoch, Frame: m.frame, Time: m.time}, m.stamped
}

// gapsBefore are the gaps before the first frame of a file: what was recorded
// elsewhere, which nobody has lost, and what nobody has recorded.
func (c *cutter) gapsBefore(next mark) (gaps []Gap, lost bool) {
	e := c.elsewhere
	c.elsewhere = nil
	from := c.gapFrom
	if e == nil || next.epoch != e.Epoch || !next.stamped || from.stamped && from.epoch == e.Epoch && from.frame >= e.Frame {
		if from.time.IsZero() {
			return nil, false // the first file of all
		}
		return []Gap{between(from, next, c.gapCause)}, true
	}
	there := mark{e.Time, e.Frame, e.Epoch, true}
	end := next
	if lost = there.frame+1 < next.frame; lost {
		end = mark{there.time, there.frame + 1, there.epoch, true}
	}
	if !from.time.IsZero() {
		gaps = append(gaps, between(from, end, fmt.Sprintf("recorded in %s meanwhile", e.Dir)))
	}
	if lost {
		gaps = append(gaps, between(there, next, e.Cause))
	}
	return gaps, lost
}
