package v4l2

import (
	"errors"
	"fmt"

	"github.com/openvideobox/videobox/internal/media"
)

// reader makes frames of one stream's buffers.
type reader struct {
	s       *Source
	is      Format
	frame   *media.Frame
	last    uint32 // its sequence number
	stamp   int64  // of the last frame, ns
	started bool
	damaged int // frames since the last good one
}

// take says whether the buffer is a good frame and newer than the last one;
// frame holds it then.
func (r *reader) take(b Buffer) bool {
	if r.started && !r.follows(b) {
		return false
	}
	r.remember(b)
	if r.decode(b.Data) != nil {
		r.s.damaged.Add(1)
		r.damaged++
		return false
	}
	r.damaged = 0
	r.frame.Time = utc(r.s.cfg.Now, b.Monotonic)
	r.s.frames.Add(1)
	return true
}

// newest drains what has piled up, so that latency doesn't.
func (r *reader) newest(b Buffer, more <-chan Buffer) Buffer {
	for {
		select {
		case next, ok := <-more:
			if !ok {
				return b
			}
			if int32(next.Sequence-b.Sequence) < 0 {
				r.s.disorder.Add(1)
				next.Release()
				continue
			}
			r.s.stale.Add(1)
			if !r.started || r.follows(b) {
				r.remember(b) // skipped, but not lost
			}
			b.Release()
			b = next
		default:
			return b
		}
	}
}

func (r *reader) remember(b Buffer) { r.last, r.stamp, r.started = b.Sequence, b.Monotonic, true }

// follows says whether a buffer's sequence number is newer than the last; it
// wraps. A driver that comes late may give a number twice, as vivid does for two
// ticks in one period, and some never count: what was stamped at another time is
// another frame.
func (r *reader) follows(b Buffer) bool {
	d := int32(b.Sequence - r.last)
	switch {
	case d < 0, d == 0 && b.Monotonic == r.stamp:
		r.s.disorder.Add(1)
		return false
	case d > 1:
		r.s.lost.Add(uint64(d - 1))
	}
	return true
}

var errDamaged = errors.New("the decoder warns: short or corrupt")

// silence is why there are no pictures, although the stream is there.
func (r *reader) silence(d Device) error {
	if r.damaged > 0 {
		return fmt.Errorf("the capture device %v delivers damaged pictures only (%d of them)", d, r.damaged)
	}
	return fmt.Errorf("the capture device %v delivers no picture", d)
}

// decode fills frame. A picture with decoder warnings is short or corrupt: the
// last good one is better.
func (r *reader) decode(data []byte) error {
	if r.is.Pixel != MJPEG {
		return unpack(data, r.is, r.frame)
	}
	warnings, err := r.s.cfg.Decode(data, r.frame)
	if err == nil && warnings > 0 {
		err = errDamaged
	}
	return err
}

// utc translates a CLOCK_MONOTONIC time stamp.
func utc(now func() (int64, int64), stamp int64) int64 {
	t, mono := now()
	age := mono - stamp
	if age < 0 || age > int64(oldest) {
		return t
	}
	return t - age
}
