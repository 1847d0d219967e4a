// Package program turns pictures and sound into one MPEG transport stream of
// constant shape: H.264 and AAC-LC on the frame grid of UTC, each picture
// stamped with its frame number, program time and capture time.
//
// VideoEncoder and AudioEncoder stand on the side that can crash (capture's
// worker, the mixer's engine); Stream stands on the side that must not. Between
// them travel Picture and Sound, which a pipe can carry. Where nothing comes,
// Stream loops a Slate: an encoded second of a still picture.
package program

import (
	"fmt"
	"hash/crc32"

	"github.com/openvideobox/videobox/internal/h264"
)

// Config is the shape of a program. It never changes while a stream lives.
type Config struct {
	Width, Height int
	Rate          int    // frames a second; a divisor of 90000
	Bitrate       int    // of the video, bit/s
	MaxBitrate    int    // that it may be set to later, bit/s; 0: Bitrate. The SPS is made for it
	AudioBitrate  int    // bit/s
	Preset        string // of x264; empty: superfast
	Threads       int    // of x264; 0: one
}

// Check says what is wrong with c, or nil.
func (c Config) Check() error {
	switch {
	case c.Width <= 0 || c.Height <= 0 || c.Width%2 != 0 || c.Height%2 != 0:
		return fmt.Errorf("video of %dx%d: width and height must be positive and even", c.Width, c.Height)
	case c.Rate <= 0 || 90000%c.Rate != 0:
		return fmt.Errorf("video at %d frames a second: use 25, 30, 50 or 60", c.Rate)
	case c.Bitrate < 50_000:
		return fmt.Errorf("video at %d bit/s: at least 50000", c.Bitrate)
	case c.MaxBitrate != 0 && c.MaxBitrate < c.Bitrate:
		return fmt.Errorf("video at %d bit/s: more than its own maximum of %d", c.Bitrate, c.MaxBitrate)
	case c.AudioBitrate < 16_000:
		return fmt.Errorf("audio at %d bit/s: at least 16000", c.AudioBitrate)
	}
	return nil
}

// Epoch names what a decoder must know of the stream besides its parameter
// sets. It is made from the shape, so that a restarted program with the same
// shape goes on in the same epoch.
func (c Config) Epoch() uint32 {
	return crc32.ChecksumIEEE(fmt.Appendf(nil, "%dx%d@%d", c.Width, c.Height, c.Rate))
}

// Picture is one encoded picture, Annex B, without its stamp.
type Picture struct {
	Frame   int64 // on the grid of UTC
	Capture int64 // UTC ns of the oldest live input in it, 0 if none
	Flags   h264.Flags
	Key     bool
	Data    []byte
}

// Sound is raw AAC frame number Index of the 1024/48000 grid of UTC.
type Sound struct {
	Index int64
	Data  []byte
}
