package screen

import (
	"image"
	"image/color"
	"time"
)

// Level is how bad something is.
type Level int

// Levels, from good to bad.
const (
	Good Level = iota
	Unknown
	Warning
	Bad
)

// Line is a piece of state in words.
type Line struct {
	Text  string
	Level Level
}

// State is what is drawn. An empty text leaves its place empty.
type State struct {
	Room, Role string // "" while the box has none
	Name       string
	IPv4, IPv6 string
	Link       Line   // rate of the network's link, or that it is down
	Waiting    string // what it waits for, while there is no address
	Page       string // URL of the box's page, for the QR code; "": none

	Time  time.Time
	Clock Line // in sync, or why not

	Picture   image.Image // newest keyframe; nil: none. What it shows never changes
	NoPicture string      // why there is none

	Signal    Line
	Stream    Line // bit rate, readers
	Recording Line
	Peaks     []float64 // dBFS, a meter each; none: no sound is known
	Held      []float64 // highest of the last seconds, as many as Peaks or none

	Temperature Line
	Version     string
	Update      Line

	Alarms []Line // what is wrong, with the cause, worst first
}

var (
	back     = color.RGBA{0x10, 0x13, 0x18, 0xff}
	card     = color.RGBA{0x22, 0x28, 0x31, 0xff}
	text     = color.RGBA{0xf2, 0xf4, 0xf8, 0xff}
	dim      = color.RGBA{0xb0, 0xba, 0xc8, 0xff}
	good     = color.RGBA{0x4c, 0xc2, 0x7c, 0xff}
	warning  = color.RGBA{0xff, 0xb0, 0x3a, 0xff}
	bad      = color.RGBA{0xff, 0x5c, 0x5c, 0xff}
	alarm    = color.RGBA{0xc6, 0x1f, 0x1f, 0xff} // behind white text
	darkGood = color.RGBA{0x1d, 0x4d, 0x33, 0xff}
)

// color is a line's own; what is good needs none.
func (l Level) color() color.Color {
	switch l {
	case Good:
		return text
	case Warning:
		return warning
	case Bad:
		return bad
	}
	return dim
}

// light is the colour of the dot before a line.
func (l Level) light() color.Color {
	if l == Good {
		return good
	}
	return l.color()
}
