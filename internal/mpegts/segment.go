package mpegts

import (
	"cmp"
	"math"
	"slices"

	"github.com/openvideobox/videobox/internal/adts"
	"github.com/openvideobox/videobox/internal/media"
)

// SegmentTicks is how long an HLS segment is. Segment N holds program time
// from N times this on.
const SegmentTicks = 2 * media.TicksPerSecond

// counterCycle is how many packets bring a continuity counter back.
const counterCycle = counterMask + 1

// AppendSegment appends the units as one HLS segment that needs nothing from
// outside it: PAT and PMT first, then the units by DTS, video first where two
// are equal. The bytes depend on the units alone.
//
// All counters start at 0 and end at 15, so that they go on from any segment
// to any other: the last access unit of a stream takes more packets than it
// needs, until their number is a multiple of 16, and the tables are repeated.
// Where video is missing, as a whole or for some frames, the PCR goes on in
// packets of its own.
//
// Times must not be wrapped. Empty units and sound that no ADTS frame holds
// are left out; without units nothing is appended.
func AppendSegment(dst []byte, units []media.Unit) []byte {
	s := newSegment(units)
	if len(s.units) == 0 {
		return dst
	}
	if u := s.units[0]; u.Track == media.Audio || u.DTS > s.start {
		dst = s.appendClockUntil(dst, s.start+1)
	}
	for i, u := range s.units {
		if u.Track == media.Video {
			dst = s.mux.appendVideo(dst, u, i == s.last[media.Video])
			continue
		}
		dst = s.appendClockUntil(dst, u.DTS)
		dst = s.mux.appendAudio(dst, u, i == s.last[media.Audio])
	}
	dst = s.appendClockUntil(dst, s.end)
	for s.mux.pat.counter != 0 {
		dst = s.mux.appendTables(dst, s.mux.lastTables)
	}
	return dst
}

// segment is what AppendSegment works on.
type segment struct {
	units      []media.Unit
	last       [2]int // index of each track's last unit
	start, end int64  // DTS from and until which the clock goes
	mux        *Muxer
}

func newSegment(units []media.Unit) *segment {
	s := &segment{mux: newMuxer(0)}
	s.mux.maxFill = 2 * SegmentTicks
	first, reordered := int64(math.MaxInt64), false
	for _, u := range units {
		if len(u.Data) == 0 || u.Track == media.Audio && len(u.Data) > adts.MaxPayload {
			continue
		}
		s.units = append(s.units, u)
		first = min(first, u.PTS)
		reordered = reordered || u.PTS != u.DTS
	}
	slices.SortStableFunc(s.units, func(a, b media.Unit) int {
		return cmp.Or(cmp.Compare(a.DTS, b.DTS), cmp.Compare(a.Track, b.Track))
	})
	for i, u := range s.units {
		s.last[u.Track] = i
	}
	// The segment's own times are known where it is: the clock runs from its
	// start to its end, so that frames missing there leave no gap. With
	// reordered pictures the next one begins before that.
	if len(s.units) > 0 {
		s.start = s.units[0].DTS
		if !reordered {
			s.start = first - first%SegmentTicks
			s.end = s.start + SegmentTicks
		}
	}
	return s
}

// appendClockUntil appends packets with a PCR, as far apart as they may be,
// for times before the DTS t.
func (s *segment) appendClockUntil(dst []byte, t int64) []byte {
	at := s.start
	if s.mux.started {
		at = s.mux.lastPCR + s.mux.lead + maxPCRInterval
	}
	for ; at < t; at += maxPCRInterval {
		dst = s.mux.appendClock(dst, at-s.mux.lead)
	}
	return dst
}
