//go:build !cgo

package jpeg

import "github.com/openvideobox/videobox/internal/media"

// Decode returns ErrNoCgo: this build has no libjpeg-turbo.
func Decode([]byte, *media.Frame) (int, error) { return 0, ErrNoCgo }

// Encode returns ErrNoCgo.
func Encode(dst []byte, f *media.Frame, quality int) ([]byte, error) {
	if err := checkEncode(f, quality); err != nil {
		return dst, err
	}
	return dst, ErrNoCgo
}
