package drivertest

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"sync"

	"github.com/openvideobox/videobox/drivers/v4l2"
)

// steps is how many places the bar has.
const steps = 8

// drawn keeps the pictures of each mode.
var drawn struct {
	sync.Mutex
	pictures map[key][]byte
}

type key struct {
	pixel         string
	width, height int
	step          int // of the bar; -1: no signal
}

// picture is the frame at t. The bar moves on at each frame of 25 a second.
func (s *Stick) picture(m v4l2.Mode, t int64, signal bool) []byte {
	if s.cfg.Picture != nil {
		return s.cfg.Picture(m, t, signal)
	}
	k := key{m.Pixel, m.Width, m.Height, int(t / 40e6 % steps)}
	if !signal {
		k.step = -1
	}
	drawn.Lock()
	defer drawn.Unlock()
	if drawn.pictures == nil {
		drawn.pictures = map[key][]byte{}
	}
	if drawn.pictures[k] == nil {
		drawn.pictures[k] = k.code(k.draw())
	}
	return drawn.pictures[k]
}

// draw is grey with a white bar, or blue.
func (k key) draw() *image.YCbCr {
	img := image.NewYCbCr(image.Rect(0, 0, k.width, k.height), image.YCbCrSubsampleRatio422)
	background, cb, cr := byte(90), byte(128), byte(128)
	if k.step < 0 {
		background, cb, cr = color.RGBToYCbCr(0, 0, 200)
	}
	for i := range img.Cb {
		img.Cb[i], img.Cr[i] = cb, cr
	}
	for i := range img.Y {
		img.Y[i] = background
		if x := i % img.YStride; k.step >= 0 && x*steps/k.width == k.step {
			img.Y[i] = 235
		}
	}
	return img
}

func (k key) code(img *image.YCbCr) []byte {
	if k.pixel == v4l2.MJPEG {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, img, nil); err != nil {
			panic(err)
		}
		return b.Bytes()
	}
	out := make([]byte, k.width*k.height*2) // YUYV
	for i := range k.width * k.height / 2 {
		out[4*i], out[4*i+1], out[4*i+2], out[4*i+3] = img.Y[2*i], img.Cb[i], img.Y[2*i+1], img.Cr[i]
	}
	return out
}
