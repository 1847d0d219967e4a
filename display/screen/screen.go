// Package screen draws a box's state: what is sent, who the box is, and what is
// wrong, so that somebody who stands before it need not ask. It is pure: state
// in, picture out; where the picture goes is others' business.
//
// There are three layouts: one for 240x135, one for 320x240 and 480x320, one
// for 800x480 and HDMI. Each is made for its smallest size, scaled by the
// height or width that is short, and spread over what the other has left.
//
// Tested by golden pictures, which were looked at.
package screen

import (
	"fmt"
	"image"
	"image/color"
	"math"

	"github.com/fogleman/gg"
	"golang.org/x/image/draw"
	"golang.org/x/image/font"
)

// The smallest picture that is drawn, in pixels.
const (
	MinWidth  = 160
	MinHeight = 90
)

// Screen draws states one after the other at one size, and of each only the
// parts that differ from the one before. It is for one goroutine.
type Screen struct {
	gg            *gg.Context
	img           *image.RGBA
	layout        func(*Screen, State)
	clip          *image.RGBA // what of it is being drawn
	scale         float64     // pixels a unit of the layout
	width, height float64     // in units of the layout
	faces         map[style]font.Face
	shown         map[image.Rectangle]any // what is drawn where
	changed       image.Rectangle
	picture       image.Rectangle // where the picture goes
}

// New returns a screen of at least MinWidth x MinHeight pixels.
func New(width, height int) *Screen {
	w, h := max(width, MinWidth), max(height, MinHeight)
	s := &Screen{img: image.NewRGBA(image.Rect(0, 0, w, h)), faces: map[style]font.Face{}, shown: map[image.Rectangle]any{}}
	s.gg = gg.NewContextForRGBA(s.img)
	madeFor := image.Pt(800, 480)
	s.layout = wide
	switch {
	case h < 200:
		madeFor, s.layout = image.Pt(240, 135), tiny
	case w < 640:
		madeFor, s.layout = image.Pt(320, 240), compact
	}
	s.scale = math.Min(float64(w)/float64(madeFor.X), float64(h)/float64(madeFor.Y))
	s.width, s.height = float64(w)/s.scale, float64(h)/s.scale
	s.gg.SetColor(back)
	s.gg.Clear()
	s.layout(s, State{}) // finds the picture's place
	s.changed = s.img.Rect
	return s
}

// Draw draws a state. The picture is the screen's own and good until the next
// call; changed is the part of it that may differ from the one before.
func (s *Screen) Draw(st State) (img *image.RGBA, changed image.Rectangle) {
	s.layout(s, clean(st))
	img, changed = s.img, s.changed
	s.changed = image.Rectangle{}
	return img, changed
}

// PictureSize is how large the picture can be shown, in pixels: one of that
// width or height needs no scaling.
func (s *Screen) PictureSize() image.Point { return s.picture.Size() }

// PictureRect is where a picture of this shape lies on the screen.
func (s *Screen) PictureRect(width, height int) image.Rectangle {
	return inside(s.picture, image.Pt(width, height))
}

// Draw draws one state at one size.
func Draw(width, height int, st State) *image.RGBA {
	img, _ := New(width, height).Draw(st)
	return img
}

// rect is a rectangle of the layout in whole pixels.
func (s *Screen) rect(x, y, w, h float64) image.Rectangle {
	px := func(v float64) int { return int(math.Round(v * s.scale)) }
	return image.Rect(px(x), px(y), px(x+w), px(y+h)).Intersect(s.img.Rect)
}

// part draws a rectangle of the layout, if what it shows has changed. What was
// there and overlaps it, in another place, goes.
func (s *Screen) part(x, y, w, h float64, shows any, drawIt func()) {
	r := s.rect(x, y, w, h)
	if old, ok := s.shown[r]; ok && old == shows {
		return
	}
	for other := range s.shown {
		if other.Overlaps(r) {
			delete(s.shown, other)
			s.clear(other)
		}
	}
	s.shown[r] = shows
	s.clear(r)
	s.clip = s.img.SubImage(r).(*image.RGBA)
	drawIt()
}

func (s *Screen) clear(r image.Rectangle) {
	s.changed = s.changed.Union(r)
	draw.Draw(s.img, r, image.NewUniform(back), image.Point{}, draw.Src)
}

func (s *Screen) box(x, y, w, h float64, c color.Color) {
	draw.Draw(s.img, s.rect(x, y, w, h), image.NewUniform(c), image.Point{}, draw.Src)
}

// inside is the largest rectangle of a shape in the middle of r.
func inside(r image.Rectangle, shape image.Point) image.Rectangle {
	f := math.Min(float64(r.Dx())/float64(max(shape.X, 1)), float64(r.Dy())/float64(max(shape.Y, 1)))
	w, h := int(math.Round(float64(shape.X)*f)), int(math.Round(float64(shape.Y)*f))
	at := r.Min.Add(image.Pt((r.Dx()-w)/2, (r.Dy()-h)/2))
	return image.Rectangle{at, at.Add(image.Pt(w, h))}
}

// pictureAt shows the stream's newest keyframe, or why there is none.
func (s *Screen) pictureAt(x, y, w, h, size float64, st State) {
	s.picture = s.rect(x, y, w, h)
	type shows struct {
		image.Image
		why string
	}
	s.part(x, y, w, h, shows{st.Picture, st.NoPicture}, func() {
		s.box(x, y, w, h, color.Black)
		if st.Picture == nil {
			s.paragraph(st.NoPicture, x+w/2, y+h/2, w-size, style{size, true}, warning)
			return
		}
		b := st.Picture.Bounds()
		to := inside(s.picture, b.Size())
		if spare := to.Size().Sub(b.Size()); spare.X >= 0 && spare.X < 3 && spare.Y >= 0 && spare.Y < 3 { // sizes may be even only
			draw.Draw(s.img, image.Rectangle{to.Min, to.Min.Add(b.Size())}, st.Picture, b.Min, draw.Src)
			return
		}
		draw.ApproxBiLinear.Scale(s.img, to, st.Picture, b, draw.Src, nil)
	})
}

// The meters' scale, and the band in which speech should be, in dBFS.
const floorDB, quietDB, loudDB = -60.0, -30.0, -14.0

// metersAt draws a bar a channel: its peak, and a mark where the highest was.
func (s *Screen) metersAt(x, y, w, h float64, st State) {
	at := func(db float64) float64 { return y + h*math.Min(1, math.Max(0, db/floorDB)) }
	s.part(x, y, w, h, fmt.Sprint(st.Peaks, st.Held), func() {
		n := max(len(st.Peaks), 2)
		each := w / float64(n)
		gap := math.Max(1/s.scale, each/8)
		for i := range n {
			x, w := x+float64(i)*each, each-gap
			s.box(x, y, w, h, card)
			s.box(x, at(loudDB), w, at(quietDB)-at(loudDB), darkGood)
			if i >= len(st.Peaks) {
				continue
			}
			top := at(st.Peaks[i])
			s.box(x, top, w, y+h-top, soundColor(st.Peaks[i]))
			if i < len(st.Held) && st.Held[i] > floorDB {
				s.box(x, math.Min(at(st.Held[i]), y+h-2), w, 2, text)
			}
		}
	})
}

func soundColor(db float64) color.Color {
	switch {
	case db > loudDB:
		return bad
	case db >= quietDB:
		return good
	}
	return warning
}
