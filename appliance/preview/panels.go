package main

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/openvideobox/videobox/display/screen"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/picture"
)

// panel is an open screen.
type panel interface {
	Size() image.Point
	// Draw shows a picture of that size, which differs from the one before in
	// the rectangle changed only. An error is final.
	Draw(img *image.RGBA, changed image.Rectangle) error
	Close() error
}

// kind is a kind of screens: which there are now, and how one is opened.
type kind struct {
	name string // of the hop's kind
	list func() []string
	open func(name string) (panel, error)
}

// rescan is how often new screens are looked for, and those that failed are
// opened again.
const rescan = 2 * time.Second

// panels draws on all screens there are. Each has a goroutine, so that one
// which hangs holds up itself only.
type panels struct {
	board
	kinds    []kind
	reporter *metrics.Reporter

	mu     sync.Mutex
	open   map[string]bool
	failed map[string]string // why, as last logged
	wg     sync.WaitGroup
}

func newPanels(kinds []kind, r *metrics.Reporter) *panels {
	return &panels{
		board: board{changed: make(chan struct{})}, kinds: kinds, reporter: r,
		open: map[string]bool{}, failed: map[string]string{},
	}
}

// run looks for screens until the context ends. That there is none is no fault.
func (p *panels) run(ctx context.Context) error {
	defer p.wg.Wait()
	tick := time.NewTicker(rescan)
	defer tick.Stop()
	for {
		for _, k := range p.kinds {
			for _, name := range k.list() {
				if p.take(name) {
					p.wg.Go(func() { p.keep(ctx, k, name) })
				}
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// any says whether there is a screen to draw for: without one nothing is decoded.
func (p *panels) any() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open) > 0
}

// take says whether a screen is nobody's yet.
func (p *panels) take(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[name] {
		return false
	}
	p.open[name] = true
	return true
}

// keep draws on a screen until it fails or the context ends.
func (p *panels) keep(ctx context.Context, k kind, name string) {
	err := p.drive(ctx, k, name)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, name)
	if ctx.Err() == nil && p.failed[name] != err.Error() {
		p.failed[name] = err.Error()
		slog.Warn("screen", "name", name, "err", err)
	}
}

func (p *panels) drive(ctx context.Context, k kind, name string) error {
	dev, err := k.open(name)
	if err != nil {
		return err
	}
	defer dev.Close()
	hop := p.reporter.Hop("screen "+name, "out", k.name, name)
	defer p.reporter.RemoveHop(hop)
	slog.Info("screen", "name", name, "size", dev.Size())
	p.mu.Lock()
	delete(p.failed, name)
	p.mu.Unlock()
	a := newArtist(dev.Size())
	for {
		s, changed := p.look()
		if s != nil {
			img, part := a.draw(s)
			if err := dev.Draw(img, part); err != nil {
				return err
			}
			hop.Add(4 * part.Dx() * part.Dy())
			if capture, fresh := a.drawn(s); fresh {
				hop.Frame(capture)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// artist draws scenes at one size.
type artist struct {
	screen *screen.Screen
	scaler picture.Scaler
	small  media.Frame
	of     *shot       // which image shows
	image  image.Image // of the size that the screen needs
	last   *shot
}

func newArtist(size image.Point) *artist {
	return &artist{screen: screen.New(size.X, size.Y)}
}

func (a *artist) draw(s *scene) (*image.RGBA, image.Rectangle) {
	st := s.State
	if s.picture != nil {
		if s.picture != a.of {
			a.scale(s.picture)
		}
		st.Picture = a.image
	}
	return a.screen.Draw(st)
}

// scale makes the picture as large as the screen shows it.
func (a *artist) scale(s *shot) {
	size := a.screen.PictureRect(s.Width, s.Height).Size()
	a.small.Reset(max(2, size.X&^1), max(2, size.Y&^1))
	a.small.Color = s.Color
	a.scaler.Scale(&a.small, &s.Frame, picture.Whole(&a.small))
	a.of, a.image = s, picture.ToImage(&a.small)
}

// drawn says whether a scene shows a picture that was not shown before, and
// when that was captured.
func (a *artist) drawn(s *scene) (capture int64, fresh bool) {
	fresh = s.picture != nil && s.picture != a.last
	a.last = s.picture
	if fresh {
		capture = s.picture.capture
	}
	return capture, fresh
}

// file is a PNG file as a screen.
type file struct {
	name string
	size image.Point
}

func filePanel(name string, size image.Point) kind {
	return kind{"file", func() []string { return []string{name} }, func(name string) (panel, error) { return file{name, size}, nil }}
}

func (f file) Size() image.Point { return f.size }

func (f file) Draw(img *image.RGBA, _ image.Rectangle) error {
	var b bytes.Buffer
	e := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := e.Encode(&b, img); err != nil {
		return err
	}
	return replace(f.name, b.Bytes())
}

func (f file) Close() error { return nil }

// replace never leaves half a picture. It need not survive a power cut.
func replace(name string, data []byte) error {
	if err := os.WriteFile(name+".new", data, 0o644); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}
