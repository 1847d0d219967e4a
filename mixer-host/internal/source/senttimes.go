package source

import "github.com/openvideobox/videobox/internal/h264"

// sentTime is what is known of a unit that a decoder was given, by the only
// thing that comes back with it: its time in ms since the child's time 0.
type sentTime struct {
	ms      int64
	program int64
	capture int64
	flags   h264.Flags
	exact   bool // by a stamp, not by arrival
}

// sentTimes remembers the newest units sent. A decoder that holds back more
// than a second or two of them is stalled.
type sentTimes struct {
	ring [128]sentTime
	n    int
}

func (s *sentTimes) add(t sentTime) {
	s.ring[s.n%len(s.ring)] = t
	s.n++
}

// find is the unit nearest to ms, at most slack ms away; the newest of equals.
func (s *sentTimes) find(ms, slack int64) (best sentTime, ok bool) {
	for i := s.n - 1; i >= 0 && i >= s.n-len(s.ring); i-- {
		t := s.ring[i%len(s.ring)]
		d := max(t.ms-ms, ms-t.ms)
		if d <= slack && (!ok || d < max(best.ms-ms, ms-best.ms)) {
			best, ok = t, true
		}
	}
	return best, ok
}
