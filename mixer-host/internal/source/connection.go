package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/mpegts"
)

// maxUnits is how many access units wait for the decoder: three seconds, which
// is what a child that has just been started has to catch up with.
const maxUnits = 256

// waitForSound is how long, in ticks of the stream, the decoder's start is put
// off while no sound has come. A child must know at its start whether there is.
const waitForSound = media.TicksPerSecond / 4

// connection is one connection's way from transport stream to decoder.
type connection struct {
	source *Source
	units  chan unit

	// Of the goroutine that demultiplexes.
	time    timeline
	needKey bool

	// Of the goroutine that decodes.
	decoder *decoder
	pending []unit // from a keyframe on, until a decoder is started
}

func (c *connection) demux(r io.Reader) error { return mpegts.Demux(r, c) }

// Video takes a picture from the demultiplexer.
func (c *connection) Video(u media.Unit) {
	s := c.source
	now := s.o.Clock.Now()
	x := unit{Unit: u, flags: h264.Live}
	stamp, stamped := h264.FindStamp(u.Data)
	var jumped bool
	if stamped {
		x.program, jumped = c.time.video(u.PTS, &stamp, now)
		x.capture, x.flags = stamp.Capture, stamp.Flags
	} else {
		x.program, jumped = c.time.video(u.PTS, nil, now)
		x.capture = x.program
	}
	if jumped {
		c.needKey = true
	}
	x.at, x.exact = c.time.last, c.time.trusted
	s.o.Hop.Frame(x.capture)
	if c.needKey && !u.Key {
		s.o.Hop.Drop(1)
		return
	}
	c.needKey = false
	c.put(x)
}

// Audio takes a sound from the demultiplexer.
func (c *connection) Audio(u media.Unit) {
	ticks, ok := c.time.audio(u.PTS)
	if !ok {
		return
	}
	c.put(unit{Unit: u, at: ticks - c.time.offset, program: ticks, exact: c.time.trusted})
}

// Error hears of streams that can't be used.
func (c *connection) Error(err error) {
	c.source.o.Log.Warn("part of the stream is not used", "source", c.source.Name(), "cause", err)
	c.source.set(NoPicture, err.Error())
}

// put hands a unit to the decoder, unless that is far behind.
func (c *connection) put(u unit) {
	select {
	case c.units <- u:
	default:
		c.needKey = true
		c.source.o.Hop.Drop(1)
		c.source.mu.Lock()
		c.source.overrun++
		c.source.mu.Unlock()
	}
}

// decode feeds decoders, one after the other, until the units end.
func (c *connection) decode(ctx context.Context) error {
	defer func() { c.stopDecoder(ctx.Err()) }()
	for u := range c.units {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.take(ctx, u)
	}
	return nil
}

func (c *connection) take(ctx context.Context, u unit) {
	if c.decoder != nil {
		err := c.decoder.fits(u)
		if err == nil && c.jumped(u) {
			err = errors.New("the stream's time jumped")
			c.source.frames.clear()
		}
		if err == nil {
			if err = c.decoder.send(u); err == nil {
				c.working()
				return
			}
			c.failed(c.stopDecoder(err))
		} else {
			c.source.o.Log.Info("decoder restarted", "source", c.source.Name(), "cause", err)
			c.stopDecoder(err)
		}
	}
	c.gather(u)
	if len(c.pending) > 0 && c.ready() {
		c.start(ctx)
	}
}

// jumped says whether u does not go on from what the decoder was given.
func (c *connection) jumped(u unit) bool {
	d := u.at - c.decoder.newest
	if u.Track == media.Video {
		c.decoder.newest = u.at
	}
	return d < 2*jumpBack || d > jumpForward
}

// gather keeps what comes from a keyframe on.
func (c *connection) gather(u unit) {
	if u.Track == media.Video && u.Key {
		if sps, pps := h264.ParameterSets(u.Data); sps != nil && pps != nil {
			c.pending = append(c.pending[:0], u)
			return
		}
	}
	if len(c.pending) > 0 && len(c.pending) < maxUnits {
		c.pending = append(c.pending, u)
	}
}

func (c *connection) ready() bool {
	last := c.pending[len(c.pending)-1]
	return c.hasSound() || last.at-c.pending[0].at >= waitForSound
}

func (c *connection) hasSound() bool {
	for _, u := range c.pending {
		if u.Track == media.Audio {
			return true
		}
	}
	return false
}

// start starts a decoder and gives it what was gathered.
func (c *connection) start(ctx context.Context) {
	s := c.source
	s.set(Starting, "decoder is starting")
	d, err := startDecoder(ctx, s.Name(), s.o.FFmpeg, c.pending[0], c.hasSound(), s)
	if err != nil {
		c.failed(err)
		c.pending = c.pending[:0]
		return
	}
	c.decoder = d
	for _, u := range c.pending {
		if err := d.send(u); err != nil {
			c.failed(c.stopDecoder(err))
			break
		}
		if u.Track == media.Video {
			d.newest = u.at
		}
	}
	clear(c.pending)
	c.pending = c.pending[:0]
}

// stopDecoder ends the decoder. Of the error that writing to it gave and the one
// that it ended with, it returns the one that says more.
func (c *connection) stopDecoder(err error) error {
	if c.decoder == nil {
		return err
	}
	if !errors.Is(err, syscall.EPIPE) {
		c.decoder.fail(err)
	}
	err = c.decoder.stop()
	c.decoder = nil
	return err
}

// failed says that a decoder is gone. The next keyframe starts another.
func (c *connection) failed(err error) {
	s := c.source
	s.mu.Lock()
	s.restarts++
	n := s.restarts
	s.mu.Unlock()
	s.o.Log.Warn("decoder failed", "source", s.Name(), "cause", err, "restarts", n)
	s.set(Starting, fmt.Sprintf("%v; starting it again", err))
	s.o.Leaf.Set(metrics.Failed, err.Error())
}

func (c *connection) working() { c.source.o.Hop.SetState(metrics.OK, "") }
