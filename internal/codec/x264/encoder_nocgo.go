//go:build !cgo

package x264

import "github.com/openvideobox/videobox/internal/media"

// Encoder encodes frames of one Config.
type Encoder struct{}

// New checks c and returns ErrNoCgo: this build has no libx264.
func New(c Config) (*Encoder, error) {
	if err := c.withDefaults().check(); err != nil {
		return nil, err
	}
	return nil, ErrNoCgo
}

// Encode returns ErrNoCgo.
func (e *Encoder) Encode(*media.Frame, int64, bool) ([]byte, error) { return nil, ErrNoCgo }

// SetBitrate returns ErrNoCgo.
func (e *Encoder) SetBitrate(int) error { return ErrNoCgo }

// Close does nothing.
func (e *Encoder) Close() {}
