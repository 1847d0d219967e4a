// Package pattern holds the sources that need no hardware and no file: the test
// pattern with its flash and beep, and the demo's slide deck.
//
// Both run exactly on the grid of UTC: frame n is delivered at its program time
// and is the same on every machine; samples are a function of their number
// since 1970 alone. Tested by a held clock.
package pattern

import (
	"context"
	"errors"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/picture"
)

// Sink takes frames and samples; drivers.Sink is one.
type Sink interface {
	Video(f *media.Frame)
	Same(t int64)
	Audio(s media.Samples)
}

// Config is the shape of what a source delivers.
type Config struct {
	Width, Height, Rate int
	Clock               clock.Clock // nil: the system's
}

func (c Config) clock() clock.Clock {
	if c.Clock == nil {
		return clock.System
	}
	return c.Clock
}

// Source delivers bars, a running clock, the frame number, and each second a
// white flash with a beep.
type Source struct{ cfg Config }

// New makes a test pattern source.
func New(c Config) *Source { return &Source{c} }

// Run delivers until the context ends.
func (s *Source) Run(ctx context.Context, sink Sink) error {
	var p picture.Pattern
	frame := media.NewFrame(s.cfg.Width, s.cfg.Height)
	sound := make([]int16, samplesPerFrame(s.cfg.Rate)*media.Channels)
	return grid(ctx, s.cfg, func(n int64, late bool) {
		if !late {
			p.Draw(frame, n, s.cfg.Rate)
			frame.Time = media.FrameTime(n, s.cfg.Rate)
			sink.Video(frame)
		}
		picture.Beep(sound, firstSample(n, s.cfg.Rate))
		sink.Audio(samples(n, s.cfg.Rate, sound))
	})
}

// grid calls deliver for each frame number at its program time. On a machine
// with too much to do a frame may be late: its picture needn't be made any more
// because the next one is due, but sound must have no gap. After a standstill of
// a second it goes on with the frame that is due.
func grid(ctx context.Context, c Config, deliver func(n int64, late bool)) error {
	if c.Rate <= 0 || media.SampleRate%c.Rate != 0 {
		return errors.New("pattern: the rate must be 25, 30, 50 or 60 frames a second")
	}
	clk := c.clock()
	n := media.FrameAt(clk.Now(), c.Rate) + 1
	for {
		if err := clock.Wait(ctx, clk, media.FrameTime(n, c.Rate)); err != nil {
			return err
		}
		due := media.FrameAt(clk.Now(), c.Rate)
		if due-n > int64(c.Rate) || n-due > 1 { // or the clock was set
			n = due
		}
		deliver(n, n < due)
		n++
	}
}

func samplesPerFrame(rate int) int { return media.SampleRate / rate }

// firstSample is the number of the sample at frame n's program time.
func firstSample(n int64, rate int) int64 { return n * int64(samplesPerFrame(rate)) }

// samples dresses the sound that belongs to frame n.
func samples(n int64, rate int, data []int16) media.Samples {
	return media.Samples{Time: media.FrameTime(n, rate), Rate: media.SampleRate, Channels: media.Channels, Data: data}
}
