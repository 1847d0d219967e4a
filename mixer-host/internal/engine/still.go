package engine

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/codec/jpeg"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/picture"
)

const (
	stillWidth    = 480
	stillQuality  = 75
	stillInterval = 450 * time.Millisecond // two a second, a little early
	// looking is how long after a request somebody is taken to be still there.
	looking = 3 * time.Second
)

// Still is a running small picture, made only while somebody looks.
type Still struct {
	clock  clock.Clock
	wanted atomic.Int64 // when it was asked for last, UTC ns
	made   int64        // when it was made last; of the loop
	scaler picture.Scaler

	mu      sync.Mutex
	frame   *media.Frame // the newest
	spare   *media.Frame
	at      int64
	version uint64
	next    chan struct{} // closed when there is a newer one

	encoding sync.Mutex // of what follows
	jpeg     []byte
	encoded  uint64 // the version that jpeg is of
}

func newStill(c clock.Clock) *Still { return &Still{clock: c, next: make(chan struct{})} }

// offer takes a frame when one is wanted and it is time.
func (s *Still) offer(f *media.Frame) {
	now := s.clock.Now()
	if now-s.wanted.Load() > int64(looking) || now-s.made < int64(stillInterval) {
		return
	}
	s.made = now
	w := min(stillWidth, f.Width)
	h := max(2, w*f.Height/f.Width&^1)
	s.mu.Lock()
	small := s.spare
	s.spare = nil
	s.mu.Unlock()
	if small == nil {
		small = &media.Frame{}
	}
	small.Reset(w, h)
	s.scaler.Scale(small, f, picture.Whole(small))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spare, s.frame = s.frame, small
	s.at = now
	s.version++
	close(s.next)
	s.next = make(chan struct{})
}

// JPEG is the newest still, at most a second old; it waits for one to be made.
// The version changes with the picture.
func (s *Still) JPEG(ctx context.Context) (data []byte, version uint64, err error) {
	now := s.clock.Now()
	s.wanted.Store(now)
	s.mu.Lock()
	old, next := s.frame == nil || now-s.at > int64(time.Second), s.next
	s.mu.Unlock()
	if old {
		select {
		case <-next:
		case <-ctx.Done():
			return nil, 0, fmt.Errorf("no picture: %w", ctx.Err())
		}
	}
	s.encoding.Lock()
	defer s.encoding.Unlock()
	full := s.copyUnlessEncoded()
	if full == nil {
		return s.jpeg, s.encoded, nil
	}
	picture.Convert(full, jpeg.Color)
	data, err = jpeg.Encode(nil, full, stillQuality)
	if err == nil {
		s.jpeg = data
	}
	return data, s.encoded, err
}

// copyUnlessEncoded is called with encoding held. The loop waits for the copy
// at most, never for an encoder.
func (s *Still) copyUnlessEncoded() *media.Frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.encoded == s.version {
		return nil
	}
	s.encoded = s.version
	full := &media.Frame{}
	picture.Copy(full, s.frame)
	return full
}

// Still is the running picture of a role, or of "mix"; nil when there is none.
func (e *Engine) Still(name string) *Still {
	if name == "mix" {
		return e.still
	}
	for _, in := range e.sources {
		if in.Role() == name {
			return in.still
		}
	}
	return nil
}
