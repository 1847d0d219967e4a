package v4l2

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/openvideobox/videobox/internal/media"
)

// Pixel formats that can be read, by V4L2's four letters.
const (
	MJPEG = "MJPG"
	YUYV  = "YUYV" // 4:2:2, Y U Y V
	UYVY  = "UYVY" // 4:2:2, U Y V Y
	NV12  = "NV12" // 4:2:0, luma, then U and V in turn
)

// Mode is a size, rate and pixel format of a device.
type Mode struct {
	Width, Height int
	Rate          float64 // frames a second; 0: unknown
	Pixel         string  // as V4L2 writes it: MJPG, YUYV
}

func (m Mode) String() string {
	return fmt.Sprintf("%s %dx%d at %.4g frames a second", m.Pixel, m.Width, m.Height, m.Rate)
}

// Format is what a driver really gives.
type Format struct {
	Mode
	Stride int         // bytes a row, of uncompressed pictures; 0: tight
	Color  media.Color // of uncompressed pictures; MJPEG's is that of JFIF
}

// bytesPerPixel of uncompressed formats; 0: compressed, or not one that can be read.
func bytesPerPixel(pixel string) float64 {
	switch pixel {
	case YUYV, UYVY:
		return 2
	case NV12:
		return 1.5
	}
	return 0
}

// readable says whether frames of this format can be decoded.
func (m Mode) readable() bool {
	return m.Pixel == MJPEG || bytesPerPixel(m.Pixel) > 0
}

// load is what uncompressed frames put on the bus, in bytes a second.
func (m Mode) load() float64 {
	return bytesPerPixel(m.Pixel) * float64(m.Width) * float64(m.Height) * m.Rate
}

// Want is what Choose looks for.
type Want struct {
	Width, Height, Rate int
	// Raw is what the bus carries of uncompressed pictures, in bytes a second.
	Raw float64
	// Pixel is a format to prefer; empty: none.
	Pixel string
}

// What a bus carries of uncompressed pictures. USB 2 moves 24 MB/s at most in
// isochronous transfers; a third is left to the sound and to others. USB 3 moves
// over 300 MB/s, but each byte is copied twice by a small CPU. A card has a bus
// of its own and a larger machine: 1920x1080 at 60 in YUYV is 249 MB/s.
const (
	rawOnUSB2 = 16e6
	rawOnUSB3 = 200e6
	rawOnPCI  = 300e6
)

// Choose picks the mode that serves best, and says why. The rules, of which an
// earlier one always wins over a later one:
//
//  1. Formats that can be read: MJPEG, YUYV, UYVY, NV12.
//  2. Uncompressed ones only as far as the bus carries them.
//  3. At least as large as wanted: scaling down costs less than detail lost.
//  4. Of the wanted aspect: a stick stretches its picture to any size.
//  5. At least as fast as wanted (one percent less is 29.97 for 30).
//  6. The smallest size of those that are large enough, else the largest.
//  7. The preferred format of this model of stick, if there is one.
//  8. A rate that is a multiple of the wanted one, because every frame of the
//     output is then one of the input and motion is even; else the next faster,
//     or if none is fast enough the fastest.
//  9. On a bus with room for it, uncompressed: no decoding, no artefacts; else
//     MJPEG. NV12 before YUYV before UYVY.
//
// Without any readable format the error lists what there is.
func Choose(modes []Mode, want Want) (Mode, string, error) {
	var fit []Mode
	for _, m := range modes {
		if m.readable() && m.load() <= want.Raw {
			fit = append(fit, m)
		}
	}
	if len(fit) == 0 {
		return Mode{}, "", fmt.Errorf("no format that can be read: it has %s; MJPEG, YUYV, UYVY or NV12 would be", formats(modes))
	}
	best := slices.MinFunc(fit, want.compare)
	return best, want.reason(best), nil
}

// rank is a mode's worth by one rule each; smaller is better.
func (w Want) rank(m Mode) [8]float64 {
	no := func(b bool) float64 {
		if b {
			return 0
		}
		return 1
	}
	area := float64(m.Width * m.Height)
	if !w.enough(m) {
		area = -area
	}
	rate := m.Rate
	if !w.fast(m) {
		rate = -rate
	}
	return [8]float64{
		no(w.enough(m)), no(w.shaped(m)), no(w.fast(m)), area,
		no(m.Pixel == w.Pixel), no(w.even(m)), rate, w.coding(m),
	}
}

func (w Want) compare(a, b Mode) int {
	x, y := w.rank(a), w.rank(b)
	return slices.CompareFunc(x[:], y[:], cmp.Compare)
}

func (w Want) enough(m Mode) bool { return m.Width >= w.Width && m.Height >= w.Height }

// shaped: the same aspect, within two percent, as 1366x768 has.
func (w Want) shaped(m Mode) bool {
	a, b := float64(m.Width*w.Height), float64(m.Height*w.Width)
	return math.Abs(a-b) <= 0.02*max(a, b)
}

func (w Want) fast(m Mode) bool { return m.Rate >= 0.99*float64(w.Rate) }

// even: a multiple of the wanted rate, within one in a hundred.
func (w Want) even(m Mode) bool {
	n := m.Rate / float64(max(1, w.Rate))
	return n > 0.9 && math.Abs(n-math.Round(n)) <= 0.01*n
}

func (w Want) coding(m Mode) float64 {
	order := []string{MJPEG, NV12, YUYV, UYVY}
	if w.Raw > rawOnUSB2 {
		order = []string{NV12, YUYV, UYVY, MJPEG}
	}
	return float64(slices.Index(order, m.Pixel))
}

// reason is for people who ask why.
func (w Want) reason(m Mode) string {
	var size, rate string
	switch {
	case m.Width == w.Width && m.Height == w.Height:
		size = "the wanted size"
	case w.enough(m) && w.shaped(m):
		size = "the next larger size of that shape"
	case w.enough(m):
		size = "the next larger size; none has that shape"
	default:
		size = "the largest size; none is large enough"
	}
	switch {
	case w.even(m):
		rate = "at the wanted rate or a multiple of it"
	case w.fast(m):
		rate = "at the next faster rate"
	default:
		rate = "at the fastest rate; none is fast enough"
	}
	switch {
	case m.Pixel == w.Pixel:
		return size + ", " + rate + ", in the format that suits this stick best"
	case m.Pixel != MJPEG:
		return fmt.Sprintf("%s, %s, uncompressed: %.0f of the %.0f MB/s that the bus carries", size, rate, m.load()/1e6, w.Raw/1e6)
	}
	return size + ", " + rate + ", compressed to spare the bus"
}

// formats lists the pixel formats of modes, each once.
func formats(modes []Mode) string {
	if len(modes) == 0 {
		return "none at all"
	}
	var names []string
	for _, m := range modes {
		name := m.Pixel
		if m.readable() {
			name = m.String() // one that the bus doesn't carry
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return fmt.Sprint(names)
}
