package cache

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/restream-host/internal/hls"
)

const (
	// pollEvery is how old our playlist may be; a room without input is asked
	// for less often.
	pollEvery = 300 * time.Millisecond
	pollIdle  = time.Second
	// watched is how long after a viewer's last request new segments are still
	// fetched before anybody asks.
	watched = 10 * time.Second
	// peek is enough of a segment for its first stamp: tables, then the first
	// picture's SPS, PPS and SEI.
	peek = 20 * mpegts.PacketSize
)

// stream is one rendition of a room.
type stream struct {
	c               *Cache
	room, rendition string
	out             *metrics.HopCounter
	in              []*metrics.HopCounter // by origin

	mu      sync.Mutex
	merge   *merge
	text    []byte // our playlist; nil: to be made
	viewers viewers
	answers []bool // by origin
}

func (s *stream) path() string { return "/hls/" + s.room + "/" + s.rendition + "/" }

// poll asks one origin again and again, at its own pace: one that hangs delays
// no other.
func (s *stream) poll(ctx context.Context, origin int) error {
	url := s.c.Origins[origin].URL + s.path() + "index.m3u8"
	for {
		p, size, err := fetchList(ctx, s.c.client, url)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		pause := pollEvery
		switch {
		case err == nil:
			s.in[origin].Add(size)
			s.in[origin].SetState(metrics.OK, "")
		case errors.Is(err, errNoInput):
			s.in[origin].SetState(metrics.Degraded, "the origin has no live input")
			pause = pollIdle
		default:
			s.in[origin].SetState(metrics.Degraded, err.Error()) // there are others
		}
		s.polled(ctx, origin, p, err == nil || errors.Is(err, errNoInput))
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// polled takes a poll's result; p is nil when there was no playlist. answers
// says that the origin is there.
func (s *stream) polled(ctx context.Context, origin int, p *hls.Playlist, answers bool) {
	now := s.c.Now()
	s.mu.Lock()
	s.answers[origin] = answers
	if p == nil {
		s.merge.lost(origin)
	} else {
		s.merge.offer(origin, p, now)
	}
	added := s.merge.update(now)
	s.text = nil
	busy := s.viewers.count(now) > 0
	s.out.SetReaders(s.viewers.count(now))
	s.out.SetIdle(!s.merge.live(now))
	if slices.Contains(s.answers, true) {
		s.out.SetState(metrics.OK, "")
	} else {
		s.out.SetState(metrics.Failed, "no origin answers")
	}
	s.mu.Unlock()
	if n := len(added); n > 0 {
		s.c.group.Go("", func(context.Context) error {
			s.lookAt(ctx, added[n-1], busy)
			return nil
		})
	}
}

// lookAt fetches a segment that was just listed: all of it when somebody
// watches, else its beginning, for the latency.
func (s *stream) lookAt(ctx context.Context, l listed, busy bool) {
	var head []byte
	if busy {
		seg, err := s.c.segment(ctx, s, l.Number)
		if err != nil {
			return
		}
		head = seg.data[:min(len(seg.data), peek)]
	} else {
		url := s.c.Origins[l.origin].URL + s.path() + segmentName(l.Number)
		var err error
		if head, _, err = fetch(ctx, s.c.client, url, maxSegment, peek); err != nil {
			return
		}
	}
	if stamp, ok := mpegts.FirstStamp(head); ok {
		s.out.Frame(stamp.Capture)
		s.in[l.origin].Frame(stamp.Capture)
	}
}

// playlist is our playlist as text, or nil when there is nothing live.
func (s *stream) playlist() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.merge.live(s.c.Now()) {
		return nil
	}
	if s.text == nil {
		s.text = s.merge.playlist().Append(nil)
	}
	return s.text
}

// order is which origins to ask for segment n, best first; ok is false for a
// number that no origin can have.
func (s *stream) order(n int64) (origins []int, ok bool) {
	now := s.c.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	l, there := s.merge.find(n)
	if there && !l.Gap {
		origins = append(origins, l.origin)
	}
	if len(s.merge.list) > 0 {
		first, last := s.merge.list[0].Number, s.merge.list[len(s.merge.list)-1].Number
		ok = n >= first-spare && n <= last
	}
	var later []int
	for i := range s.merge.views {
		switch {
		case there && !l.Gap && i == l.origin:
		case s.merge.views[i].usable(now):
			origins = append(origins, i)
		default:
			later = append(later, i)
		}
	}
	if len(origins) > 1 && there && !l.Gap && !s.merge.views[l.origin].up {
		origins[0], origins[1] = origins[1], origins[0]
	}
	return append(origins, later...), ok
}

// spare is how many segments before the list an origin still has.
const spare = 4

func (s *stream) live() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.merge.live(s.c.Now())
}

func (s *stream) seen(viewer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.viewers.seen(viewer, s.c.Now())
}

// viewers counts who has asked lately, up to a bound.
type viewers struct {
	last map[string]time.Time
}

const maxViewers = 20000

func (v *viewers) seen(who string, now time.Time) {
	if v.last == nil {
		v.last = make(map[string]time.Time)
	}
	if _, ok := v.last[who]; ok || len(v.last) < maxViewers {
		v.last[who] = now
	}
}

func (v *viewers) count(now time.Time) int {
	for who, at := range v.last {
		if now.Sub(at) > watched {
			delete(v.last, who)
		}
	}
	return len(v.last)
}
