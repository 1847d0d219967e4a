package picture

import (
	"image"
	"image/draw"

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
		u[i] = byte((ur*r+ug*g+ub*b+(128<<fixed+half)<<2) >> (fixed + 2))
		v[i] = byte((vr*r+vg*g+vb*b+(128<<fixed+half)<<2) >> (fixed + 2))
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

// inverse holds the coefficients from a frame's samples to RGB, in 1/65536.
type inverse struct{ black, y, rv, gu, gv, bu int32 }

func inverseOf(c media.Color) inverse {
	kr, kb := 0.2126, 0.0722 // BT.709
	if c.Matrix == media.BT601 {
		kr, kb = 0.299, 0.114
	}
	black, luma, chroma := int32(16), 255.0/219, 255.0/224
	if c.Full {
		black, luma, chroma = 0, 1, 1
	}
	kg := 1 - kr - kb
	in := func(v float64) int32 {
		if v < 0 {
			return int32(v*(1<<fixed) - 0.5)
		}
		return int32(v*(1<<fixed) + 0.5)
	}
	return inverse{
		black: black, y: in(luma),
		rv: in(chroma * 2 * (1 - kr)),
		gu: in(-chroma * 2 * (1 - kb) * kb / kg),
		gv: in(-chroma * 2 * (1 - kr) * kr / kg),
		bu: in(chroma * 2 * (1 - kb)),
	}
}

func (k inverse) rgb(y, u, v byte) (r, g, b byte) {
	l := k.y*(int32(y)-k.black) + half
	cu, cv := int32(u)-128, int32(v)-128
	return clamp((l + k.rv*cv) >> fixed), clamp((l + k.gu*cu + k.gv*cv) >> fixed), clamp((l + k.bu*cu) >> fixed)
}

func clamp(v int32) byte { return byte(min(max(v, 0), 255)) }

// ToImage converts f, by its colour description, to RGB.
func ToImage(f *media.Frame) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, f.Width, f.Height))
	k := inverseOf(f.Color)
	for y := range f.Height {
		row, u, v := f.Y[y*f.YStride:], f.U[y/2*f.CStride:], f.V[y/2*f.CStride:]
		out := img.Pix[y*img.Stride:][:4*f.Width]
		for x := range f.Width {
			p := out[4*x:][:4]
			p[0], p[1], p[2] = k.rgb(row[x], u[x/2], v[x/2])
			p[3] = 255
		}
	}
	return img
}

// Normalize converts f in place to BT.709 limited range, what the whole system
// sends. Nothing is done to a frame that already is.
func Normalize(f *media.Frame) {
	if (f.Color == media.Color{}) {
		return
	}
	k := inverseOf(f.Color)
	for y := 0; y < f.Height; y += 2 {
		u, v := f.U[y/2*f.CStride:][:f.Width/2], f.V[y/2*f.CStride:][:f.Width/2]
		y0, y1 := f.Y[y*f.YStride:][:f.Width], f.Y[(y+1)*f.YStride:][:f.Width]
		for i := range u {
			k.normalize(y0[2*i:][:2], y1[2*i:][:2], &u[i], &v[i])
		}
	}
	f.Color = media.Color{}
}

// normalize converts the four pixels that share u and v. Without the clamp to
// 0..255 the chain is linear, so luma needs only its own sample and the chroma,
// and the new chroma only the old one.
func (k inverse) normalize(top, bottom []byte, u, v *byte) {
	cu, cv := int64(*u)-128, int64(*v)-128
	// RGB of a pixel with luma zero, in 1/65536.
	r, g, b := int64(k.rv)*cv, int64(k.gu)*cu+int64(k.gv)*cv, int64(k.bu)*cu
	base := (yr*r + yg*g + yb*b) >> fixed
	scale := int64(k.y) * (yr + yg + yb) >> fixed
	for _, p := range [2][]byte{top, bottom} {
		for i, s := range p {
			l := (scale*(int64(s)-int64(k.black)) + base + half) >> fixed
			p[i] = byte(min(max(l+16, 0), 255))
		}
	}
	*u = byte(min(max((((ur*r+ug*g+ub*b)>>fixed)+half)>>fixed+128, 0), 255))
	*v = byte(min(max((((vr*r+vg*g+vb*b)>>fixed)+half)>>fixed+128, 0), 255))
}
