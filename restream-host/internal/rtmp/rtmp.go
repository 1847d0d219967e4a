// Package rtmp takes and makes RTMP publications (Adobe RTMP 1.0; FLV video
// and audio tags) on gortmplib: a server for origins that lets in publishers
// with the right key, and a client that publishes to an origin.
//
// A stream is published as rtmp://host/stream/NAME?key=SECRET. OBS has server
// rtmp://host/stream and stream key NAME?key=SECRET; ffmpeg takes the URL.
//
// The server never trusts a peer: bytes, time and connections before the
// publish command are bounded, a broken message costs its sender the
// connection and nobody else anything. gortmplib's Reader is not used: it holds
// everything back for two seconds to look for tracks.
//
// Tested with ffmpeg 5.1 as publisher, with gortmplib's client, with noise and
// half handshakes.
package rtmp

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/abema/go-mp4"
	"github.com/bluenviron/gortmplib/pkg/message"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"github.com/openvideobox/videobox/internal/h264"
)

// streamID is the message stream that createStream hands out, as gortmplib
// writes it.
const streamID = 0x1000000

// Sizes that no access unit of a stream this system carries comes near.
const (
	maxAccessUnit = 8 << 20
	maxFrame      = 8191 - 7 // what ADTS can frame
)

var (
	errAVCC  = errors.New("video message is not a row of NAL units with 4-byte lengths")
	errVideo = errors.New("only H.264 video is taken (ffmpeg: -c:v libx264; OBS: x264 or another H.264 encoder)")
	errAudio = errors.New("only AAC-LC sound, 48000 Hz, stereo is taken (ffmpeg: -c:a aac -ar 48000 -ac 2; OBS: Settings, Audio, 48 kHz, Stereo)")
)

// annexB turns length-prefixed NAL units (ISO/IEC 14496-15 5.3.3.1.2) into an
// Annex B access unit. Parameter sets in front are put before a keyframe that
// has none, and a delimiter where there is none, as MPEG-TS wants (ISO/IEC
// 13818-1 2.14.1). What has them already is converted in place.
func annexB(avcc, sps, pps []byte, key bool) ([]byte, error) {
	if len(avcc) > maxAccessUnit {
		return nil, fmt.Errorf("access unit of %d bytes: at most %d", len(avcc), maxAccessUnit)
	}
	for pos := 0; pos < len(avcc); {
		if len(avcc)-pos < 5 {
			return nil, errAVCC
		}
		n := int(avcc[pos])<<24 | int(avcc[pos+1])<<16 | int(avcc[pos+2])<<8 | int(avcc[pos+3])
		if n <= 0 || n > len(avcc)-pos-4 {
			return nil, errAVCC
		}
		copy(avcc[pos:], []byte{0, 0, 0, 1})
		pos += 4 + n
	}
	if len(avcc) == 0 {
		return nil, errAVCC
	}
	delimited := h264.HasDelimiter(avcc)
	missing := false
	if key && sps != nil {
		own, _ := h264.ParameterSets(avcc)
		missing = own == nil
	}
	if delimited && !missing {
		return avcc, nil
	}
	return addFront(avcc, sps, pps, delimited, missing), nil
}

// delimiter says that any slice type may follow (H.264 table 7-5, 7).
var delimiter = []byte{0, 0, 0, 1, 9, 0xf0}

func addFront(au, sps, pps []byte, delimited, missing bool) []byte {
	out := make([]byte, 0, len(au)+len(sps)+len(pps)+24)
	if delimited {
		first := h264.Split(nil, au)[0]
		out = h264.Append(out, first)
		au = au[4+len(first):]
	} else {
		out = append(out, delimiter...)
	}
	if missing {
		out = h264.Append(out, sps, pps)
	}
	return append(out, au...)
}

// avcConfig is the decoder configuration record of ISO/IEC 14496-15 5.3.3.1.
func avcConfig(sps, pps []byte) (*mp4.AVCDecoderConfiguration, error) {
	if _, err := h264.ParseSPS(sps); err != nil {
		return nil, err
	}
	return &mp4.AVCDecoderConfiguration{
		AnyTypeBox:                 mp4.AnyTypeBox{Type: mp4.BoxTypeAvcC()},
		ConfigurationVersion:       1,
		Profile:                    sps[1],
		ProfileCompatibility:       sps[2],
		Level:                      sps[3],
		Reserved:                   0x3f,
		LengthSizeMinusOne:         3,
		Reserved2:                  7,
		NumOfSequenceParameterSets: 1,
		SequenceParameterSets:      []mp4.AVCParameterSet{{Length: uint16(len(sps)), NALUnit: sps}},
		NumOfPictureParameterSets:  1,
		PictureParameterSets:       []mp4.AVCParameterSet{{Length: uint16(len(pps)), NALUnit: pps}},
	}, nil
}

func parameterSets(c *mp4.AVCDecoderConfiguration) (sps, pps []byte, err error) {
	switch {
	case c == nil || len(c.SequenceParameterSets) == 0 || len(c.PictureParameterSets) == 0:
		return nil, nil, errors.New("video configuration without SPS and PPS")
	case c.LengthSizeMinusOne != 3:
		return nil, nil, errAVCC
	}
	sps, pps = c.SequenceParameterSets[0].NALUnit, c.PictureParameterSets[0].NALUnit
	if _, err := h264.ParseSPS(sps); err != nil {
		return nil, nil, err
	}
	return bytes.Clone(sps), bytes.Clone(pps), nil
}

func checkAudio(c *mpeg4audio.AudioSpecificConfig) error {
	switch {
	case c == nil:
		return errAudio
	case c.Type != mpeg4audio.ObjectTypeAACLC || c.SampleRate != 48000 || c.ChannelConfig != 2 || c.FrameLengthFlag:
		return fmt.Errorf("AAC of object type %d, %d Hz, %d channels: %w", c.Type, c.SampleRate, c.ChannelConfig, errAudio)
	}
	return nil
}

// composition is FLV's signed 24-bit composition offset in ms, which gortmplib
// reads as unsigned.
func composition(ms int64) int32 { return int32(ms<<8) >> 8 }

func isAVC(c message.FourCC) bool { return c == message.FourCCAVC }
