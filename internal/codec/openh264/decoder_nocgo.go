//go:build !cgo

package openh264

import "github.com/openvideobox/videobox/internal/media"

// Decoder decodes keyframes.
type Decoder struct{}

// New returns ErrNoCgo: this build has no libopenh264.
func New() (*Decoder, error) { return nil, ErrNoCgo }

// Decode returns ErrNoCgo.
func (d *Decoder) Decode([]byte, *media.Frame) error { return ErrNoCgo }

// Close does nothing.
func (d *Decoder) Close() {}
