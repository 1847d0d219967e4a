package cache

import (
	"time"

	"github.com/openvideobox/videobox/restream-host/internal/hls"
)

const (
	// wait is how long a segment that one origin lists waits for one that is
	// preferred, or has more of it, before it is listed.
	wait = time.Second
	// stale is how long an origin's list may stand still before it counts as
	// having no input, and how long ours is still served then.
	stale = 6 * time.Second
	// whole is how long a segment is that lacks nothing.
	whole = hls.Duration - 50*time.Millisecond
)

// view is what one origin said of a stream last.
type view struct {
	list     *hls.Playlist
	up       bool      // the last poll was answered with a playlist
	newest   int64     // its newest segment
	advanced time.Time // when newest changed
}

func (v *view) usable(now time.Time) bool {
	return v.up && v.list != nil && now.Sub(v.advanced) < stale
}

// entry finds number n in the view.
func (v *view) entry(n int64) (hls.Entry, bool) {
	if v.list == nil || n < v.list.Sequence || n >= v.list.End() {
		return hls.Entry{}, false
	}
	return v.list.Entries[n-v.list.Sequence], true
}

// listed is a segment of our own list. What is listed stays as it is, except
// that a gap may be filled.
type listed struct {
	hls.Entry
	origin   int   // which one to ask first
	sequence int64 // of discontinuities
}

// merge makes one list of several origins' lists, main first. It is pure: the
// time comes with each call. Our list is main's as long as main is well; where
// it has a gap, or only a part of a segment, or is late, the others' stands in.
type merge struct {
	views []view
	list  []listed            // ascending numbers without holes
	first map[int64]time.Time // when a number beyond our list was first offered
	grown time.Time           // when list grew last
}

func newMerge(origins int) *merge {
	return &merge{views: make([]view, origins), first: make(map[int64]time.Time)}
}

// lost notes that an origin did not answer with a playlist.
func (m *merge) lost(origin int) { m.views[origin].up = false }

// offer takes an origin's playlist, and update extends our list by what can be
// listed now. update returns the new segments.
func (m *merge) offer(origin int, p *hls.Playlist, now time.Time) {
	v := &m.views[origin]
	if n := p.NewestSegment(); v.list == nil || n != v.newest {
		v.newest, v.advanced = n, now
	}
	v.list, v.up = p, true
}

func (m *merge) update(now time.Time) (added []listed) {
	m.fillGaps()
	if len(m.list) > 0 && m.setBack(now) {
		m.list = nil
	}
	for {
		n, ok := m.next(now)
		if !ok {
			break
		}
		l, ok := m.choose(n, now)
		if !ok {
			break
		}
		m.append(l)
		if !l.Gap {
			added = append(added, l)
			m.grown = now
		}
	}
	m.trim()
	return added
}

// next is the number to list next, if any usable origin lists it or a later
// one.
func (m *merge) next(now time.Time) (int64, bool) {
	first, end := int64(-1), int64(-1)
	for i := range m.views {
		if v := &m.views[i]; v.usable(now) && len(v.list.Entries) > 0 {
			if first < 0 || v.list.Sequence < first {
				first = v.list.Sequence
			}
			end = max(end, v.newest+1)
		}
	}
	if first < 0 {
		return 0, false
	}
	if len(m.list) == 0 {
		return first, true
	}
	n := m.list[len(m.list)-1].Number + 1
	if first > n+hls.Listed { // after a long silence
		m.list = nil
		return first, true
	}
	return n, n < end
}

// choose decides who gives segment n, or that it is too early to say.
func (m *merge) choose(n int64, now time.Time) (listed, bool) {
	if _, ok := m.first[n]; !ok {
		m.first[n] = now
	}
	best, preferred, open := listed{Entry: hls.GapEntry(n), origin: -1}, true, false
	for i := range m.views {
		v := &m.views[i]
		if !v.usable(now) {
			continue
		}
		e, ok := v.entry(n)
		if ok && !e.Gap && e.Duration >= whole && preferred {
			return m.flag(listed{Entry: e, origin: i}, now), true
		}
		// An origin that lists a later segment has said all it will of this.
		open = open || !ok && n >= v.list.End()
		if ok && !e.Gap && (best.Gap || e.Duration > best.Duration) {
			best = listed{Entry: e, origin: i}
		}
		preferred = preferred && (ok || n < v.list.End())
	}
	if open && now.Sub(m.first[n]) < wait {
		return listed{}, false
	}
	return m.flag(best, now), true
}

// flag marks a discontinuity that only another origin knows of.
func (m *merge) flag(l listed, now time.Time) listed {
	for i := range m.views {
		if e, ok := m.views[i].entry(l.Number); ok && m.views[i].usable(now) && e.Discontinuity {
			l.Discontinuity = true
		}
	}
	return l
}

func (m *merge) append(l listed) {
	delete(m.first, l.Number)
	if n := len(m.list); n > 0 {
		l.sequence = m.list[n-1].sequence
	}
	if l.Discontinuity {
		l.sequence++
	}
	m.list = append(m.list, l)
}

// fillGaps replaces gaps of ours by segments that have turned up.
func (m *merge) fillGaps() {
	for i := range m.list {
		for o := range m.views {
			if !m.list[i].Gap {
				break
			}
			if e, ok := m.views[o].entry(m.list[i].Number); ok && !e.Gap {
				m.list[i].Entry, m.list[i].origin = e, o
				m.list[i].Discontinuity = false
			}
		}
	}
}

// setBack says that program time has gone back: every usable origin's newest
// segment lies below ours, and ours has not grown for long.
func (m *merge) setBack(now time.Time) bool {
	if now.Sub(m.grown) < stale {
		return false
	}
	usable := false
	for i := range m.views {
		if v := &m.views[i]; v.usable(now) {
			usable = true
			if v.newest >= m.list[len(m.list)-1].Number {
				return false
			}
		}
	}
	return usable
}

// trim keeps the window that ends with the newest number and starts with a
// segment that is there.
func (m *merge) trim() {
	if n := len(m.list) - hls.Listed; n > 0 {
		m.list = m.list[n:]
	}
	for len(m.list) > 0 && m.list[0].Gap {
		m.list = m.list[1:]
	}
	for n := range m.first {
		if len(m.list) > 0 && n <= m.list[len(m.list)-1].Number {
			delete(m.first, n)
		}
	}
}

// live says whether our list has grown lately.
func (m *merge) live(now time.Time) bool {
	return len(m.list) > 0 && now.Sub(m.grown) < stale
}

// playlist is our list.
func (m *merge) playlist() *hls.Playlist {
	p := &hls.Playlist{Target: int(hls.Duration / time.Second), Independent: true}
	for i := range m.views {
		if l := m.views[i].list; l != nil {
			p.Target = max(p.Target, l.Target)
			p.Independent = p.Independent && l.Independent
		}
	}
	for i, l := range m.list {
		if i == 0 {
			p.Sequence, p.DiscontinuitySequence = l.Number, l.sequence
			l.Discontinuity = false // nothing before it is listed
		}
		p.Entries = append(p.Entries, l.Entry)
	}
	return p
}

// find is segment n of our list.
func (m *merge) find(n int64) (listed, bool) {
	if len(m.list) == 0 {
		return listed{}, false
	}
	i := n - m.list[0].Number
	if i < 0 || i >= int64(len(m.list)) {
		return listed{}, false
	}
	return m.list[i], true
}
