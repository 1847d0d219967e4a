// Package adts reads and writes the header that frames AAC in MPEG transport
// streams: the audio data transport stream of ISO/IEC 14496-3, 1.A.2.2. Only
// AAC-LC, one raw data block a frame, is taken; tested against ffmpeg's and
// mediacommon's framing.
package adts

import (
	"errors"
	"fmt"
)

// HeaderSize is that of a header without CRC, in bytes.
const HeaderSize = 7

// MaxPayload is the largest raw AAC frame that aac_frame_length can hold.
const MaxPayload = 1<<13 - 1 - HeaderSize

// Errors of Parse that callers tell apart.
var (
	ErrSync        = errors.New("adts: no syncword 0xfff")
	ErrShort       = errors.New("adts: frame is cut short")
	ErrUnsupported = errors.New("adts: not plain AAC-LC")
)

// rates is table 1.18, sampling_frequency_index.
var rates = [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// Config is what an ADTS header says about its AAC-LC frame.
type Config struct {
	SampleRate int // Hz, one of the 13 of table 1.18
	Channels   int // 1 to 6, or 8
}

func (c Config) String() string {
	return fmt.Sprintf("AAC-LC %d Hz, %d channels", c.SampleRate, c.Channels)
}

// rateIndex is the index of the nearest rate, so that a header is always valid.
func (c Config) rateIndex() byte {
	for i, r := range rates {
		if r <= c.SampleRate {
			return byte(i)
		}
	}
	return byte(len(rates) - 1)
}

func (c Config) channelIndex() byte {
	if c.Channels == 8 {
		return 7
	}
	return byte(min(max(c.Channels, 1), 6))
}

// AppendHeader appends the header of a raw AAC-LC frame of payload bytes
// (at most MaxPayload).
func AppendHeader(dst []byte, c Config, payload int) []byte {
	n, ch := payload+HeaderSize, c.channelIndex()
	return append(dst,
		0xff, 0xf1, // syncword, MPEG-4, layer 0, no CRC
		1<<6|c.rateIndex()<<2|ch>>2, // profile 1: AAC-LC
		ch<<6|byte(n>>11),
		byte(n>>3),
		byte(n)<<5|0x1f, // buffer fullness 0x7ff: variable rate
		0xfc)
}

// ParseHeader reads a header: the frame's format, and its size with header, in
// bytes. b needs HeaderSize bytes.
//
//	syncword 12 | ID 1 | layer 2 | protection_absent 1 | profile 2 |
//	sampling_frequency_index 4 | private 1 | channel_configuration 3 |
//	original, home, 2 copyright bits | aac_frame_length 13 |
//	buffer_fullness 11 | number_of_raw_data_blocks - 1: 2
func ParseHeader(b []byte) (c Config, header, size int, err error) {
	if len(b) < HeaderSize {
		return c, 0, 0, fmt.Errorf("%w: %d bytes, a header has %d", ErrShort, len(b), HeaderSize)
	}
	if b[0] != 0xff || b[1]&0xf6 != 0xf0 {
		return c, 0, 0, fmt.Errorf("%w but %02x%02x", ErrSync, b[0], b[1])
	}
	header = HeaderSize
	if b[1]&1 == 0 {
		header += 2 // CRC
	}
	size = int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
	rate, ch := b[2]>>2&0xf, b[2]&1<<2|b[3]>>6
	switch {
	case size <= header:
		return c, 0, 0, fmt.Errorf("%w: frame length %d leaves no payload", ErrShort, size)
	case b[2]>>6 != 1:
		return c, 0, 0, fmt.Errorf("%w: profile %d (0 Main, 2 SSR, 3 LTP), want 1", ErrUnsupported, b[2]>>6)
	case int(rate) >= len(rates):
		return c, 0, 0, fmt.Errorf("%w: reserved sampling frequency index %d", ErrUnsupported, rate)
	case ch == 0:
		return c, 0, 0, fmt.Errorf("%w: channels in a program config element", ErrUnsupported)
	case b[6]&3 != 0:
		return c, 0, 0, fmt.Errorf("%w: %d raw data blocks in a frame, want 1", ErrUnsupported, b[6]&3+1)
	}
	c = Config{SampleRate: rates[rate], Channels: int(ch)}
	if ch == 7 {
		c.Channels = 8
	}
	return c, header, size, nil
}

// Parse cuts the first frame off b: its raw AAC frame, and what follows it.
func Parse(b []byte) (c Config, payload, rest []byte, err error) {
	c, header, size, err := ParseHeader(b)
	if err != nil {
		return c, nil, nil, err
	}
	if len(b) < size {
		return c, nil, nil, fmt.Errorf("%w: %d of %d bytes", ErrShort, len(b), size)
	}
	return c, b[header:size], b[size:], nil
}

// ASC is the AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) that RTMP and MP4
// carry in place of the header: object type 2, rate index, channels, and
// GASpecificConfig 0.
func (c Config) ASC() []byte {
	rate, ch := c.rateIndex(), c.channelIndex()
	return []byte{2<<3 | rate>>1, rate<<7 | ch<<3}
}
