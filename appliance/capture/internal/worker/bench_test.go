package worker

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/openvideobox/videobox/appliance/capture/internal/link"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/program"
)

const rate = 25

// began is a whole second.
const began = int64(1_800_000_000_000_000_000)

func shape() program.Config {
	return program.Config{Width: 64, Height: 36, Rate: rate, Bitrate: 500_000, AudioBitrate: 64_000}
}

// encoder is a fake that gives a frame's first luma sample as its code.
type encoder struct{ bitrate int }

func (e *encoder) SetBitrate(bps int) error {
	e.bitrate = bps
	return nil
}

func (e *encoder) Encode(f *media.Frame, n int64, key bool) ([]byte, bool, error) {
	return []byte{f.Y[0]}, key || n%rate == 0, nil
}

// slow is the real encoder on a machine that takes a time for each of so many
// frames, while the source goes on.
type slow struct {
	*program.VideoEncoder
	clk    *clock.Held
	by     time.Duration
	frames int
	source func(t int64)
	behind int64 // ns, at most
}

func (s *slow) Encode(f *media.Frame, n int64, key bool) ([]byte, bool, error) {
	if s.frames--; s.frames >= 0 {
		s.clk.Advance(s.by)
		s.source(at(media.FrameAt(s.clk.Now(), rate)))
	}
	s.behind = max(s.behind, s.clk.Now()-at(n))
	return s.VideoEncoder.Encode(f, n, key)
}

// sent is what the parent would get.
type sent struct {
	pictures chan program.Picture
	sounds   chan program.Sound
	mu       sync.Mutex
	report   link.Report
}

func newSent() *sent {
	return &sent{pictures: make(chan program.Picture, 1000), sounds: make(chan program.Sound, 10000)}
}

func (s *sent) Picture(p program.Picture) error {
	p.Data = bytes.Clone(p.Data)
	s.pictures <- p
	return nil
}

func (s *sent) Sound(a program.Sound) error {
	s.sounds <- program.Sound{Index: a.Index}
	return nil
}

func (s *sent) JSON(_ link.Kind, v any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report = v.(link.Report)
	return nil
}

func (s *sent) last() link.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.report
}

// bench is a worker whose clock the test holds.
type bench struct {
	t    *testing.T
	clk  *clock.Held
	enc  *encoder
	out  *sent
	w    *Worker
	done chan error
	stop context.CancelFunc
	flat *media.Frame
}

func newBench(t *testing.T) *bench {
	t.Helper()
	clk := clock.NewHeld(began)
	enc := &encoder{}
	b := newBenchOf(t, clk, enc)
	b.enc = enc
	return b
}

// newBenchOf is a bench with another encoder.
func newBenchOf(t *testing.T, clk *clock.Held, enc Encoder) *bench {
	t.Helper()
	b := &bench{t: t, clk: clk, out: newSent(), done: make(chan error, 1), flat: media.NewFrame(64, 36)}
	b.w = New(link.Work{Program: shape(), Source: "test", Name: "box1"}, clk, enc, b.out)
	b.w.slate.beside = func(f func()) { f() }
	ctx, cancel := context.WithCancel(t.Context())
	b.stop = cancel
	go func() { b.done <- b.w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-b.done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
	return b
}

// frame delivers a frame captured at t, with luma v.
func (b *bench) frame(t int64, v byte) {
	b.flat.Time = t
	b.flat.Y[0] = v
	b.w.Video(b.flat)
}

// next is the next picture. While there is none the clock goes on to what the
// worker waits for.
func (b *bench) next() program.Picture {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 5*time.Second)
	defer cancel()
	for range 100 {
		if _, err := b.clk.Waited(ctx); err != nil { // it waits: what it sends has been sent
			b.t.Fatal("the worker neither sends nor waits")
		}
		select {
		case p := <-b.out.pictures:
			return p
		default:
		}
		b.clk.Next(ctx)
	}
	b.t.Fatal("no picture")
	return program.Picture{}
}

// now is the next picture, which must come without the clock moving.
func (b *bench) now() program.Picture {
	b.t.Helper()
	select {
	case p := <-b.out.pictures:
		return p
	case <-time.After(5 * time.Second):
		b.t.Fatal("no picture while the clock stood still")
	}
	return program.Picture{}
}

func at(n int64) int64 { return media.FrameTime(n, rate) }

var first = media.FrameAt(began, rate) + 1
