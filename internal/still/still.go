// Package still makes JPEG pictures of a stream's keyframes and of raw frames,
// for previews: an H.264 access unit in, a JPEG out, by libopenh264 and
// libjpeg-turbo. Without cgo everything returns an error that says so.
//
// Tested on x264's keyframes against the pictures that went in, and on damaged
// ones.
package still

import (
	"fmt"
	"sync"

	"github.com/openvideobox/videobox/internal/codec/jpeg"
	"github.com/openvideobox/videobox/internal/codec/openh264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/picture"
)

// Encoder makes stills of one or many streams, reusing its buffers. It is for
// one goroutine at a time; the zero value is ready. Close it after use.
type Encoder struct {
	decoder        *openh264.Decoder
	decoded, small media.Frame
	scaler         picture.Scaler
}

// JPEG appends the picture of the keyframe au (SPS, PPS and an IDR picture;
// other NAL units are passed over) to dst, scaled down to at most maxWidth
// pixels of width (0: not scaled), at a JPEG quality of 1 to 100. An error wraps
// openh264.ErrNotKeyframe when au is none.
func (e *Encoder) JPEG(dst, au []byte, maxWidth, quality int) ([]byte, error) {
	if e.decoder == nil {
		d, err := openh264.New()
		if err != nil {
			return dst, fmt.Errorf("still: %w", err)
		}
		e.decoder = d
	}
	if err := e.decoder.Decode(au, &e.decoded); err != nil {
		return dst, fmt.Errorf("still: %w", err)
	}
	return e.Frame(dst, &e.decoded, maxWidth, quality)
}

// Frame is JPEG of a raw frame, which is left as it is.
func (e *Encoder) Frame(dst []byte, f *media.Frame, maxWidth, quality int) ([]byte, error) {
	if err := f.Check(); err != nil {
		return dst, fmt.Errorf("still: %w", err)
	}
	w, h := f.Width, f.Height
	if maxWidth > 0 && maxWidth < w {
		w = max(maxWidth&^1, 2)
		h = max((f.Height*w+f.Width/2)/f.Width&^1, 2)
	}
	e.small.Reset(w, h)
	e.scaler.Scale(&e.small, f, picture.Whole(&e.small))
	picture.Convert(&e.small, jpeg.Color)
	out, err := jpeg.Encode(dst, &e.small, quality)
	if err != nil {
		return dst, fmt.Errorf("still: %w", err)
	}
	return out, nil
}

// Close frees the decoder. Closing twice is fine, and the encoder can be used
// again.
func (e *Encoder) Close() {
	if e.decoder != nil {
		e.decoder.Close()
		e.decoder = nil
	}
}

// shared serves JPEG. Stills are rare and short: one at a time costs less than
// a decoder for each caller.
var shared struct {
	sync.Mutex
	Encoder
}

// JPEG is Encoder.JPEG with an encoder that all callers share, one at a time.
func JPEG(au []byte, maxWidth, quality int) ([]byte, error) {
	shared.Lock()
	defer shared.Unlock()
	return shared.Encoder.JPEG(nil, au, maxWidth, quality)
}
