package hls

import (
	"fmt"

	"github.com/openvideobox/videobox/internal/h264"
)

// Variant is one rendition in a multivariant playlist (RFC 8216 4.3.4.2).
type Variant struct {
	Name          string // "main", "480": its folder
	Bandwidth     int    // bit/s, the most a segment needs
	Average       int    // bit/s
	Width, Height int
	Rate          float64 // frames a second
	Codecs        string  // RFC 6381
}

// AppendMultivariant appends the multivariant playlist as text.
func AppendMultivariant(b []byte, variants []Variant) []byte {
	b = append(b, "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n"...)
	for _, v := range variants {
		b = fmt.Appendf(b, "#EXT-X-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,RESOLUTION=%dx%d,FRAME-RATE=%.3f,CODECS=%q\n%s/index.m3u8\n",
			v.Bandwidth, v.Average, v.Width, v.Height, v.Rate, v.Codecs, v.Name)
	}
	return b
}

// Codecs names the two tracks as RFC 6381 does: avc1.PPCCLL of the SPS, and
// the audio object type.
func Codecs(profile, constraints, level byte) string {
	return fmt.Sprintf("avc1.%02x%02x%02x,mp4a.40.2", profile, constraints, level)
}

// usualCodecs is what x264 at High profile will say of a picture of this size
// before one has been seen.
func usualCodecs(width, height, rate int) string {
	level := byte(52)
	blocks := (width + 15) / 16 * ((height + 15) / 16)
	for _, l := range []struct {
		level  byte
		blocks int // MaxFS, table A-1
		rate   int // MaxMBPS
	}{{30, 1620, 40500}, {31, 3600, 108000}, {32, 5120, 216000}, {40, 8192, 245760}, {42, 8704, 522240}, {51, 36864, 983040}} {
		if blocks <= l.blocks && blocks*rate <= l.rate {
			level = l.level
			break
		}
	}
	return Codecs(100, 0, level)
}

// Shape is what a rendition is configured to be; it is announced until the
// first keyframe tells.
type Shape struct {
	Width, Height, Rate int
	Bitrate             int // bit/s, video and audio together
}

// format is what the stream itself says.
type format struct {
	sps           []byte
	width, height int
	codecs        string
}

// read takes the format from a keyframe when it has changed.
func (f *format) read(au []byte) {
	sps, _ := h264.ParameterSets(au)
	if sps == nil || string(sps) == string(f.sps) {
		return
	}
	s, err := h264.ParseSPS(sps)
	if err != nil {
		return
	}
	*f = format{append([]byte(nil), sps...), s.Width, s.Height, Codecs(s.Profile, s.Constraints, s.Level)}
}
