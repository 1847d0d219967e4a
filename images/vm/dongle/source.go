package dongle

import (
	"sync"

	"github.com/openvideobox/videobox/internal/codec/jpeg"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/picture"
)

// Source is the machine at the other end of the HDMI cable. Frame and Samples
// may be called at the same time, each by one goroutine.
type Source interface {
	// Frame is frame n of UTC's grid, as the stick's clock has it, coded as m
	// says. The stick keeps it.
	Frame(m Mode, n int64) ([]byte, error)
	// Samples fills dst, interleaved stereo, from the sample of UTC with that
	// number on, as the stick's other clock has it.
	Samples(dst []int16, from int64)
}

// Pattern is the project's test picture, with UTC and the frame's number in it,
// and its beep.
type Pattern struct {
	Name string // shown in the picture

	mu      sync.Mutex
	pattern picture.Pattern
	frame   *media.Frame
}

const jpegQuality = 85

// Frame draws and codes.
func (p *Pattern) Frame(m Mode, n int64) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frame == nil || p.frame.Width != m.Width || p.frame.Height != m.Height {
		p.frame = media.NewFrame(m.Width, m.Height)
	}
	p.pattern.Name = p.Name
	p.pattern.Draw(p.frame, n, m.Rate)
	return encode(p.frame, m.Coding)
}

// noSignal is the picture that a stick makes by itself.
func noSignal(m Mode) ([]byte, error) {
	f := media.NewFrame(m.Width, m.Height)
	picture.Fill(f, 41, 240, 110) // blue, as sticks show
	return encode(f, m.Coding)
}

// encode is what the stick's chip does. It changes the frame's colours.
func encode(f *media.Frame, c Coding) ([]byte, error) {
	if c == YUYV {
		picture.Convert(f, media.Color{Matrix: media.BT601})
		return packYUYV(f), nil
	}
	picture.Convert(f, media.Color{Matrix: media.BT601, Full: true})
	return jpeg.Encode(nil, f, jpegQuality)
}

// Samples is a beep each second.
func (p *Pattern) Samples(dst []int16, from int64) {
	picture.Beep(dst, from)
	withoutNoise(dst)
}

// withoutNoise makes what lies between the beeps digital silence, as an HDMI
// source without sound sends it: coding noise costs a machine without KVM, whose
// floating point is emulated, half a core.
func withoutNoise(samples []int16) {
	for i, v := range samples {
		if v >= -1 && v <= 1 {
			samples[i] = 0
		}
	}
}

// packYUYV takes 4:2:0 to packed 4:2:2.
func packYUYV(f *media.Frame) []byte {
	b := make([]byte, 0, 2*f.Width*f.Height)
	for y := range f.Height {
		luma, chroma := f.Y[y*f.YStride:], y/2*f.CStride
		for x := 0; x < f.Width; x += 2 {
			b = append(b, luma[x], f.U[chroma+x/2], luma[x+1], f.V[chroma+x/2])
		}
	}
	return b
}
