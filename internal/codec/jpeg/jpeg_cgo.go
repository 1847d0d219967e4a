//go:build cgo

package jpeg

/*
#cgo CFLAGS: -O2 -Wall
#cgo LDFLAGS: -ljpeg
#cgo noescape vb_jpeg_header
#cgo nocallback vb_jpeg_header
#cgo noescape vb_jpeg_decode
#cgo nocallback vb_jpeg_decode
#cgo noescape vb_jpeg_encode
#cgo nocallback vb_jpeg_encode
#include <stdlib.h>
#include "turbo.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/openvideobox/videobox/internal/media"
)

// Decode decodes a picture into f, whose buffers are reused; an odd last column
// or row is dropped. A picture with warnings is damaged, but f holds what could
// be decoded, grey where nothing could.
func Decode(data []byte, f *media.Frame) (warnings int, err error) {
	if len(data) == 0 {
		return 0, errors.New("jpeg: empty picture")
	}
	var info C.vb_jpeg_info
	p, n := (*C.uint8_t)(&data[0]), C.size_t(len(data))
	if C.vb_jpeg_header(p, n, maxSide, &info) != 0 {
		return 0, failure("decode", info)
	}
	w, h := int(info.width)&^1, int(info.height)&^1
	if w == 0 || h == 0 {
		return 0, fmt.Errorf("jpeg: picture of %dx%d: at least 2x2", int(info.width), int(info.height))
	}
	f.Reset(w, h)
	f.Color, f.Time = Color, 0
	if C.vb_jpeg_decode(p, n, &info, (*C.uint8_t)(&f.Y[0]), (*C.uint8_t)(&f.U[0]), (*C.uint8_t)(&f.V[0]),
		C.int(f.YStride), C.int(f.CStride)) != 0 {
		return int(info.warnings), failure("decode", info)
	}
	return int(info.warnings), nil
}

// Encode appends f as a 4:2:0 baseline JPEG of the given quality (1 to 100) to
// dst. f must be BT.601 full range.
func Encode(dst []byte, f *media.Frame, quality int) ([]byte, error) {
	if err := checkEncode(f, quality); err != nil {
		return dst, err
	}
	var info C.vb_jpeg_info
	var out *C.uint8_t
	var size C.ulong
	result := C.vb_jpeg_encode((*C.uint8_t)(&f.Y[0]), (*C.uint8_t)(&f.U[0]), (*C.uint8_t)(&f.V[0]),
		C.int(f.Width), C.int(f.Height), C.int(f.YStride), C.int(f.CStride), C.int(quality), &out, &size, &info)
	defer C.free(unsafe.Pointer(out))
	if result != 0 {
		return dst, failure("encode", info)
	}
	return append(dst, unsafe.Slice((*byte)(out), int(size))...), nil
}

func failure(doing string, info C.vb_jpeg_info) error {
	return fmt.Errorf("jpeg: %s: %s", doing, C.GoString(&info.message[0]))
}
