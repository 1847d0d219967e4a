//go:build cgo

package x264

/*
#cgo CFLAGS: -O2 -Wall
#cgo LDFLAGS: -lx264 -lm -lpthread -ldl
#cgo noescape vb_x264_encode
#cgo nocallback vb_x264_encode
#include <stdlib.h>
#include "encoder.h"
*/
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/openvideobox/videobox/internal/media"
)

// Encoder encodes frames of one Config. It is for one goroutine at a time.
type Encoder struct {
	config Config
	c      *C.vb_x264
	out    C.vb_x264_out
	au     []byte
	first  bool
}

// New opens an encoder. Close it: libx264's memory is not the garbage
// collector's.
func New(c Config) (*Encoder, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	preset := C.CString(c.Preset)
	defer C.free(unsafe.Pointer(preset))
	rate, buffer := vbv(c.Bitrate, c.BufferMS)
	conf := C.vb_x264_config{
		width: C.int(c.Width), height: C.int(c.Height), rate: C.int(c.Rate),
		level:   C.int(level(c.Width, c.Height, c.Rate, max(c.Bitrate, c.MaxBitrate))),
		threads: C.int(c.Threads), kbps: C.int(rate), buffer: C.int(buffer),
		preset: preset,
	}
	var message [200]C.char
	h := C.vb_x264_open(&conf, &message[0], C.int(len(message)))
	if h == nil {
		return nil, fmt.Errorf("x264: open %dx%d at %d: %s", c.Width, c.Height, c.Rate, C.GoString(&message[0]))
	}
	return &Encoder{config: c, c: h, first: true}, nil
}

// Encode codes f, whose time is ticks (90 kHz, strictly increasing), as an IDR
// picture if key is set, and returns its access unit. The first picture is an
// IDR picture in any case. The access unit belongs to the encoder and is valid
// until the next call; f is not kept.
func (e *Encoder) Encode(f *media.Frame, ticks int64, key bool) ([]byte, error) {
	if e.c == nil {
		return nil, ErrClosed
	}
	if err := e.config.checkFrame(f); err != nil {
		return nil, err
	}
	idr := C.int(0)
	if key || e.first {
		idr = 1
	}
	n := C.vb_x264_encode(e.c, (*C.uint8_t)(&f.Y[0]), (*C.uint8_t)(&f.U[0]), (*C.uint8_t)(&f.V[0]),
		C.int(f.YStride), C.int(f.CStride), C.int64_t(ticks), idr, &e.out)
	if n <= 0 {
		return nil, fmt.Errorf("x264: picture at tick %d gave no access unit: %s", ticks, C.GoString(C.vb_x264_message(e.c)))
	}
	e.first = false
	e.au = e.au[:0]
	for _, p := range e.out.part[:e.out.parts] {
		e.au = append(e.au, unsafe.Slice((*byte)(p.data), int(p.size))...)
	}
	return e.au, nil
}

// SetBitrate changes the bitrate (bit/s) from the next picture on. Parameter
// sets stay as they are.
func (e *Encoder) SetBitrate(bps int) error {
	if e.c == nil {
		return ErrClosed
	}
	c := e.config
	c.Bitrate = bps
	if err := c.check(); err != nil {
		return err
	}
	rate, buffer := vbv(bps, c.BufferMS)
	if C.vb_x264_bitrate(e.c, C.int(rate), C.int(buffer)) < 0 {
		return fmt.Errorf("x264: bitrate %d bit/s refused: %s", bps, C.GoString(C.vb_x264_message(e.c)))
	}
	e.config = c
	return nil
}

// Close frees the encoder. Closing twice is fine.
func (e *Encoder) Close() {
	if e.c != nil {
		C.vb_x264_close(e.c)
		e.c = nil
	}
}
