// Package picture works on raw pictures: scaling, placing, conversion from and
// to RGB, and the pictures the system draws itself: slates, the test pattern
// and the slides of the demo.
//
// Frames are I420. Conversion is by ITU-R BT.709 section 3 (or BT.601 where a
// frame says so), limited range, with 4:2:0 chroma averaged over 2x2 pixels.
// Tested against known colours, round trips, ffmpeg and libx264.
package picture

import (
	"fmt"
	"image"

	"github.com/openvideobox/videobox/internal/media"
)

// Rect is a part of a frame, in luma pixels.
type Rect struct{ X, Y, W, H int }

// Whole is the rectangle of all of f.
func Whole(f *media.Frame) Rect { return Rect{0, 0, f.Width, f.Height} }

// Even rounds position and size down to whole chroma pixels.
func (r Rect) Even() Rect { return Rect{r.X &^ 1, r.Y &^ 1, r.W &^ 1, r.H &^ 1} }

// In is r cut to what lies in the frame; empty (W or H is 0) when nothing does.
func (r Rect) In(f *media.Frame) Rect {
	i := image.Rect(r.X, r.Y, r.X+r.W, r.Y+r.H).Intersect(image.Rect(0, 0, f.Width, f.Height))
	return Rect{i.Min.X, i.Min.Y, i.Dx(), i.Dy()}
}

// Fit is the largest rectangle of the aspect w:h centred in r: sizes to the
// nearest even number, positions even.
func (r Rect) Fit(w, h int) Rect {
	fw, fh := r.W, r.H
	if w*r.H > h*r.W {
		fh = min((r.W*h+w)/(2*w)*2, r.H)
	} else {
		fw = min((r.H*w+h)/(2*h)*2, r.W)
	}
	fw, fh = max(fw&^1, 2), max(fh&^1, 2)
	return Rect{(r.X + (r.W-fw)/2) &^ 1, (r.Y + (r.H-fh)/2) &^ 1, fw, fh}
}

func (r Rect) String() string { return fmt.Sprintf("%dx%d+%d+%d", r.W, r.H, r.X, r.Y) }

// plane is one component of a part of a frame.
type plane struct {
	pix          []byte // from the part's first pixel on
	stride, w, h int
}

// planes are the components of the even rectangle r of f, which lies in it.
func planes(f *media.Frame, r Rect) [3]plane {
	c := r.Y/2*f.CStride + r.X/2
	return [3]plane{
		{f.Y[r.Y*f.YStride+r.X:], f.YStride, r.W, r.H},
		{f.U[c:], f.CStride, r.W / 2, r.H / 2},
		{f.V[c:], f.CStride, r.W / 2, r.H / 2},
	}
}

func (p plane) row(y int) []byte { return p.pix[y*p.stride:][:p.w] }

// Fill gives the whole frame one colour.
func Fill(f *media.Frame, y, u, v byte) { FillRect(f, Whole(f), y, u, v) }

// FillRect gives the part r of f one colour. r is made even and cut to f.
func FillRect(f *media.Frame, r Rect, y, u, v byte) {
	r = r.Even().In(f)
	if r.W <= 0 || r.H <= 0 {
		return
	}
	for i, p := range planes(f, r) {
		value := [3]byte{y, u, v}[i]
		first := p.row(0)
		for x := range first {
			first[x] = value
		}
		for y := 1; y < p.h; y++ {
			copy(p.row(y), first)
		}
	}
}

// Copy makes dst a copy of src, size, colour and time included.
func Copy(dst, src *media.Frame) {
	if dst.Width != src.Width || dst.Height != src.Height {
		dst.Reset(src.Width, src.Height)
	}
	dst.Color, dst.Time = src.Color, src.Time
	from := planes(src, Whole(src))
	for i, p := range planes(dst, Whole(dst)) {
		for y := range p.h {
			copy(p.row(y), from[i].row(y))
		}
	}
}
