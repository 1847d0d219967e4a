// Package file plays a media file as if it were a capture device: looped
// without a seam, on the frame grid of UTC, with picture and sound in step for
// as long as it runs.
//
// ffmpeg decodes, in two children a pass through the file: one for the picture
// (I420 at the wanted size and rate), one for the sound (48 kHz stereo), each
// into a pipe of its own. Apart, neither can block the other, however a file is
// interleaved. The driver paces them by what it takes out of the pipes. A pass
// lasts as long as its picture; its sound is cut or padded to that, so that
// loops never drift. The next pass is started before one ends.
//
// Tested with ffmpeg 5.1 (Debian 12) on MP4 and Matroska files, with tracks of
// unequal length, without sound, and on pictures.
package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/media"
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
	FFmpeg, FFprobe     string      // "": found in PATH
}

func (c Config) withDefaults() Config {
	if c.Clock == nil {
		c.Clock = clock.System
	}
	if c.FFmpeg == "" {
		c.FFmpeg = "ffmpeg"
	}
	if c.FFprobe == "" {
		c.FFprobe = "ffprobe"
	}
	return c
}

// Source is one media file.
type Source struct {
	path string
	cfg  Config
	info info
}

// Open looks at the file. Its errors are for people: one line, with what to do.
func Open(path string, c Config) (*Source, error) {
	c = c.withDefaults()
	switch st, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: no such file; give an existing media file: %w", path, fs.ErrNotExist)
	case err != nil:
		return nil, err
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file; give a media file", path)
	}
	for _, tool := range []string{c.FFmpeg, c.FFprobe} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("%s plays media files and isn't installed; apt install ffmpeg, or use the source pattern: %w", tool, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	i, err := probe(ctx, c, path)
	if err != nil {
		return nil, err
	}
	return &Source{path: path, cfg: c, info: i}, nil
}

// lead is how long before the end of a pass the next one is started.
const lead = 2 // s

// stuck is how long ffmpeg may deliver nothing before that is a failure.
const stuck = 5 // s

// Run plays the file until the context ends or ffmpeg fails.
func (s *Source) Run(ctx context.Context, sink Sink) error {
	p := &player{src: s, sink: sink, rate: s.cfg.Rate, length: s.info.frames(s.cfg.Rate)}
	defer p.close()
	return p.run(ctx)
}

// player plays pass after pass.
type player struct {
	src  *Source
	sink Sink
	rate int

	now, next *pass
	first     int64 // grid number of the pass's first frame
	length    int64 // frames a pass has; 0 when not known yet
	still     bool  // there is one picture, and it has been shown
	silence   []int16
}

func (p *player) run(ctx context.Context) error {
	if err := p.begin(ctx); err != nil {
		return err
	}
	clk := p.src.cfg.Clock
	p.first = media.FrameAt(clk.Now(), p.rate) + 1
	for n := p.first; ; n++ {
		if err := clock.Wait(ctx, clk, media.FrameTime(n, p.rate)); err != nil {
			return err
		}
		if err := p.step(ctx, n); err != nil {
			return err
		}
	}
}

// begin starts the first pass and waits for its first frame.
func (p *player) begin(ctx context.Context) (err error) {
	if p.now, err = p.src.start(ctx); err != nil {
		return err
	}
	return p.now.ready(ctx)
}

// step does what is due at grid frame n.
func (p *player) step(ctx context.Context, n int64) (err error) {
	if p.next == nil && !p.still && n-p.first >= p.length-int64(lead*p.rate) {
		if p.next, err = p.src.start(ctx); err != nil {
			return err
		}
	}
	return p.tick(ctx, n)
}

// tick delivers what belongs to grid frame n.
func (p *player) tick(ctx context.Context, n int64) error {
	t := media.FrameTime(n, p.rate)
	if p.still {
		p.sink.Same(t)
		p.sink.Audio(media.Samples{Time: t, Rate: media.SampleRate, Channels: media.Channels, Data: p.silence})
		return nil
	}
	at := n - p.first
	ended, err := p.now.picture(p.sink, at, t)
	if err != nil {
		return err
	}
	if ended {
		return p.turn(ctx, n)
	}
	p.now.sound(p.sink, p.first, at, p.rate)
	if p.src.info.still && p.now.shown > 0 {
		p.stay()
		return nil
	}
	if at-p.now.shown > int64(stuck*p.rate) {
		return fmt.Errorf("%s: ffmpeg has delivered no picture for %d s", p.src.path, stuck)
	}
	return nil
}

// turn goes over to the next pass: the file ended before frame n.
func (p *player) turn(ctx context.Context, n int64) error {
	switch p.now.shown {
	case 0:
		return p.now.end()
	case 1:
		p.stay()
		return p.tick(ctx, n)
	}
	p.length = p.now.shown
	p.first += p.length
	p.now.close()
	p.now, p.next = p.next, nil
	if p.now == nil {
		var err error
		if p.now, err = p.src.start(ctx); err != nil {
			return err
		}
	}
	return p.tick(ctx, n)
}

// stay goes over to a file of one picture that has been shown.
func (p *player) stay() {
	p.close()
	p.still, p.silence = true, make([]int16, samplesPerFrame(p.rate)*media.Channels)
}

func (p *player) close() {
	for _, x := range []*pass{p.now, p.next} {
		if x != nil {
			x.close()
		}
	}
	p.now, p.next = nil, nil
}

func samplesPerFrame(rate int) int { return media.SampleRate / rate }
