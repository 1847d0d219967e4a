package hls

import (
	"slices"
	"time"

	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/mpegts"
)

const (
	// Duration of a segment: number N holds program time [2N, 2N+2) s.
	Duration        = 2 * time.Second
	ticksPerSegment = 2 * media.TicksPerSecond
	// patience is how long, in stream time, a segment waits for the track
	// that has not passed its end yet.
	patience = media.TicksPerSecond
	// restartAfter: a publisher whose pictures lie this far in the past has
	// not repeated itself, its clock was set back. The list starts anew.
	restartAfter = 10 * media.TicksPerSecond
	// ahead is how far audio may run ahead of the pictures. A timestamp beyond
	// it is broken, and would make every following frame look repeated.
	ahead    = 10 * media.TicksPerSecond
	maxOpen  = 4
	maxAudio = 1000 // 21 s of AAC frames
	maxVideo = 600  // pictures in one segment: 60 a second for 10 s
)

// Segment is a finished piece of the stream. It never changes.
type Segment struct {
	Number        int64
	Start, End    int64 // ticks of program time
	Epoch         uint32
	Discontinuity bool
	Sequence      int64 // of discontinuities, counted since this process began
	Independent   bool  // starts with an IDR
	Whole         bool  // every frame of both tracks is in it
	Capture       int64 // UTC ns of the first picture's live input, 0 unknown
	Data          []byte
	ETag          string
}

// A Segmenter cuts units into segments. It is pure: no clock, no goroutines;
// the same units in any interleaving of the two tracks give the same bytes.
//
// Stamped units are cut exactly at program time 2N. Units without stamps are
// cut at the first keyframe at or after 2N; a GOP that is longer than a
// segment is cut without a keyframe one segment later.
type Segmenter struct {
	emit  func(*Segment)
	open  []*building
	audio []Unit // not yet in a segment, ascending
	last  [2]int64
	seen  [2]bool
	done  int64 // number of the newest finished segment
	prev  *Segment
	Stats SegmenterStats
}

// SegmenterStats counts what did not go into a segment.
type SegmenterStats struct {
	Repeated uint64 // units that were there already
	Late     uint64 // units for a finished segment
	NoKey    uint64 // pictures before a segment's first IDR
	Epoch    uint64 // pictures of a new epoch before the next boundary
	Bound    uint64 // units beyond a bound
	Restarts uint64 // the list started anew: program time went back
	Partial  uint64 // segments without all frames
}

type building struct {
	number int64
	end    int64 // ticks; 0: not known yet, at the next keyframe
	epoch  uint32
	video  []Unit
}

// NewSegmenter calls emit with each finished segment, in order of number.
func NewSegmenter(emit func(*Segment)) *Segmenter {
	return &Segmenter{emit: emit}
}

// Add takes the next unit of a track.
func (s *Segmenter) Add(u Unit) {
	if s.seen[u.Track] && u.DTS <= s.last[u.Track] {
		if u.Track == media.Audio || s.last[media.Video]-u.DTS < restartAfter {
			s.Stats.Repeated++
			return
		}
		s.restart()
	}
	if u.Track == media.Audio && s.seen[media.Video] && u.DTS-s.last[media.Video] > ahead {
		s.Stats.Bound++
		return
	}
	s.last[u.Track], s.seen[u.Track] = u.DTS, true
	if u.Track == media.Video {
		s.addVideo(u)
	} else {
		s.addAudio(u)
	}
	s.finish()
}

// Flush finishes what is open: the publisher has been gone for long enough
// that nothing more can come for it.
func (s *Segmenter) Flush() {
	for len(s.open) > 0 {
		b := s.open[0]
		if end := tail(b.video); b.end == 0 || end < b.end {
			b.end = end
		}
		s.close(b)
	}
	s.audio = nil
}

// Next is the first tick at which a new publisher without stamps can go on.
func (s *Segmenter) Next() int64 {
	next := (s.done + 1) * ticksPerSegment
	if n := len(s.open); n > 0 {
		next = max(next, (s.open[n-1].number+1)*ticksPerSegment)
	}
	return next
}

func (s *Segmenter) restart() {
	*s = Segmenter{emit: s.emit, Stats: s.Stats}
	s.Stats.Restarts++
}

func (s *Segmenter) addAudio(u Unit) {
	if len(s.audio) == maxAudio {
		s.audio = s.audio[1:]
		s.Stats.Bound++
	}
	s.audio = append(s.audio, u)
}

func (s *Segmenter) addVideo(u Unit) {
	var cur *building
	if n := len(s.open); n > 0 {
		cur = s.open[n-1]
	}
	number := s.number(u, cur)
	if number <= s.done && s.prev != nil {
		s.Stats.Late++
		return
	}
	if cur == nil || number != cur.number {
		if !u.Key && (u.Stamped || cur == nil || cur.epoch != u.Epoch) {
			s.Stats.NoKey++
			return
		}
		cur = s.next(u, cur, number)
	}
	switch {
	case cur.epoch != u.Epoch:
		s.Stats.Epoch++
	case len(cur.video) == maxVideo:
		s.Stats.Bound++
	default:
		cur.video = append(cur.video, u)
	}
}

