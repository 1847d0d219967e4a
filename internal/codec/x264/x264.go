// Package x264 encodes H.264 with libx264, for live sending: one picture in,
// one access unit out, no B-frames, no lookahead, IDR pictures exactly where
// they are asked for.
//
// What comes out is an Annex B byte stream (ITU-T H.264 annex B), High profile,
// CABAC, access unit delimiter first, SPS and PPS before every IDR picture,
// BT.709 limited range flagged in the VUI, num_reorder_frames 0. Parameter sets
// depend on size, rate, level and thread-independent settings only, so that
// pictures of two encoders of one Config can follow each other.
//
// It needs cgo; without it New returns ErrNoCgo. Tested with x264 build 164
// (Debian 12), decoded by ffmpeg 5.1.
package x264

import (
	"errors"
	"fmt"
	"slices"

	"github.com/openvideobox/videobox/internal/media"
)

// Errors that callers branch on.
var (
	ErrNoCgo  = errors.New("x264: built without cgo: build with CGO_ENABLED=1 and libx264-dev")
	ErrClosed = errors.New("x264: encoder is closed")
)

// Config says what the encoder makes. Zero values of the last four fields
// choose a default.
type Config struct {
	Width, Height int    // even
	Rate          int    // frames a second, whole
	Bitrate       int    // bit/s; also the VBV's fill rate
	MaxBitrate    int    // that SetBitrate may be given, for the level in the SPS; default Bitrate
	Preset        string // x264's name; default "superfast"
	Threads       int    // slices encoded side by side; default 1
	BufferMS      int    // VBV buffer in ms of Bitrate; default 1000
}

// presets are libx264's names (x264.h, x264_preset_names). placebo is left out:
// nobody runs it live.
var presets = []string{"ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"}

func (c Config) withDefaults() Config {
	if c.Preset == "" {
		c.Preset = "superfast"
	}
	if c.Threads == 0 {
		c.Threads = 1
	}
	if c.MaxBitrate == 0 {
		c.MaxBitrate = c.Bitrate
	}
	if c.BufferMS == 0 {
		c.BufferMS = 1000
	}
	return c
}

func (c Config) check() error {
	switch {
	case c.Width < 16 || c.Height < 16 || c.Width > 4096 || c.Height > 4096 || c.Width%2 != 0 || c.Height%2 != 0:
		return fmt.Errorf("x264: size %dx%d: both must be even and between 16 and 4096", c.Width, c.Height)
	case c.Rate < 1 || c.Rate > 240:
		return fmt.Errorf("x264: rate %d: must be between 1 and 240 frames a second", c.Rate)
	case c.Bitrate < minBitrate || c.Bitrate > maxBitrate:
		return fmt.Errorf("x264: bitrate %d bit/s: must be between %d and %d", c.Bitrate, minBitrate, maxBitrate)
	case c.MaxBitrate > maxBitrate:
		return fmt.Errorf("x264: maximum of %d bit/s: must be at most %d", c.MaxBitrate, maxBitrate)
	case c.Threads < 1 || c.Threads > 64:
		return fmt.Errorf("x264: %d threads: must be between 1 and 64", c.Threads)
	case c.BufferMS < 40 || c.BufferMS > 10000:
		return fmt.Errorf("x264: buffer of %d ms: must be between 40 and 10000", c.BufferMS)
	case !slices.Contains(presets, c.Preset):
		return fmt.Errorf("x264: preset %q: must be one of %v", c.Preset, presets)
	}
	return nil
}

const (
	minBitrate = 20_000
	maxBitrate = 200_000_000
)

// vbv is the rate control of a bitrate, in the kbit that x264 counts in.
func vbv(bitrate, bufferMS int) (rate, buffer int) {
	rate = bitrate / 1000
	return rate, max(rate*bufferMS/1000, 1)
}

// level is the lowest level_idc that holds the picture size, rate and bitrate
// (ITU-T H.264 table A-1; High profile has 1.25 times its MaxBR). It is fixed at
// start, so that the SPS stays the same when the bitrate changes later.
func level(width, height, rate, bitrate int) int {
	size := (width + 15) / 16 * ((height + 15) / 16)
	for _, l := range levels {
		if size <= l.size && size*rate <= l.perSecond && bitrate <= l.bitrate*1250 {
			return l.idc
		}
	}
	return levels[len(levels)-1].idc
}

// levels: macroblocks a second, macroblocks a frame, kbit/s.
var levels = []struct{ idc, perSecond, size, bitrate int }{
	{30, 40500, 1620, 10000},
	{31, 108000, 3600, 14000},
	{32, 216000, 5120, 20000},
	{40, 245760, 8192, 20000},
	{42, 522240, 8704, 50000},
	{50, 589824, 22080, 135000},
	{51, 983040, 36864, 240000},
	{52, 2073600, 36864, 240000},
}

// checkFrame says why the encoder can't take f.
func (c Config) checkFrame(f *media.Frame) error {
	if f.Width != c.Width || f.Height != c.Height {
		return fmt.Errorf("x264: frame of %dx%d for an encoder of %dx%d", f.Width, f.Height, c.Width, c.Height)
	}
	return f.Check()
}
