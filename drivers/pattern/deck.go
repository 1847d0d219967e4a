package pattern

import (
	"context"
	"errors"
	"image"
	"runtime/debug"

	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/picture"
)

// PageSeconds is how long a page of the deck stays.
const PageSeconds = 10

// Deck shows slides, a page every ten seconds of UTC, so that every machine
// shows the same page, with the tone of an empty room.
type Deck struct {
	cfg   Config
	pages func(w, h int) []*image.RGBA
}

// NewDeck makes a source of the demo's slides.
func NewDeck(c Config) *Deck { return &Deck{cfg: c, pages: picture.Deck} }

// Run delivers until the context ends. Pages are converted once; between two
// pages the sink is only told that the picture is the same.
func (d *Deck) Run(ctx context.Context, sink Sink) error {
	pages := d.frames()
	if len(pages) == 0 {
		return errors.New("deck: no pages")
	}
	sound := make([]int16, samplesPerFrame(d.cfg.Rate)*media.Channels)
	shown := -1
	return grid(ctx, d.cfg, func(n int64, late bool) {
		page := int(n / int64(d.cfg.Rate*PageSeconds) % int64(len(pages)))
		t := media.FrameTime(n, d.cfg.Rate)
		switch {
		case late:
		case page == shown:
			sink.Same(t)
		default:
			pages[page].Time = t
			sink.Video(pages[page])
			shown = page
		}
		RoomTone(sound, firstSample(n, d.cfg.Rate))
		sink.Audio(samples(n, d.cfg.Rate, sound))
	})
}

func (d *Deck) frames() []*media.Frame {
	var pages []*media.Frame
	for _, img := range d.pages(d.cfg.Width, d.cfg.Height) {
		f := media.NewFrame(d.cfg.Width, d.cfg.Height)
		picture.FromImage(f, img)
		pages = append(pages, f)
	}
	debug.FreeOSMemory() // the drawings are three times the size of the frames
	return pages
}
