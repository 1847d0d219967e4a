package source

import (
	"time"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
)

// How far program time may lie from arrival for a stamp to be believed. A
// reader joins at most a keyframe interval back; beyond that the sender's clock
// differs from ours, or the stream was held back on the way, and aligning by it
// would show nothing.
const (
	trustBehind = 1500 * time.Millisecond
	trustAhead  = 500 * time.Millisecond
)

// A PTS further than this from the one before starts a new time.
const (
	jumpBack    = -1 * media.TicksPerSecond
	jumpForward = 10 * media.TicksPerSecond
)

// timeline maps the PTS of a stream to program time. With stamps it is what
// they say. Without, or when the sender's clock is not ours, it is the arrival
// of the unit that was fastest on its way within the last seconds: UTC = PTS +
// smallest offset.
type timeline struct {
	started bool
	last    int64 // PTS of the newest picture, unwrapped
	offset  int64 // ticks from unwrapped PTS to UTC

	lag     window // arrival - program time of stamps
	arrival window // arrival - PTS
	trusted bool
}

// video takes a picture's PTS, its stamp, if it has one, and its arrival in UTC
// ns. It returns the program time, and whether time starts anew.
func (t *timeline) video(wire int64, stamp *h264.Stamp, arrival int64) (program int64, jumped bool) {
	now := media.TimeToTicks(arrival)
	near := t.last
	if !t.started {
		near = now
	}
	pts := media.Unwrap(wire, near)
	if d := pts - t.last; t.started && (d < jumpBack || d > jumpForward) {
		*t = timeline{}
		jumped = true
		pts = media.Unwrap(wire, now)
	}
	t.started, t.last = true, pts
	fastest := t.arrival.min(now-pts, arrival)
	t.trusted = false
	if stamp != nil {
		lag := t.lag.min(arrival-stamp.Program, arrival)
		t.trusted = lag <= int64(trustBehind) && lag >= -int64(trustAhead)
	}
	if t.trusted {
		t.offset = media.TimeToTicks(stamp.Program) - pts
		return stamp.Program, jumped
	}
	t.offset = fastest
	return media.TicksToTime(pts + t.offset), jumped
}

// audio is the tick, in UTC, of a sound's PTS; false before the first picture.
func (t *timeline) audio(wire int64) (ticks int64, ok bool) {
	return media.Unwrap(wire, t.last) + t.offset, t.started
}

// window is the smallest value of the last 5 to 10 seconds.
type window struct {
	begun           bool
	since           int64
	before, current int64 // minima of the half before, and of the present one
}

const halfWindow = int64(5 * time.Second)

func (w *window) min(v, now int64) int64 {
	switch {
	case !w.begun:
		*w = window{begun: true, since: now, before: v, current: v}
	case now-w.since >= halfWindow || now < w.since:
		w.before, w.current, w.since = w.current, v, now
	default:
		w.current = min(w.current, v)
	}
	return min(w.before, w.current)
}
