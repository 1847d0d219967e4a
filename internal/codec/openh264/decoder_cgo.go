//go:build cgo

package openh264

/*
#cgo CFLAGS: -O2 -Wall
#cgo LDFLAGS: -lopenh264 -lstdc++ -lm -lpthread
#cgo noescape vb_openh264_decode
#cgo nocallback vb_openh264_decode
#include "decoder.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/openvideobox/videobox/internal/media"
)

// Decoder decodes keyframes. It is for one goroutine at a time.
type Decoder struct {
	c   unsafe.Pointer
	in  []byte
	out C.vb_openh264_picture
}

// New opens a decoder. Close it: the library's memory is not the garbage
// collector's.
func New() (*Decoder, error) {
	c := C.vb_openh264_open()
	if c == nil {
		return nil, errors.New("openh264: the library could not open a decoder")
	}
	return &Decoder{c: c}, nil
}

// Decode decodes the keyframe au into f, whose buffers are reused. Access units
// do not depend on each other: after an error the next one decodes as usual.
// An error wraps ErrNotKeyframe when au holds no IDR picture.
func (d *Decoder) Decode(au []byte, f *media.Frame) error {
	if d.c == nil {
		return ErrClosed
	}
	var err error
	if d.in, err = keyframe(d.in[:0], au); err != nil {
		return err
	}
	if C.vb_openh264_decode(d.c, (*C.uint8_t)(&d.in[0]), C.int(len(d.in)), &d.out) == 0 {
		return fmt.Errorf("openh264: keyframe of %d bytes does not decode: state %#x", len(au), int(d.out.state))
	}
	return copyOut(f, &d.out)
}

func copyOut(f *media.Frame, p *C.vb_openh264_picture) error {
	w, h := int(p.width), int(p.height)
	if w < 2 || h < 2 || w%2 != 0 || h%2 != 0 || int(p.ystride) < w || int(p.cstride) < w/2 {
		return fmt.Errorf("openh264: picture of %dx%d with strides %d and %d is none of 4:2:0", w, h, int(p.ystride), int(p.cstride))
	}
	f.Reset(w, h)
	f.Color, f.Time = media.Color{}, 0
	copyPlane(f.Y, f.YStride, w, h, p.plane[0], int(p.ystride))
	copyPlane(f.U, f.CStride, w/2, h/2, p.plane[1], int(p.cstride))
	copyPlane(f.V, f.CStride, w/2, h/2, p.plane[2], int(p.cstride))
	return nil
}

func copyPlane(dst []byte, dstStride, w, h int, src *C.uint8_t, stride int) {
	from := unsafe.Slice((*byte)(src), stride*(h-1)+w)
	for y := range h {
		copy(dst[y*dstStride:][:w], from[y*stride:])
	}
}

// Close frees the decoder. Closing twice is fine.
func (d *Decoder) Close() {
	if d.c != nil {
		C.vb_openh264_close(d.c)
		d.c = nil
	}
}