// next opens a segment that starts with u.
func (s *Segmenter) next(u Unit, cur *building, number int64) *building {
	if cur != nil && cur.end == 0 {
		cur.end = u.PTS
		if cur.epoch != u.Epoch {
			cur.end = tail(cur.video)
		}
	}
	b := &building{number: number, epoch: u.Epoch}
	if u.Stamped {
		b.end = (number + 1) * ticksPerSegment
	}
	s.open = append(s.open, b)
	return b
}

// number says which segment u belongs to, given the newest open one.
func (s *Segmenter) number(u Unit, cur *building) int64 {
	grid := u.PTS / ticksPerSegment
	if u.Stamped || cur == nil || cur.epoch != u.Epoch {
		return grid
	}
	boundary := (cur.number + 1) * ticksPerSegment
	if u.PTS < boundary || !u.Key && u.DTS < boundary+ticksPerSegment {
		return cur.number
	}
	if grid-cur.number <= 2 {
		return cur.number + 1 // late keyframes leave no hole in the numbers
	}
	return grid
}

// finish closes every segment that both tracks have passed.
func (s *Segmenter) finish() {
	for len(s.open) > 0 {
		b := s.open[0]
		if len(s.open) <= maxOpen && !s.passed(b) {
			return
		}
		if b.end == 0 {
			b.end = tail(b.video)
		}
		s.close(b)
	}
}

func (s *Segmenter) passed(b *building) bool {
	if b.end == 0 {
		return false
	}
	video, audio := s.last[media.Video] >= b.end, s.last[media.Audio] >= b.end
	newest := max(s.last[media.Video], s.last[media.Audio])
	return video && audio || newest-b.end > patience
}

func (s *Segmenter) close(b *building) {
	s.open = s.open[1:]
	s.done = b.number
	sound := s.takeAudio(b)
	if len(b.video) == 0 {
		return
	}
	first := b.video[0]
	seg := &Segment{
		Number: b.number, Start: first.PTS, End: b.end, Epoch: b.epoch,
		Independent: first.Key, Capture: first.Capture, Whole: whole(b, sound),
	}
	if p := s.prev; p != nil {
		seg.Discontinuity = p.Epoch != b.epoch
		seg.Sequence = p.Sequence
		if seg.Discontinuity {
			seg.Sequence++
		}
	}
	if !seg.Whole {
		s.Stats.Partial++
	}
	seg.Data = mux(b.video, sound)
	s.prev = seg
	s.emit(seg)
}

// takeAudio removes the audio before b's end and returns what belongs to b: a
// frame belongs to the segment in which it starts.
func (s *Segmenter) takeAudio(b *building) []Unit {
	end := slices.IndexFunc(s.audio, func(u Unit) bool { return u.PTS >= b.end })
	if end < 0 {
		end = len(s.audio)
	}
	part := s.audio[:end]
	s.audio = s.audio[end:]
	if len(b.video) == 0 {
		return nil
	}
	start := b.video[0].PTS
	begin := slices.IndexFunc(part, func(u Unit) bool { return u.PTS >= start })
	if begin < 0 {
		return nil
	}
	return part[begin:]
}

// mux makes the bytes, which don't depend on the order of arrival.
func mux(video, sound []Unit) []byte {
	units := make([]media.Unit, 0, len(video)+len(sound))
	size := 0
	for _, list := range [][]Unit{video, sound} {
		for _, u := range list {
			units = append(units, u.Unit)
			size += len(u.Data) + 2*mpegts.PacketSize
		}
	}
	return mpegts.AppendSegment(make([]byte, 0, size+size/16), units)
}

// tail is where the last picture ends, as far as its neighbours tell.
func tail(video []Unit) int64 {
	n := len(video)
	switch n {
	case 0:
		return 0
	case 1:
		return video[0].PTS + media.TicksPerSecond/25
	}
	return video[n-1].DTS + (video[n-1].DTS-video[0].DTS)/int64(n-1)
}

// whole says that a stamped segment has all its pictures and sound.
func whole(b *building, sound []Unit) bool {
	first, last := b.video[0], b.video[len(b.video)-1]
	start := b.number * ticksPerSegment
	if !first.Stamped || first.PTS != start || b.end != start+ticksPerSegment {
		return false
	}
	frames := last.Frame - first.Frame + 1
	if frames != int64(len(b.video)) || tail(b.video) != b.end {
		return false
	}
	want := aacFrom(b.end) - aacFrom(start)
	return int64(len(sound)) == want && len(sound) > 0 && sound[0].PTS == media.AACTicks(aacFrom(start))
}

// aacFrom is the first AAC frame that starts at or after t.
func aacFrom(t int64) int64 { return (t + media.TicksPerAAC - 1) / media.TicksPerAAC }
