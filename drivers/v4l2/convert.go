package v4l2

import (
	"encoding/binary"
	"fmt"

	"github.com/openvideobox/videobox/internal/media"
)

// unpack makes I420 of an uncompressed frame. Width and height are rounded down
// to even numbers. A frame that is too short for its format is an error.
func unpack(data []byte, is Format, f *media.Frame) error {
	w, h := is.Width&^1, is.Height&^1
	stride := is.Stride
	if stride == 0 {
		stride = is.Width
		if is.Pixel != NV12 {
			stride = (is.Width + 1) &^ 1 * 2
		}
	}
	if want := rawBytes(is, stride); len(data) < want || w == 0 || h == 0 {
		return fmt.Errorf("%s frame of %d bytes, want %d", is.Pixel, len(data), want)
	}
	f.Reset(w, h)
	f.Color = is.Color
	switch is.Pixel {
	case YUYV:
		packed(data, stride, f, false)
	case UYVY:
		packed(data, stride, f, true)
	case NV12:
		nv12(data, stride, is.Height, f)
	default:
		return fmt.Errorf("pixel format %s can't be read", is.Pixel)
	}
	return nil
}

// rawBytes is the least that a frame takes: the last row may end early.
func rawBytes(is Format, stride int) int {
	if is.Width < 2 || is.Height < 2 {
		return 1
	}
	if is.Pixel == NV12 {
		return stride*(is.Height+is.Height/2-1) + is.Width&^1
	}
	return stride*(is.Height&^1-1) + is.Width&^1*2
}

// packed converts YUYV or UYVY, two rows at a time, whose chroma is averaged.
func packed(data []byte, stride int, f *media.Frame, uyvy bool) {
	for row := 0; row < f.Height; row += 2 {
		a, b := data[row*stride:][:f.Width*2], data[(row+1)*stride:][:f.Width*2]
		ya, yb := f.Y[row*f.YStride:][:f.Width], f.Y[(row+1)*f.YStride:][:f.Width]
		u, v := f.U[row/2*f.CStride:][:f.Width/2], f.V[row/2*f.CStride:][:f.Width/2]
		for i := range u {
			p, q := binary.LittleEndian.Uint32(a[4*i:]), binary.LittleEndian.Uint32(b[4*i:])
			if uyvy { // to the order of YUYV
				p, q = swap(p), swap(q)
			}
			ya[2*i], ya[2*i+1] = byte(p), byte(p>>16)
			yb[2*i], yb[2*i+1] = byte(q), byte(q>>16)
			u[i] = byte((p>>8&0xff + q>>8&0xff + 1) / 2)
			v[i] = byte((p>>24 + q>>24 + 1) / 2)
		}
	}
}

// swap exchanges the bytes of each pair.
func swap(p uint32) uint32 { return p&0xff00ff<<8 | p>>8&0xff00ff }

// nv12 takes U and V apart.
func nv12(data []byte, stride, height int, f *media.Frame) {
	for row := range f.Height {
		copy(f.Y[row*f.YStride:][:f.Width], data[row*stride:])
	}
	for row := range f.Height / 2 {
		uv := data[(height+row)*stride:][:f.Width]
		u, v := f.U[row*f.CStride:][:f.Width/2], f.V[row*f.CStride:][:f.Width/2]
		for i := range u {
			u[i], v[i] = uv[2*i], uv[2*i+1]
		}
	}
}
