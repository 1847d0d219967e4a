package engine

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/jpeg" // backgrounds
	_ "image/png"  // backgrounds and logos
	"os"

	"golang.org/x/image/draw"

	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/picture"
)

// logo is an overlay with transparency, as planes that are blended into a frame.
type logo struct {
	rect   picture.Rect
	pixels *media.Frame
	alpha  []byte // of each luma pixel
	chroma []byte // of each chroma pixel
}

// maxLogo is the part of the width that a logo smaller than the picture takes at
// most; one of the picture's size lies over all of it.
const maxLogo = 5

// loadLogo reads a PNG for pictures of w x h. It goes to the top right corner, a
// gutter away from the edges, as voctomix's geometry leaves that free.
func loadLogo(path string, w, h int) (*logo, error) {
	img, err := loadImage(path)
	if err != nil {
		return nil, fmt.Errorf("logo: %w", err)
	}
	b := img.Bounds()
	r := picture.Rect{W: b.Dx(), H: b.Dy()}
	if r.W != w || r.H != h {
		if r.W > w/maxLogo {
			r.W, r.H = w/maxLogo, b.Dy()*(w/maxLogo)/b.Dx()
		}
		if r.H > h/maxLogo {
			r.W, r.H = b.Dx()*(h/maxLogo)/b.Dy(), h/maxLogo
		}
		r.X, r.Y = w-w/100-r.W, w/100
	}
	r = r.Even()
	if r.W < 2 || r.H < 2 {
		return nil, fmt.Errorf("logo: %s is %dx%d; it must be wider and higher", path, b.Dx(), b.Dy())
	}
	return newLogo(img, r), nil
}

func newLogo(img image.Image, r picture.Rect) *logo {
	scaled := image.NewNRGBA(image.Rect(0, 0, r.W, r.H))
	draw.CatmullRom.Scale(scaled, scaled.Bounds(), img, img.Bounds(), draw.Src, nil)
	l := &logo{rect: r, pixels: media.NewFrame(r.W, r.H), alpha: make([]byte, r.W*r.H), chroma: make([]byte, r.W/2*(r.H/2))}
	opaque := image.NewRGBA(scaled.Bounds())
	for i := range l.alpha {
		p := scaled.Pix[4*i : 4*i+4]
		l.alpha[i] = p[3]
		opaque.SetRGBA(i%r.W, i/r.W, color.RGBA{p[0], p[1], p[2], 255})
	}
	picture.FromImage(l.pixels, opaque)
	for y := range r.H / 2 {
		for x := range r.W / 2 {
			at := 2*y*r.W + 2*x
			sum := int(l.alpha[at]) + int(l.alpha[at+1]) + int(l.alpha[at+r.W]) + int(l.alpha[at+r.W+1])
			l.chroma[y*(r.W/2)+x] = byte((sum + 2) / 4)
		}
	}
	return l
}

// blend puts the logo over f.
func (l *logo) blend(f *media.Frame) {
	r := l.rect
	over(f.Y[r.Y*f.YStride+r.X:], f.YStride, l.pixels.Y, l.alpha, r.W, r.H)
	at := r.Y/2*f.CStride + r.X/2
	over(f.U[at:], f.CStride, l.pixels.U, l.chroma, r.W/2, r.H/2)
	over(f.V[at:], f.CStride, l.pixels.V, l.chroma, r.W/2, r.H/2)
}

func over(dst []byte, stride int, src, alpha []byte, w, h int) {
	for y := range h {
		row, s, a := dst[y*stride:][:w], src[y*w:][:w], alpha[y*w:][:w]
		for x := range row {
			switch k := uint32(a[x]); k {
			case 0:
			case 255:
				row[x] = s[x]
			default:
				row[x] = byte((uint32(s[x])*k + uint32(row[x])*(255-k) + 127) / 255)
			}
		}
	}
}

// loadBackground reads a PNG or JPEG and scales it to w x h; without a path it is a
// plain dark colour.
func loadBackground(path string, w, h int) (*media.Frame, error) {
	f := media.NewFrame(w, h)
	y, u, v := picture.YUV(0x1b, 0x20, 0x28)
	picture.Fill(f, y, u, v)
	if path == "" {
		return f, nil
	}
	img, err := loadImage(path)
	if err != nil {
		return nil, fmt.Errorf("background: %w", err)
	}
	scaled := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.CatmullRom.Scale(scaled, scaled.Bounds(), img, img.Bounds(), draw.Src, nil)
	picture.FromImage(f, scaled)
	return f, nil
}

// maxImage bounds what is decoded: 8K.
const maxImage = 8192

func loadImage(path string) (image.Image, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	c, _, err := image.DecodeConfig(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; use a PNG or a JPEG", path, err)
	}
	if c.Width > maxImage || c.Height > maxImage {
		return nil, fmt.Errorf("%s: %dx%d, at most %dx%[4]d", path, c.Width, c.Height, maxImage)
	}
	if _, err := file.Seek(0, 0); err != nil {
		return nil, err
	}
	img, _, err := image.Decode(file)
	if err == nil && img.Bounds().Empty() {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return img, nil
}
