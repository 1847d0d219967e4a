package level

import (
	"time"

	"github.com/openvideobox/videobox/internal/media"
)

// Picture tells black and frozen pictures. It looks at the luma of every eighth
// pixel of every eighth row. It is for one goroutine at a time.
type Picture struct {
	after time.Duration

	width, height int
	reference     []byte // samples of the picture that may be frozen
	now           int64
	blackSince    int64
	frozenSince   int64
	black         bool
}

// PictureValues is what a Picture shows.
type PictureValues struct {
	Black     bool          `json:"black"`     // for long enough
	BlackFor  time.Duration `json:"black_ns"`  // up to the last frame
	Frozen    bool          `json:"frozen"`    // unchanged for long enough; slides are, too
	FrozenFor time.Duration `json:"frozen_ns"` // up to the last frame
}

const (
	grid = 8 // pixels between two samples
	// blackLuma and blackShare are the limits of ffmpeg's blackdetect: 98 % of
	// the samples within a tenth of the range above black.
	blackLuma  = 22
	blackShare = 98
	// A sample has changed when it differs by more than changeLuma, which
	// MJPEG noise of a still picture doesn't. One in changeShare, at least
	// three of them, is a change: a clock in a corner.
	changeLuma  = 8
	changeShare = 4096
)

// NewPicture makes a detector that reports after the given time; zero or less
// is DefaultAfter.
func NewPicture(after time.Duration) *Picture {
	if after <= 0 {
		after = DefaultAfter
	}
	return &Picture{after: after}
}

// Write looks at the frame of the time at (UTC ns, not going back). The frame
// is not kept.
func (p *Picture) Write(f *media.Frame, at int64) {
	fresh := p.width != f.Width || p.height != f.Height
	if fresh {
		p.width, p.height = f.Width, f.Height
		p.reference = make([]byte, (f.Width+grid-1)/grid*((f.Height+grid-1)/grid))
	}
	limit := byte(16 + blackLuma)
	if f.Color.Full {
		limit = blackLuma
	}
	dark, changed := p.compare(f, limit)
	if fresh || changed > max(len(p.reference)/changeShare, 2) {
		p.sample(f)
		p.frozenSince = at
	}
	if black := dark*100 >= len(p.reference)*blackShare; black != p.black || fresh {
		p.black, p.blackSince = black, at
	}
	p.now = at
}

// compare counts the samples that are dark and those that differ from the
// reference's.
func (p *Picture) compare(f *media.Frame, limit byte) (dark, changed int) {
	i := 0
	for y := 0; y < f.Height; y += grid {
		row := f.Y[y*f.YStride:][:f.Width]
		for x := 0; x < len(row); x += grid {
			v, was := row[x], p.reference[i]
			i++
			if v <= limit {
				dark++
			}
			if d := int(v) - int(was); d > changeLuma || d < -changeLuma {
				changed++
			}
		}
	}
	return dark, changed
}

// sample makes f the reference.
func (p *Picture) sample(f *media.Frame) {
	i := 0
	for y := 0; y < f.Height; y += grid {
		row := f.Y[y*f.YStride:][:f.Width]
		for x := 0; x < len(row); x += grid {
			p.reference[i] = row[x]
			i++
		}
	}
}

// Values is what the last frame showed.
func (p *Picture) Values() PictureValues {
	var v PictureValues
	if p.black {
		v.BlackFor = time.Duration(p.now - p.blackSince)
		v.Black = v.BlackFor >= p.after
	}
	v.FrozenFor = time.Duration(p.now - p.frozenSince)
	v.Frozen = v.FrozenFor >= p.after
	return v
}
