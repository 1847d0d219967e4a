// Package media holds what travels between capture, encoders, muxers and
// readers: encoded units, raw frames, samples, and the time bases they share.
//
// Two clocks appear in it. Program time is UTC in nanoseconds since 1970.
// Ticks are the same instant at 90 kHz, unwrapped, as MPEG-2 systems count it
// (ISO/IEC 13818-1 2.4.3.6); only the wire carries them modulo 2^33.
package media

import "fmt"

// TicksPerSecond is the rate of PTS and DTS (ISO/IEC 13818-1 2.4.3.6).
const TicksPerSecond = 90000

// Sound is fixed everywhere: 48 kHz stereo in AAC-LC frames of 1024 samples.
const (
	SampleRate          = 48000
	Channels            = 2
	SamplesPerAAC       = 1024
	TicksPerAAC         = SamplesPerAAC * TicksPerSecond / SampleRate // 1920
	wireMask      int64 = 1<<33 - 1
)

// Track says which elementary stream a unit belongs to.
type Track uint8

// The two tracks of a program.
const (
	Video Track = iota
	Audio
)

func (t Track) String() string {
	if t == Audio {
		return "audio"
	}
	return "video"
}

// Unit is one access unit: an H.264 picture in Annex B, or a raw AAC frame
// without its ADTS header.
type Unit struct {
	Track    Track
	PTS, DTS int64 // ticks; 33-bit where it came from the wire
	Key      bool  // an IDR picture; false for audio
	Data     []byte
}

// Matrix is the luma matrix of a frame (ITU-T H.264 table E-5).
type Matrix uint8

// Known matrices. The zero value is BT.709, which everything here sends.
const (
	BT709 Matrix = iota
	BT601
)

// Color says how a frame's samples map to light.
type Color struct {
	Matrix Matrix
	Full   bool // full range 0..255, else limited 16..235
}

// Frame is a raw picture, 8 bit, 4:2:0 planar. Width and height are even.
type Frame struct {
	Width, Height    int
	Y, U, V          []byte
	YStride, CStride int // bytes a row; CStride is that of U and of V
	Color            Color
	Time             int64 // capture time, UTC ns; 0 when nothing live is in it
}

// NewFrame allocates a black frame with tight strides.
func NewFrame(width, height int) *Frame {
	f := &Frame{}
	f.Reset(width, height)
	f.Black()
	return f
}

// Reset gives f the size, reusing its buffers where they are large enough.
// What the planes hold afterwards is undefined.
func (f *Frame) Reset(width, height int) {
	luma, chroma := width*height, width/2*(height/2)
	if cap(f.Y) < luma || cap(f.U) < chroma || cap(f.V) < chroma {
		buf := make([]byte, luma+2*chroma)
		f.Y = buf[:luma:luma]
		f.U = buf[luma : luma+chroma : luma+chroma]
		f.V = buf[luma+chroma:]
	}
	f.Y, f.U, f.V = f.Y[:luma], f.U[:chroma], f.V[:chroma]
	f.Width, f.Height, f.YStride, f.CStride = width, height, width, width/2
}

// Black fills the frame with limited-range black.
func (f *Frame) Black() {
	fill(f.Y, 16)
	fill(f.U, 128)
	fill(f.V, 128)
}

func fill(b []byte, v byte) {
	if len(b) == 0 {
		return
	}
	b[0] = v
	for n := 1; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}

// Check says what is wrong with the frame's shape, or nil.
func (f *Frame) Check() error {
	switch {
	case f.Width <= 0 || f.Height <= 0 || f.Width%2 != 0 || f.Height%2 != 0:
		return fmt.Errorf("frame of %dx%d: width and height must be positive and even", f.Width, f.Height)
	case f.YStride < f.Width || f.CStride < f.Width/2:
		return fmt.Errorf("frame of %dx%d: strides %d and %d are shorter than a row", f.Width, f.Height, f.YStride, f.CStride)
	case len(f.Y) < f.YStride*(f.Height-1)+f.Width,
		len(f.U) < f.CStride*(f.Height/2-1)+f.Width/2,
		len(f.V) < f.CStride*(f.Height/2-1)+f.Width/2:
		return fmt.Errorf("frame of %dx%d: planes of %d, %d, %d bytes are too short", f.Width, f.Height, len(f.Y), len(f.U), len(f.V))
	}
	return nil
}

// Samples is a run of interleaved S16 sound.
type Samples struct {
	Time     int64 // UTC ns of the first sample
	Rate     int   // samples a second and channel
	Channels int
	Data     []int16
}

// Len is the number of samples a channel.
func (s Samples) Len() int {
	if s.Channels == 0 {
		return 0
	}
	return len(s.Data) / s.Channels
}
