// Package openh264 decodes H.264 keyframes with libopenh264: an IDR access unit
// with its parameter sets in, an I420 frame out. It is for stills and previews,
// not for whole streams.
//
// Input is Annex B (ITU-T H.264 annex B). Only SPS, PPS and IDR slices reach the
// library; SEI, delimiters and what is unknown is left out. Colour description
// is not read from the VUI: frames are marked BT.709 limited, as everything here
// sends it.
//
// It needs cgo; without it New returns ErrNoCgo. Tested with openh264 2.3.1
// (Debian 12) on x264's streams, and fuzzed with damaged ones.
package openh264

import (
	"bytes"
	"errors"
	"fmt"
)

// Errors that callers branch on.
var (
	ErrNoCgo       = errors.New("openh264: built without cgo: build with CGO_ENABLED=1 and libopenh264-dev")
	ErrClosed      = errors.New("openh264: decoder is closed")
	ErrNotKeyframe = errors.New("openh264: access unit is no keyframe")
)

// maxAccessUnit bounds what is given to the library: a 4K intra picture at the
// highest level is smaller (ITU-T H.264 A.3.1, MinCR 2).
const maxAccessUnit = 8 << 20

// NAL unit types (ITU-T H.264 table 7-1).
const (
	nalSlice = 1
	nalIDR   = 5
	nalSPS   = 7
	nalPPS   = 8
)

// keyframe appends the NAL units of au that a keyframe's decoding needs to dst.
func keyframe(dst, au []byte) ([]byte, error) {
	if len(au) > maxAccessUnit {
		return dst, fmt.Errorf("openh264: access unit of %d bytes: at most %d", len(au), maxAccessUnit)
	}
	var seen [32]bool
	for rest := au; ; {
		var nal []byte
		if nal, rest = next(rest); nal == nil {
			break
		}
		kind := nal[0] & 0x1f
		seen[kind] = true
		if kind == nalSPS || kind == nalPPS || kind == nalIDR {
			dst = append(dst, 0, 0, 0, 1)
			dst = append(dst, nal...)
		}
	}
	switch {
	case !seen[nalIDR] && seen[nalSlice]:
		return dst, fmt.Errorf("%w: it has slices of type 1 only", ErrNotKeyframe)
	case !seen[nalIDR]:
		return dst, fmt.Errorf("%w: no slice in %d bytes of Annex B", ErrNotKeyframe, len(au))
	case !seen[nalSPS] || !seen[nalPPS]:
		return dst, errors.New("openh264: keyframe without SPS and PPS: both must be in the access unit")
	}
	return dst, nil
}

var startCode = []byte{0, 0, 1}

// next is the first NAL unit behind a start code in b, and what follows it.
func next(b []byte) (nal, rest []byte) {
	for {
		i := bytes.Index(b, startCode)
		if i < 0 {
			return nil, nil
		}
		b = b[i+len(startCode):]
		end := bytes.Index(b, startCode)
		if end < 0 {
			end = len(b)
		}
		if nal = bytes.TrimRight(b[:end], "\x00"); len(nal) > 0 {
			return nal, b[end:]
		}
		b = b[end:]
	}
}
