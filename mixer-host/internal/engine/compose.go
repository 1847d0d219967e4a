package engine

import (
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/picture"
)

// Input is a picture to compose. Two inputs of one version are the same picture.
type Input struct {
	Frame   *media.Frame
	Version uint64
}

// Compositor puts pictures together. It keeps what it drew and draws only what
// has changed: slides stand still for minutes, and a scaled picture costs more
// than all the rest. It is for one goroutine.
type Compositor struct {
	out        *media.Frame
	background *media.Frame
	logo       *logo
	scaler     picture.Scaler

	mode  Mode
	layer [2]layer
}

// layer is a picture as it was drawn last.
type layer struct {
	rect    picture.Rect
	version uint64
	scaled  media.Frame // of the size of rect
	valid   bool        // scaled holds version
}

// NewCompositor composes in the size of the background, which it keeps.
func NewCompositor(background *media.Frame, l *logo) *Compositor {
	c := &Compositor{out: media.NewFrame(background.Width, background.Height), background: background, logo: l}
	return c
}

// Compose draws a and b in mode m. The frame is valid, and not to be changed,
// until the next call; changed is false when it is the one returned before.
func (c *Compositor) Compose(m Mode, a, b Input) (out *media.Frame, changed bool) {
	all := m != c.mode
	if all {
		c.mode = m
		where := layout(m, c.out.Width, c.out.Height)
		for i, r := range []picture.Rect{where.a, where.b} {
			c.layer[i].rect, c.layer[i].valid = r, false
			if r.W > 0 {
				c.layer[i].scaled.Reset(r.W, r.H)
			}
		}
	}
	aNew := all || a.Version != c.layer[0].version
	bNew := c.layer[1].rect.W > 0 && (all || b.Version != c.layer[1].version)
	if !aNew && !bNew {
		return c.out, false
	}
	if all || c.logo != nil {
		// The logo is blended: what lies below it must be there anew.
		picture.Copy(c.out, c.background)
	}
	if aNew || c.logo != nil {
		c.draw(&c.layer[0], a)
	}
	if c.layer[1].rect.W > 0 {
		c.draw(&c.layer[1], b) // above A, so also when A alone is new
	}
	if c.logo != nil {
		c.logo.blend(c.out)
	}
	return c.out, true
}

// draw scales a new picture, and puts it in its place.
func (c *Compositor) draw(l *layer, in Input) {
	if l.version != in.Version {
		l.version, l.valid = in.Version, false
	}
	if !l.valid && l == &c.layer[0] && c.logo == nil {
		// Nothing will ask for A again until it changes.
		c.scaler.LetterboxRect(c.out, in.Frame, l.rect)
		return
	}
	if !l.valid {
		c.scaler.LetterboxRect(&l.scaled, in.Frame, picture.Whole(&l.scaled))
		l.valid = true
	}
	c.scaler.Scale(c.out, &l.scaled, l.rect) // same size: a copy
}
