package picture

import (
	"image"
	"image/draw"
	"math"

	"github.com/openvideobox/videobox/internal/media"
)

// ITU-R BT.709-6 items 3.2 to 3.4 with 8-bit limited range: coefficients in
// 1/65536, rounded so that each row's sum is what white and grey need.
const (
	fixed = 16

	yr, yg, yb = 11966, 40254, 4064   // 219/255 of 0.2126, 0.7152, 0.0722
	ur, ug, ub = -6596, -22189, 28785 // Cb: 224/255 over 1.8556
	vr, vg, vb = 28785, -26145, -2640 // Cr: 224/255 over 1.5748

	half = 1 << (fixed - 1)
)

// FromImage converts img to BT.709 limited range, making dst as large as img;
// an odd last column or row is dropped. Transparent pixels lie over black.
func FromImage(dst *media.Frame, img image.Image) {
	b := img.Bounds()
	w, h := b.Dx()&^1, b.Dy()&^1
	if w == 0 || h == 0 {
		return
	}
	if dst.Width != w || dst.Height != h {
		dst.Reset(w, h)
	}
	dst.Color = media.Color{}
	rgba, ok := img.(*image.RGBA)
	if !ok {
		rgba = image.NewRGBA(b)
		draw.Draw(rgba, b, img, b.Min, draw.Src)
	}
	for y := 0; y < h; y += 2 {
		at := rgba.PixOffset(b.Min.X, b.Min.Y+y)
		convertRows(dst, y, rgba.Pix[at:][:4*w], rgba.Pix[at+rgba.Stride:][:4*w])
	}
}

// convertRows converts two rows of RGBA; four pixels share their chroma.
func convertRows(dst *media.Frame, y int, top, bottom []byte) {
	y0 := dst.Y[y*dst.YStride:][:dst.Width]
	y1 := dst.Y[(y+1)*dst.YStride:][:dst.Width]
	u := dst.U[y/2*dst.CStride:][:dst.Width/2]
	v := dst.V[y/2*dst.CStride:][:dst.Width/2]
	for i := range u {
		p, q := top[8*i:][:8], bottom[8*i:][:8]
		y0[2*i], y0[2*i+1] = luma(p[0], p[1], p[2]), luma(p[4], p[5], p[6])
		y1[2*i], y1[2*i+1] = luma(q[0], q[1], q[2]), luma(q[4], q[5], q[6])
		r := int32(p[0]) + int32(p[4]) + int32(q[0]) + int32(q[4])
		g := int32(p[1]) + int32(p[5]) + int32(q[1]) + int32(q[5])
		b := int32(p[2]) + int32(p[6]) + int32(q[2]) + int32(q[6])
		u[i] = byte((ur*r + ug*g + ub*b + (128<<fixed+half)<<2) >> (fixed + 2))
		v[i] = byte((vr*r + vg*g + vb*b + (128<<fixed+half)<<2) >> (fixed + 2))
	}
}

func luma(r, g, b byte) byte {
	return byte((yr*int32(r) + yg*int32(g) + yb*int32(b) + 16<<fixed + half) >> fixed)
}

// YUV is the limited-range BT.709 code of an RGB colour.
func YUV(r, g, b byte) (y, u, v byte) {
	ri, gi, bi := int32(r), int32(g), int32(b)
	return luma(r, g, b),
		byte((ur*ri + ug*gi + ub*bi + 128<<fixed + half) >> fixed),
		byte((vr*ri + vg*gi + vb*bi + 128<<fixed + half) >> fixed)
}

// toRGB holds the coefficients from a frame's samples to RGB of 0..255:
// R = y(Y-black) + rv V, and so on, with chroma around zero.
type toRGB struct{ black, y, rv, gu, gv, bu float64 }

// primaries are the weights of red and blue in luma (BT.709 item 3.2, BT.601
// item 2.5.1).
func primaries(m media.Matrix) (kr, kb float64) {
	if m == media.BT601 {
		return 0.299, 0.114
	}
	return 0.2126, 0.0722
}

// scales are black and the steps of luma and chroma for a range of 0..255.
func scales(c media.Color) (black, luma, chroma float64) {
	if c.Full {
		return 0, 1, 1
	}
	return 16, 219.0 / 255, 224.0 / 255
}

