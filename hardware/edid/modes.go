package edid

import "fmt"

// Mode is a size and rate.
type Mode struct {
	Width, Height int
	Interlaced    bool
	Rate          float64 // pictures a second, fields of an interlaced one
}

func (m Mode) String() string {
	scan := ""
	if m.Interlaced {
		scan = " interlaced"
	}
	return fmt.Sprintf("%dx%d%s at %.4g Hz", m.Width, m.Height, scan, m.Rate)
}

// timing is a video format of CTA-861-G, section 4 and table 3.
type timing struct {
	name       string
	vic        uint8 // its video identification code
	width      int
	height     int
	rate       int
	clock      int // kHz
	horizontal [3]int
	vertical   [3]int // front porch, sync, whole blanking; both syncs are positive
}

var timings = []timing{
	{"1080p60", 16, 1920, 1080, 60, 148500, [3]int{88, 44, 280}, [3]int{4, 5, 45}},
	{"1080p50", 31, 1920, 1080, 50, 148500, [3]int{528, 44, 720}, [3]int{4, 5, 45}},
	{"1080p30", 34, 1920, 1080, 30, 74250, [3]int{88, 44, 280}, [3]int{4, 5, 45}},
	{"1080p25", 33, 1920, 1080, 25, 74250, [3]int{528, 44, 720}, [3]int{4, 5, 45}},
	{"720p60", 4, 1280, 720, 60, 74250, [3]int{110, 40, 370}, [3]int{5, 5, 30}},
	{"720p50", 19, 1280, 720, 50, 74250, [3]int{440, 40, 700}, [3]int{5, 5, 30}},
}

// vga is the mode that every HDMI sink has to take, VIC 1.
const vga = 1

func modeNamed(name string) (timing, bool) {
	for _, t := range timings {
		if t.name == name {
			return t, true
		}
	}
	return timing{}, false
}

func modeNames() (names []string) {
	for _, t := range timings {
		names = append(names, t.name)
	}
	return names
}

// ofVIC is the mode of a code, if it is one of timings'.
func ofVIC(vic uint8) (Mode, bool) {
	if vic == vga {
		return Mode{Width: 640, Height: 480, Rate: 60}, true
	}
	for _, t := range timings {
		if t.vic == vic {
			return Mode{Width: t.width, Height: t.height, Rate: float64(t.rate)}, true
		}
	}
	return Mode{}, false
}
