package recording

import (
	"fmt"
	"time"

	"github.com/openvideobox/videobox/internal/mpegts"
)

// maxGaps bounds an index entry: a stream that loses every other frame must
// not make it grow without end.
const maxGaps = 100

// mark is a place in the stream: a frame, or a time where frames carry no
// stamp.
type mark struct {
	time    time.Time
	frame   uint64
	epoch   uint32
	stamped bool
}

func (g *group) mark(now time.Time) mark {
	if !g.stamped {
		return mark{time: now}
	}
	return mark{time.Unix(0, g.stamp.Program).UTC(), g.stamp.Frame, g.stamp.Epoch, true}
}

// facts are what the index says about a segment, gathered as its packets pass.
type facts struct {
	first, last mark // last may be the frame before the segment until any
	any         bool // picture has started
	before      mark // the picture before the last one
	torn        bool // the last one is not whole so far
	pictures    uint64
	errors      uint64
	missing     uint64
	gaps        []Gap
	omitted     int
	content     content
}

// add takes the next group of the segment.
func (f *facts) add(g *group, now time.Time) {
	f.errors += uint64(g.errors)
	if !g.picture {
		f.torn = f.torn && !g.whole
		return
	}
	m := g.mark(now)
	if m.stamped && f.last.stamped && m.epoch == f.last.epoch && m.frame > f.last.frame+1 {
		missing := m.frame - f.last.frame - 1
		f.missing += missing
		f.gap(between(f.last, m, fmt.Sprintf("the stream left out %d frames", missing)))
	}
	if !f.any {
		f.first = m
	}
	f.before, f.last, f.any, f.torn = f.last, m, true, !g.whole
	if m.stamped {
		f.content.frame(g.stamp.Flags, m.time)
	}
	f.pictures++
}

func (f *facts) gap(g Gap) {
	if len(f.gaps) >= maxGaps {
		f.omitted++
		return
	}
	f.gaps = append(f.gaps, g)
}

// between is the gap after one mark and before the other.
func between(last, next mark, cause string) Gap {
	g := Gap{Start: last.time, End: next.time, Cause: cause}
	if last.stamped && next.stamped && last.epoch == next.epoch && next.frame > last.frame {
		g.FirstFrame, g.LastFrame = last.frame+1, next.frame-1
	}
	return g
}

// whole is the last picture of which all is there, and how many are. A segment
// that was cut off may end within a picture, which no player shows.
func (f *facts) whole() (last mark, pictures uint64) {
	switch {
	case !f.torn:
		return f.last, f.pictures
	case f.pictures < 2:
		return mark{time: f.first.time}, 0
	}
	return f.before, f.pictures - 1
}

// entry makes the index entry.
func (f *facts) entry() Entry {
	var e Entry
	f.content.fill(&e)
	last, pictures := f.whole()
	e = Entry{
		Spans: e.Spans, SpansOmitted: e.SpansOmitted, Loudness: e.Loudness,
		Start: f.first.time, End: last.time,
		Pictures: pictures, ContinuityErrors: f.errors, MissingFrames: f.missing,
		Gaps: f.gaps, GapsOmitted: f.omitted,
	}
	if f.first.stamped && pictures > 0 {
		e.StartFrame = f.first.frame
	}
	if last.stamped {
		e.EndFrame = last.frame
	}
	return e
}

// position is where a recording stopped in the stream, to the packet.
type position struct {
	start   [mpegts.PacketSize]byte // the packet in which the last picture starts
	packets int                     // recorded from it on, it included
	pts     int64
	mark    mark // the last picture
	whole   mark // the last one of which all is recorded
}

// add moves the position over a group.
func (p *position) add(g *group, now time.Time) {
	n := len(g.packets) / mpegts.PacketSize
	if !g.picture {
		p.packets += n
		if g.whole {
			p.whole = p.mark
		}
		return
	}
	copy(p.start[:], g.start())
	p.packets = n - g.tables
	p.pts = g.pts
	p.whole, p.mark = p.mark, g.mark(now)
	if g.whole || p.whole.time.IsZero() {
		p.whole = p.mark
	}
}

// known says whether a picture has been recorded at all.
func (p *position) known() bool { return p.packets > 0 && p.start[0] != 0 }
