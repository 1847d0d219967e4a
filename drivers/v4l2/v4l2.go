// Package v4l2 reads MJPEG from a Video4Linux2 capture device, an HDMI to USB
// stick above all.
//
// The device itself is behind a small seam (device): go4vl on real hardware, a
// fake in tests. What the package adds to it: frames that arrive out of order,
// damaged or too late are left out and counted, silence is noticed, time stamps
// become UTC, and every way in which a device can be missing has a state and a
// cause of its own.
//
// Seen on the emulated MS2131 (345f:2131): up to 10 of 200 small frames arrive
// out of order; short and corrupt frames come without an error flag and are
// told by the decoder's warnings alone.
package v4l2

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/internal/media"
)

const (
	// frozenAfter is how long a device may deliver nothing before it counts as
	// frozen: the 250 ms for which capture holds the last frame are over then.
	frozenAfter = time.Second
	// reopenAfter is when it is given up, to be opened anew.
	reopenAfter = 4 * time.Second
	// oldest is the most that a time stamp may lie back; beyond it the driver's
	// clock isn't CLOCK_MONOTONIC and the time of arrival is taken.
	oldest = time.Second
)

// Mode is a size, rate and pixel format of a device.
type Mode struct {
	Width, Height int
	Rate          float64 // frames a second
	Pixel         string  // as V4L2 writes it: MJPG, YUYV
}

func (m Mode) String() string {
	return fmt.Sprintf("%s %dx%d at %g frames a second", m.Pixel, m.Width, m.Height, m.Rate)
}

// Decode decodes an MJPEG frame into f, whose buffers it reuses, and counts
// what the decoder complained of; internal/codec/jpeg has one.
type Decode func(data []byte, f *media.Frame) (warnings int, err error)

// Config is what to capture.
type Config struct {
	Path                string // /dev/videoN
	Width, Height, Rate int    // to ask the device for; it may give something else
	Decode              Decode
	// Now gives UTC and CLOCK_MONOTONIC of the same instant, in ns; nil: the
	// kernel's.
	Now func() (utc, monotonic int64)
}

// Stats counts what came in and what was left out.
type Stats struct {
	Frames   uint64 // delivered
	Damaged  uint64 // short or corrupt
	Disorder uint64 // arrived after a newer one
	Stale    uint64 // skipped because a newer one had come
	Lost     uint64 // numbers missing in the driver's sequence
}

// Source is one device.
type Source struct {
	cfg  Config
	open func(context.Context, Config) (device, error)

	frozenAfter, reopenAfter time.Duration

	frames, damaged, disorder, stale, lost atomic.Uint64
}

// device is an open, streaming device. Its channels are closed when it ends.
type device interface {
	// mode is what the driver really gives.
	mode() Mode
	// buffers delivers coded frames. Whoever takes one releases it.
	buffers() <-chan buffer
	// close stops streaming and gives everything back, whatever the state.
	close() error
	// err is why buffers was closed.
	err() error
}

// buffer is one frame of the device.
type buffer struct {
	data      []byte
	sequence  uint32
	monotonic int64 // ns
	release   func()
}

// New makes a source; the device is opened by Run.
func New(c Config) *Source {
	if c.Now == nil {
		c.Now = now
	}
	return &Source{cfg: c, open: openDevice, frozenAfter: frozenAfter, reopenAfter: reopenAfter}
}

// Stats is a snapshot.
func (s *Source) Stats() Stats {
	return Stats{s.frames.Load(), s.damaged.Load(), s.disorder.Load(), s.stale.Load(), s.lost.Load()}
}

// Run opens the device and delivers frames until it fails or the context ends.
// Its errors are *drivers.Error but for the context's.
func (s *Source) Run(ctx context.Context, sink drivers.Sink) error {
	d, err := s.open(ctx, s.cfg)
	if err != nil {
		return err
	}
	defer func() {
		if err := d.close(); err != nil {
			slog.Debug("close", "device", s.cfg.Path, "err", err)
		}
	}()
	m := d.mode()
	if m.Pixel != "MJPG" {
		return &drivers.Error{State: drivers.Unsupported, Err: fmt.Errorf("%s gives %v; only MJPEG is supported", s.cfg.Path, m)}
	}
	slog.Info("capture device", "path", s.cfg.Path, "mode", m.String())
	return s.stream(ctx, d, sink)
}

func (s *Source) stream(ctx context.Context, d device, sink drivers.Sink) error {
	frame := media.NewFrame(2, 2)
	var last uint32
	started := false
	silence := time.NewTimer(s.frozenAfter)
	defer silence.Stop()
	for quiet := s.frozenAfter; ; {
		select {
		case b, ok := <-d.buffers():
			if !ok {
				return s.ended(ctx, d)
			}
			b = s.newest(b, d.buffers())
			fresh := !started || s.follows(last, b.sequence)
			if fresh {
				last, started = b.sequence, true
				if s.decode(b, frame) {
					s.frames.Add(1)
					sink.Video(frame)
					quiet = s.frozenAfter
					silence.Reset(quiet)
				}
			}
			b.release()
		case <-silence.C:
			if quiet >= s.reopenAfter {
				return &drivers.Error{State: drivers.Frozen, Err: fmt.Errorf("%s has delivered no good frame for %v; opening it anew", s.cfg.Path, s.reopenAfter)}
			}
			sink.State(drivers.Frozen, fmt.Sprintf("the capture device %s delivers no picture", s.cfg.Path))
			quiet = s.reopenAfter
			silence.Reset(s.reopenAfter - s.frozenAfter)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// newest drains what has piled up, so that latency doesn't.
func (s *Source) newest(b buffer, more <-chan buffer) buffer {
	for {
		select {
		case next, ok := <-more:
			if !ok {
				return b
			}
			if int32(next.sequence-b.sequence) < 0 {
				s.disorder.Add(1)
				next.release()
				continue
			}
			s.stale.Add(1)
			b.release()
			b = next
		default:
			return b
		}
	}
}

// follows says whether a sequence number is newer than the last; it wraps.
func (s *Source) follows(last, sequence uint32) bool {
	d := int32(sequence - last)
	switch {
	case d <= 0:
		s.disorder.Add(1)
	case d > 1:
		s.lost.Add(uint64(d - 1))
	}
	return d > 0
}

// decode says whether the frame is good. A frame with decoder warnings is short
// or corrupt: the last good one is better.
func (s *Source) decode(b buffer, f *media.Frame) bool {
	warnings, err := s.cfg.Decode(b.data, f)
	if err != nil || warnings > 0 {
		s.damaged.Add(1)
		return false
	}
	f.Time = utc(s.cfg.Now, b.monotonic)
	return true
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

func (s *Source) ended(ctx context.Context, d device) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	err := d.err()
	if err == nil {
		err = errors.New("it stopped streaming")
	}
	return &drivers.Error{State: drivers.NoDevice, Err: fmt.Errorf("the capture device %s is gone: %w", s.cfg.Path, err)}
}
