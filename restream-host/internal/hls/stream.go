package hls

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/openvideobox/videobox/internal/media"
)

// What a stream keeps. Players that pause read up to spare segments behind
// the list; memory is (Listed+spare) * 2 s of the bitrate, 36 MB at 4 Mbit/s.
const (
	Listed = 30 // segments in the playlist: 60 s
	spare  = 6
	// away is how long after the last unit a stream counts as not live: two
	// segments.
	away = 2 * Duration
	// settle is how long after the last unit an open segment is finished: a
	// publisher that comes back sooner goes on in it.
	settle = Duration
)

// A Stream is one rendition of a room: publishers come and go, its numbering
// and its list stay. All methods may be called from any goroutine.
type Stream struct {
	shape Shape
	now   func() time.Time // wall clock with a monotonic reading
	done  func(*Segment)

	mu        sync.Mutex
	seg       *Segmenter
	list      []*Segment // ascending numbers
	input     time.Time  // when the newest unit came
	format    format
	playlist  []byte // of list; nil: to be made
	target    int
	publisher *Publisher
	epoch     uint32 // given to the last publisher without stamps
	finished  uint64
}

// NewStream makes an empty stream. done, if any, gets each segment when it is
// finished, in order of number, with the stream locked: it must not block.
func NewStream(shape Shape, now func() time.Time, done func(*Segment)) *Stream {
	s := &Stream{shape: shape, now: now, done: done, target: int(Duration / time.Second)}
	s.seg = NewSegmenter(s.add)
	return s
}

func (s *Stream) add(seg *Segment) {
	sum := sha256.Sum256(seg.Data)
	seg.ETag = `"` + hex.EncodeToString(sum[:12]) + `"`
	if n := len(s.list); n > 0 && seg.Number <= s.list[n-1].Number {
		s.list = nil // program time was set back: the list starts anew
	}
	s.list = append(s.list, seg)
	for len(s.list) > 0 && s.list[0].Number <= seg.Number-Listed-spare {
		s.list[0] = nil
		s.list = s.list[1:]
	}
	s.target = max(s.target, int((seg.End-seg.Start+media.TicksPerSecond-1)/media.TicksPerSecond))
	s.playlist = nil
	s.finished++
	if s.done != nil {
		s.done(seg)
	}
}

// Publisher is the input of a stream while one connection publishes.
type Publisher struct {
	stream *Stream
	time   *Timeline
}

// Publish starts a new publisher; units of the one before are ignored from
// now on.
func (s *Stream) Publish() *Publisher {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := media.TimeToTicks(s.now().UnixNano())
	if next := s.seg.Next(); s.finished > 0 || len(s.seg.open) > 0 {
		now = max(now, next)
	}
	s.epoch++
	p := &Publisher{stream: s}
	p.time = NewTimeline(now, s.epoch, s.seg.Add)
	s.publisher = p
	return p
}

// Video takes an Annex B access unit, which the stream keeps; times in ms.
func (p *Publisher) Video(dts uint32, cts int32, key bool, au []byte) {
	s := p.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.publisher != p {
		return
	}
	if key {
		s.format.read(au)
	}
	s.input = s.now()
	p.time.Video(dts, cts, key, au)
}

// Audio takes a raw AAC frame, which the stream keeps.
func (p *Publisher) Audio(ts uint32, frame []byte) {
	s := p.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.publisher == p {
		p.time.Audio(ts, frame)
	}
}

// Tick finishes what the last publisher left open once nothing more can come.
// Call it a few times a second.
func (s *Stream) Tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seg.open) > 0 && s.now().Sub(s.input) >= settle {
		s.seg.Flush()
	}
}

// Live says whether units have come within the last two segments.
func (s *Stream) Live() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live()
}

func (s *Stream) live() bool { return !s.input.IsZero() && s.now().Sub(s.input) < away }

// Playlist is the media playlist, or nil when there is no live input or
// nothing to list yet.
func (s *Stream) Playlist() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.live() || len(s.list) == 0 {
		return nil
	}
	if s.playlist == nil {
		p := s.entries()
		s.playlist = p.Append(nil)
	}
	return s.playlist
}

