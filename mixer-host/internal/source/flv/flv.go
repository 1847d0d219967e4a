// Package flv writes access units into the pipe of a decoding ffmpeg (Adobe
// Flash Video File Format 10.1, annex E; AVC by ISO/IEC 14496-15).
//
// It is FLV and not MPEG-TS because ffmpeg hands a TS picture to the decoder
// only when the next one has begun, a frame later: PES and byte stream have no
// end of their own. An FLV tag has. Measured with ffmpeg 5.1 at 25 frames a
// second: 48 ms from tag to decoded frame, 88 ms with TS.
package flv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/openvideobox/videobox/internal/h264"
)

// Tag types and the first bytes of their bodies.
const (
	tagAudio = 8
	tagVideo = 9

	videoKey   = 0x17 // key picture, AVC
	videoInter = 0x27
	audioAAC   = 0xAF // AAC; rate and channels are in its configuration

	configuration = 0
	payload       = 1
)

// maxTag is what a tag's 24-bit size can say.
const maxTag = 1<<24 - 1

// Writer writes one stream; each tag is one Write. It is for one goroutine.
type Writer struct {
	w    io.Writer
	buf  []byte
	nals [][]byte
}

// NewWriter writes to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Header starts the stream: the parameter sets of the pictures, and the
// AudioSpecificConfig of the sound, nil when there is none.
func (w *Writer) Header(sps, pps, asc []byte) error {
	if len(sps) < 4 || len(sps) > 0xffff || len(pps) == 0 || len(pps) > 0xffff {
		return fmt.Errorf("flv: parameter sets of %d and %d bytes", len(sps), len(pps))
	}
	flags := byte(1)
	if asc != nil {
		flags |= 4
	}
	w.buf = append(w.buf[:0], 'F', 'L', 'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0)
	w.begin(tagVideo, 0)
	w.buf = append(w.buf, videoKey, configuration, 0, 0, 0)
	// AVCDecoderConfigurationRecord, ISO/IEC 14496-15 5.3.3.1: lengths of 4 bytes.
	w.buf = append(w.buf, 1, sps[1], sps[2], sps[3], 0xff, 0xe1)
	w.buf = append(binary.BigEndian.AppendUint16(w.buf, uint16(len(sps))), sps...)
	w.buf = append(w.buf, 1)
	w.buf = append(binary.BigEndian.AppendUint16(w.buf, uint16(len(pps))), pps...)
	w.end(13)
	if asc != nil {
		at := len(w.buf)
		w.begin(tagAudio, 0)
		w.buf = append(w.buf, audioAAC, configuration)
		w.buf = append(w.buf, asc...)
		w.end(at)
	}
	return w.flush()
}

// Video writes an Annex B access unit that is decoded at dts and shown at pts
// milliseconds. Delimiters, SEI and filler are left out. Parameter sets stay: a
// stream may have more of them than the header.
func (w *Writer) Video(dts, pts int64, key bool, au []byte) error {
	first, offset := byte(videoInter), pts-dts
	if key {
		first = videoKey
	}
	if offset < -1<<23 || offset >= 1<<23 {
		return fmt.Errorf("flv: picture shown %d ms after it is decoded", offset)
	}
	w.buf = w.buf[:0]
	w.begin(tagVideo, dts)
	w.buf = append(w.buf, first, payload, byte(offset>>16), byte(offset>>8), byte(offset))
	w.nals = h264.Split(w.nals[:0], au)
	slices := 0
	for _, n := range w.nals {
		if len(n) == 0 || !wanted(n[0]&0x1f) {
			continue
		}
		if n[0]&0x1f <= lastSlice {
			slices++
		}
		w.buf = append(binary.BigEndian.AppendUint32(w.buf, uint32(len(n))), n...)
	}
	if slices == 0 {
		return errors.New("flv: access unit without a slice")
	}
	if w.size(0) > maxTag {
		return fmt.Errorf("flv: access unit of %d bytes, at most %d", len(au), maxTag)
	}
	w.end(0)
	return w.flush()
}

// NAL unit types, ITU-T H.264 table 7-1: 1 to 5 are slices and their partitions.
const (
	lastSlice = 5
	typeSPS   = 7
	typePPS   = 8
)

func wanted(kind byte) bool {
	return kind >= 1 && kind <= lastSlice || kind == typeSPS || kind == typePPS
}

// Audio writes a raw AAC frame at pts milliseconds.
func (w *Writer) Audio(pts int64, frame []byte) error {
	w.buf = w.buf[:0]
	w.begin(tagAudio, pts)
	w.buf = append(append(w.buf, audioAAC, payload), frame...)
	if w.size(0) > maxTag {
		return fmt.Errorf("flv: AAC frame of %d bytes, at most %d", len(frame), maxTag)
	}
	w.end(0)
	return w.flush()
}

const tagHeader = 11

// begin starts a tag; its size is put in by end.
func (w *Writer) begin(kind byte, ms int64) {
	w.buf = append(w.buf, kind, 0, 0, 0, byte(ms>>16), byte(ms>>8), byte(ms), byte(ms>>24), 0, 0, 0)
}

func (w *Writer) size(at int) int { return len(w.buf) - at - tagHeader }

// end finishes the tag that begins at byte at of the buffer.
func (w *Writer) end(at int) {
	n := w.size(at)
	w.buf[at+1], w.buf[at+2], w.buf[at+3] = byte(n>>16), byte(n>>8), byte(n)
	w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(n+tagHeader))
}

func (w *Writer) flush() error {
	_, err := w.w.Write(w.buf)
	return err
}
