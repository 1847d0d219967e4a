package v4l2

import "fmt"

// Timings are those of a digital video signal: struct v4l2_bt_timings of
// include/uapi/linux/videodev2.h.
type Timings struct {
	Width, Height int // of the picture, both fields of an interlaced one
	Interlaced    bool
	PixelClock    int64 // Hz
	// Front porch, sync and back porch, in pixels and lines; Field2 is the second
	// field's of an interlaced signal.
	Horizontal, Vertical, Field2 [3]uint32
	Polarities, Standards, Flags uint32
	Aspect                       [2]uint32
	VIC, HDMIVIC                 uint8
}

const reducedFPS = 1 << 2 // V4L2_DV_FL_REDUCED_FPS: 1000/1001 of the rate

// Rate is in pictures a second, fields of an interlaced signal; 0: unknown.
func (t Timings) Rate() float64 {
	wide, high := int64(t.Width), int64(t.Height)
	for i := range 3 {
		wide, high = wide+int64(t.Horizontal[i]), high+int64(t.Vertical[i])+int64(t.Field2[i])
	}
	if wide*high <= 0 {
		return 0
	}
	rate := float64(t.PixelClock) / float64(wide*high)
	if t.Interlaced {
		rate *= 2
	}
	if t.Flags&reducedFPS != 0 {
		rate *= 1000.0 / 1001
	}
	return rate
}

func (t Timings) String() string {
	scan := ""
	if t.Interlaced {
		scan = " interlaced"
	}
	return fmt.Sprintf("%dx%d%s at %.4g Hz", t.Width, t.Height, scan, t.Rate())
}

// same says whether pictures look the same; a receiver measures the clock with
// an error, and 59.94 for 60 is no reason to begin anew.
func (t Timings) same(u Timings) bool {
	apart := t.Rate() - u.Rate()
	return t.Width == u.Width && t.Height == u.Height && t.Interlaced == u.Interlaced && apart < 0.5 && apart > -0.5
}