// entries lists the window that ends with the newest segment; numbers in it
// that are missing are gaps, but it starts with a segment that is there.
func (s *Stream) entries() Playlist {
	newest := s.list[len(s.list)-1].Number
	p := Playlist{Target: s.target, Independent: true}
	for _, seg := range s.list {
		if seg.Number <= newest-Listed {
			continue
		}
		if len(p.Entries) == 0 {
			p.Sequence, p.DiscontinuitySequence = seg.Number, seg.Sequence
			if seg.Discontinuity {
				p.DiscontinuitySequence-- // the tag below counts again
			}
		}
		for n := p.End(); n < seg.Number; n++ {
			p.Entries = append(p.Entries, GapEntry(n))
		}
		p.Entries = append(p.Entries, entryOf(seg))
		p.Independent = p.Independent && seg.Independent
	}
	return p
}

// GapEntry lists a number that is missing.
func GapEntry(n int64) Entry {
	return Entry{Number: n, Gap: true, Duration: Duration, Time: StartOf(n)}
}

// StartOf is the program time at which segment n starts.
func StartOf(n int64) time.Time { return time.Unix(n*int64(Duration/time.Second), 0).UTC() }

// Segment is segment n, or nil.
func (s *Stream) Segment(n int64) *Segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.list) - 1; i >= 0; i-- {
		if s.list[i].Number == n {
			return s.list[i]
		}
	}
	return nil
}

// Variant describes the stream for the multivariant playlist.
func (s *Stream) Variant(name string) Variant {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := Variant{
		Name: name, Width: s.shape.Width, Height: s.shape.Height, Rate: float64(s.shape.Rate),
		Average: s.shape.Bitrate, Bandwidth: s.shape.Bitrate + s.shape.Bitrate/4,
		Codecs: usualCodecs(s.shape.Width, s.shape.Height, s.shape.Rate),
	}
	if s.format.codecs != "" {
		v.Width, v.Height, v.Codecs = s.format.width, s.format.height, s.format.codecs
	}
	if peak, average := s.measured(); average > 0 {
		v.Average, v.Bandwidth = average, max(v.Bandwidth, peak)
	}
	return v
}

// measured is the bitrate of the segments kept, in steps of 10 kbit/s.
func (s *Stream) measured() (peak, average int) {
	var bits, span int64
	for _, seg := range s.list {
		n, t := int64(len(seg.Data))*8, seg.End-seg.Start
		if t < media.TicksPerSecond/2 {
			continue
		}
		bits, span = bits+n, span+t
		peak = max(peak, int(n*media.TicksPerSecond/t))
	}
	if span == 0 {
		return 0, 0
	}
	const step = 10_000
	average = int(bits * media.TicksPerSecond / span)
	return (peak + step - 1) / step * step, (average + step - 1) / step * step
}

// Status is what /api/status says of a stream.
type Status struct {
	Live       bool    `json:"live"`
	Newest     int64   `json:"newest_segment"`
	Segments   int     `json:"segments"`
	Bytes      int     `json:"bytes"`
	Finished   uint64  `json:"finished"`
	Partial    uint64  `json:"partial"`
	Repeated   uint64  `json:"repeated_units"`
	Dropped    uint64  `json:"dropped_units"`
	Restarts   uint64  `json:"restarts"`
	InputAge   float64 `json:"input_age_ms"`
	Codecs     string  `json:"codecs,omitempty"`
	Resolution string  `json:"resolution,omitempty"`
}

// Status reports the stream.
func (s *Stream) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.seg.Stats
	out := Status{
		Live: s.live(), Newest: -1, Segments: len(s.list), Finished: s.finished, Partial: st.Partial,
		Repeated: st.Repeated, Dropped: st.Late + st.NoKey + st.Epoch + st.Bound, Restarts: st.Restarts,
		InputAge: -1, Codecs: s.format.codecs,
	}
	if !s.input.IsZero() {
		out.InputAge = float64(s.now().Sub(s.input).Microseconds()) / 1000
	}
	for _, seg := range s.list {
		out.Bytes += len(seg.Data)
		out.Newest = seg.Number
	}
	if s.format.width > 0 {
		out.Resolution = fmt.Sprintf("%dx%d", s.format.width, s.format.height)
	}
	return out
}