func toRGBOf(c media.Color) toRGB {
	kr, kb := primaries(c.Matrix)
	black, luma, chroma := scales(c)
	kg := 1 - kr - kb
	return toRGB{
		black: black, y: 1 / luma,
		rv: 2 * (1 - kr) / chroma,
		gu: -2 * (1 - kb) * kb / kg / chroma,
		gv: -2 * (1 - kr) * kr / kg / chroma,
		bu: 2 * (1 - kb) / chroma,
	}
}

// fix is v in 1/65536.
func fix(v float64) int32 { return int32(math.Round(v * (1 << fixed))) }

func clamp(v int32) byte { return byte(min(max(v, 0), 255)) }

// ToImage converts f, by its colour description, to RGB.
func ToImage(f *media.Frame) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, f.Width, f.Height))
	k := toRGBOf(f.Color)
	black, ky, rv, gu, gv, bu := int32(k.black), fix(k.y), fix(k.rv), fix(k.gu), fix(k.gv), fix(k.bu)
	for y := range f.Height {
		row, u, v := f.Y[y*f.YStride:], f.U[y/2*f.CStride:], f.V[y/2*f.CStride:]
		out := img.Pix[y*img.Stride:][:4*f.Width]
		for x := range f.Width {
			l := ky*(int32(row[x])-black) + half
			cu, cv := int32(u[x/2])-128, int32(v[x/2])-128
			p := out[4*x:][:4]
			p[0] = clamp((l + rv*cv) >> fixed)
			p[1] = clamp((l + gu*cu + gv*cv) >> fixed)
			p[2] = clamp((l + bu*cu) >> fixed)
			p[3] = 255
		}
	}
	return img
}

// Normalize is Convert to BT.709 limited range, what the whole system sends.
func Normalize(f *media.Frame) { Convert(f, media.Color{}) }

// Convert changes f in place to another matrix and range. Colours that only one
// of the two can hold are clipped to 0..255 of the samples.
func Convert(f *media.Frame, to media.Color) {
	if f.Color == to {
		return
	}
	k := newRecode(f.Color, to)
	for y := 0; y < f.Height; y += 2 {
		u, v := f.U[y/2*f.CStride:][:f.Width/2], f.V[y/2*f.CStride:][:f.Width/2]
		y0, y1 := f.Y[y*f.YStride:][:f.Width], f.Y[(y+1)*f.YStride:][:f.Width]
		k.rows(y0, y1, u, v)
	}
	f.Color = to
}

// recode maps samples of one colour description to another. Both are linear in
// RGB and agree on grey, so luma becomes a step of itself plus a part of the
// chroma, and chroma a mix of both chromas.
type recode struct {
	luma           [256]int32 // 1/65536, with half added
	yu, yv         int32
	uu, uv, vu, vv int32
}

func newRecode(from, to media.Color) recode {
	k := toRGBOf(from)
	kr, kb := primaries(to.Matrix)
	black, luma, chroma := scales(to)
	var r recode
	for i := range r.luma {
		r.luma[i] = fix((float64(i)-k.black)*k.y*luma+black) + half
	}
	// What a unit of U, then of V, adds to red, green and blue.
	lumaOf := func(red, green, blue float64) float64 { return kr*red + (1-kr-kb)*green + kb*blue }
	yu, yv := lumaOf(0, k.gu, k.bu), lumaOf(k.rv, k.gv, 0)
	r.yu, r.yv = fix(yu*luma), fix(yv*luma)
	cb, cr := chroma/(2*(1-kb)), chroma/(2*(1-kr))
	r.uu, r.uv = fix((k.bu-yu)*cb), fix(-yv*cb)
	r.vu, r.vv = fix(-yu*cr), fix((k.rv-yv)*cr)
	return r
}

// rows converts two rows of luma and the row of chroma that they share.
func (k *recode) rows(y0, y1, u, v []byte) {
	y0, y1, v = y0[:2*len(u)], y1[:2*len(u)], v[:len(u)]
	for i := range u {
		cu, cv := int32(u[i])-128, int32(v[i])-128
		add := k.yu*cu + k.yv*cv
		y0[2*i] = clamp((k.luma[y0[2*i]] + add) >> fixed)
		y0[2*i+1] = clamp((k.luma[y0[2*i+1]] + add) >> fixed)
		y1[2*i] = clamp((k.luma[y1[2*i]] + add) >> fixed)
		y1[2*i+1] = clamp((k.luma[y1[2*i+1]] + add) >> fixed)
		u[i] = clamp((k.uu*cu + k.uv*cv + 128<<fixed + half) >> fixed)
		v[i] = clamp((k.vu*cu + k.vv*cv + 128<<fixed + half) >> fixed)
	}
}
