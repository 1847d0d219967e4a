package dongle

// Profile is what the stick says it is; every descriptor is made from it.
type Profile struct {
	Vendor, Product     uint16
	Maker, Name, Serial string
	Video               []Format // at least one
	AudioRate           int      // 16 bits, stereo; 0: a stick without sound
	SoundEarly          int      // ms by which the sound is ahead of the picture
	Status              bool     // has the HID interface that tells about the input
}

// Coding is how frames are coded.
type Coding int

// The two that UVC sticks have.
const (
	MJPEG Coding = iota
	YUYV
)

func (c Coding) String() string {
	if c == YUYV {
		return "YUYV"
	}
	return "MJPEG"
}

// Format is a coding and the sizes it comes in.
type Format struct {
	Coding Coding
	Sizes  []Size
}

// Size is a picture size with its rates, frames a second; the first is the
// default.
type Size struct {
	Width, Height int
	Rates         []int
}

// Mode is what the guest has agreed to.
type Mode struct {
	Coding        Coding
	Width, Height int
	Rate          int
}

// only is the profile of a stick that offers one size, in all its codings; ok is
// false if it has no such size.
func (p *Profile) only(width, height int) (*Profile, bool) {
	q := *p
	q.Video = nil
	for _, f := range p.Video {
		for _, s := range f.Sizes {
			if s.Width == width && s.Height == height {
				q.Video = append(q.Video, Format{f.Coding, []Size{s}})
			}
		}
	}
	return &q, len(q.Video) > 0
}

// frameBytes is the most that one frame takes.
func (m Mode) frameBytes() int { return m.Width * m.Height * 2 }

// intervalOf is UVC's way to say a rate: 100 ns units a frame.
func intervalOf(rate int) int { return 10_000_000 / rate }

// mode looks up a format and a size by their descriptors' numbers, which start
// at one, and the rate nearest to an interval; 0 is the default. ok is false
// where the stick has no such format or size.
func (p *Profile) mode(format, size, interval int) (m Mode, ok bool) {
	if format < 1 || format > len(p.Video) || size < 1 || size > len(p.Video[format-1].Sizes) {
		return m, false
	}
	s := p.Video[format-1].Sizes[size-1]
	m = Mode{p.Video[format-1].Coding, s.Width, s.Height, s.Rates[0]}
	for _, r := range s.Rates {
		if interval != 0 && abs(intervalOf(r)-interval) < abs(intervalOf(m.Rate)-interval) {
			m.Rate = r
		}
	}
	return m, true
}

func abs(n int) int { return max(n, -n) }

// MS2131 has the ids and some of the modes of MacroSilicon's MS2131, the stick
// that a videobox is built with, and small ones for slow guests.
var MS2131 = Profile{
	Vendor: 0x345f, Product: 0x2131,
	Maker: "MACROSILICON", Name: "USB3.0 Video", Serial: "0001",
	Video: []Format{
		{MJPEG, []Size{
			{1280, 720, []int{30, 60, 50, 25, 15, 10}},
			{1920, 1080, []int{30, 60, 50, 25, 15, 5}},
			{640, 480, []int{30, 60, 15, 5}},
			{320, 180, []int{30, 25, 15, 10, 5, 1}},
		}},
		{YUYV, []Size{
			{640, 480, []int{30, 15, 5}},
			{320, 180, []int{30, 15, 10, 5}},
			{1280, 720, []int{10, 5}},
		}},
	},
	AudioRate: 48000, SoundEarly: 64, // as hardware/sticks.yaml says of the MS2131
	Status: true,
}
