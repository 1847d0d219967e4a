// Package screen draws a box's state: what is sent, who the box is, and what is
// wrong, so that somebody who stands before it need not ask. It is pure: state
// in, picture out; where the picture goes is others' business.
//
// The layout is made for 320x240 and scaled to other sizes, with a border where
// the shape differs. Tested by golden pictures, which were looked at.
package screen

import (
	"image"
	"image/color"
	"math"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/fogleman/gg"
	"golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
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

// State is what is drawn.
type State struct {
	Room, Role string // "" while the box has none
	Name       string
	Addresses  []string // the first two are shown
	Waiting    string   // what it waits for, while there is no address
	Time       time.Time
	InSync     bool

	Picture   image.Image // newest keyframe; nil: none
	NoPicture string      // why there is none

	Signal    Line
	Stream    Line
	Recording Line
	Peaks     []float64 // dBFS, a meter each; none: no sound is known
	Held      []float64 // highest of the last seconds, as many as Peaks or none

	Alarm Line // the worst there is, with its cause; Good: none
}

// The size that the layout is made for.
const (
	Width  = 320
	Height = 240
)

var (
	back     = color.RGBA{0x10, 0x13, 0x18, 0xff}
	card     = color.RGBA{0x22, 0x28, 0x31, 0xff}
	text     = color.RGBA{0xf2, 0xf4, 0xf8, 0xff}
	dim      = color.RGBA{0xa6, 0xb0, 0xbe, 0xff}
	good     = color.RGBA{0x4c, 0xc2, 0x7c, 0xff}
	warning  = color.RGBA{0xff, 0xb0, 0x3a, 0xff}
	bad      = color.RGBA{0xe5, 0x3b, 0x3b, 0xff}
	darkGood = color.RGBA{0x1d, 0x4d, 0x33, 0xff}
)

func (l Level) color() color.Color {
	switch l {
	case Good:
		return good
	case Warning:
		return warning
	case Bad:
		return bad
	}
	return dim
}

// Draw draws the state at a size of at least 160x120.
func Draw(width, height int, s State) *image.RGBA {
	c := gg.NewContext(width, height)
	c.SetColor(back)
	c.Clear()
	scale := math.Min(float64(width)/Width, float64(height)/Height)
	d := &drawing{Context: c, scale: scale, left: (float64(width) - Width*scale) / 2, top: (float64(height) - Height*scale) / 2}
	d.head(s)
	d.picture(s)
	d.meters(s)
	d.side(s)
	d.lines(s)
	d.alarm(s)
	return c.Image().(*image.RGBA)
}

// drawing places things by the layout's coordinates.
type drawing struct {
	*gg.Context
	scale, left, top float64
}

var fonts = sync.OnceValue(func() (f struct{ regular, bold *opentype.Font }) {
	var err error
	if f.regular, err = opentype.Parse(goregular.TTF); err == nil {
		f.bold, err = opentype.Parse(gobold.TTF)
	}
	if err != nil {
		panic(err) // the fonts are part of the program
	}
	return f
})

// font sets the font at a height in the layout's pixels.
func (d *drawing) font(px float64, bold bool) {
	f := fonts().regular
	if bold {
		f = fonts().bold
	}
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: px * d.scale, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		panic(err) // only a font without tables fails
	}
	d.SetFontFace(face)
}

func (d *drawing) box(x, y, w, h float64, c color.Color) {
	d.SetColor(c)
	d.DrawRectangle(d.left+x*d.scale, d.top+y*d.scale, w*d.scale, h*d.scale)
	d.Fill()
}

// text draws one line with its baseline at y, shortened to fit into w.
func (d *drawing) text(s string, x, y, w float64, c color.Color) {
	d.SetColor(c)
	d.DrawString(d.fit(s, w*d.scale), d.left+x*d.scale, d.top+y*d.scale)
}

func (d *drawing) right(s string, x, y float64, c color.Color) {
	w, _ := d.MeasureString(s)
	d.SetColor(c)
	d.DrawString(s, d.left+x*d.scale-w, d.top+y*d.scale)
}

// fit cuts a text off where it gets too wide.
func (d *drawing) fit(s string, width float64) string {
	if w, _ := d.MeasureString(s); w <= width {
		return s
	}
	r := []rune(s)
	for len(r) > 0 {
		r = r[:len(r)-1]
		cut := strings.TrimRight(string(r), " ") + "…"
		if w, _ := d.MeasureString(cut); w <= width {
			return cut
		}
	}
	return ""
}

// head is room and role, large, then name and clock.
func (d *drawing) head(s State) {
	room := s.Room
	if room == "" {
		room = "no room yet"
	}
	d.font(26, true)
	d.text(room, 6, 26, 170, text)
	w, _ := d.MeasureString(d.fit(room, 170*d.scale))
	if s.Role != "" {
		d.font(18, false)
		d.text(s.Role, 12+w/d.scale, 26, 230-w/d.scale, dim)
	}
	d.font(16, true)
	c := color.Color(text)
	if !s.InSync {
		c = warning
	}
	d.right(s.Time.UTC().Format("15:04:05"), 314, 18, c)
	d.font(10, false)
	sync := "UTC"
	if !s.InSync {
		sync = "not in sync"
	}
	d.right(sync, 314, 31, dim)
}

// picture is what the stream's newest keyframe shows.
func (d *drawing) picture(s State) {
	const x, y, w, h = 6, 38, 208, 117
	d.box(x, y, w, h, color.Black)
	if s.Picture == nil {
		d.font(13, true)
		d.SetColor(warning)
		why := s.NoPicture
		if why == "" {
			why = "no picture"
		}
		d.DrawStringWrapped(why, d.left+(x+w/2)*d.scale, d.top+(y+h/2)*d.scale, 0.5, 0.5, (w-20)*d.scale, 1.3, gg.AlignCenter)
		return
	}
	b := s.Picture.Bounds()
	f := math.Min(w*d.scale/float64(b.Dx()), h*d.scale/float64(b.Dy()))
	pw, ph := int(float64(b.Dx())*f), int(float64(b.Dy())*f)
	px := int(d.left + x*d.scale + (w*d.scale-float64(pw))/2)
	py := int(d.top + y*d.scale + (h*d.scale-float64(ph))/2)
	draw.ApproxBiLinear.Scale(d.Image().(*image.RGBA), image.Rect(px, py, px+pw, py+ph), s.Picture, b, draw.Src, nil)
}

// The meters' scale, and the band in which speech should be: FOSDEM's, in dBFS.
const (
	floorDB, quietDB, loudDB = -60.0, -30.0, -14.0
	meterTop, meterHeight    = 38.0, 117.0
)

func meterY(db float64) float64 {
	return meterTop + meterHeight*math.Min(1, math.Max(0, db/floorDB))
}

func (d *drawing) meters(s State) {
	n := max(len(s.Peaks), 1)
	w := 20.0 / float64(n)
	for i := range n {
		x := 220 + float64(i)*w
		d.box(x, meterTop, w-1, meterHeight, card)
		d.box(x, meterY(loudDB), w-1, meterY(quietDB)-meterY(loudDB), darkGood)
		if i >= len(s.Peaks) {
			continue
		}
		y := meterY(s.Peaks[i])
		d.box(x, y, w-1, meterTop+meterHeight-y, soundColor(s.Peaks[i]))
		if i < len(s.Held) && s.Held[i] > floorDB {
			d.box(x, meterY(s.Held[i]), w-1, 2, text)
		}
	}
}

func soundColor(db float64) color.Color {
	switch {
	case db > loudDB:
		return bad
	case db >= quietDB:
		return good
	}
	return warning
}

// side is who the box is: name and addresses beside the picture.
func (d *drawing) side(s State) {
	const x, w = 246, 70
	y := 51.0
	write := func(s string, height float64, c color.Color) {
		d.SetColor(c)
		for _, part := range d.wrap(s, w) {
			d.DrawString(part, d.left+x*d.scale, d.top+y*d.scale)
			y += height
		}
		y += 4
	}
	d.font(15, true)
	if full, _ := d.MeasureString(s.Name); full > w*d.scale {
		d.font(12, true)
	}
	write(s.Name, 14, text)
	d.font(10.5, false)
	lines := s.Addresses
	if len(lines) == 0 {
		lines = []string{s.Waiting}
	}
	for _, l := range lines[:min(len(lines), 2)] {
		write(l, 13, dim)
	}
}

// wrap breaks a text at spaces, and where a word is too long, as addresses
// are, anywhere: into at most four lines.
func (d *drawing) wrap(s string, width float64) (parts []string) {
	for _, line := range d.WordWrap(s, width*d.scale) {
		for line != "" && len(parts) < 4 {
			n := len(line)
			for w, _ := d.MeasureString(line[:n]); w > width*d.scale && n > utf8.UTFMax; w, _ = d.MeasureString(line[:n]) {
				for n--; !utf8.RuneStart(line[n]); n-- {
				}
			}
			parts, line = append(parts, line[:n]), line[n:]
		}
	}
	return parts
}

// lines are signal, stream and recording.
func (d *drawing) lines(s State) {
	for i, l := range []struct {
		label string
		Line
	}{{"signal", s.Signal}, {"stream", s.Stream}, {"rec", s.Recording}} {
		y := 171 + float64(i)*17
		d.SetColor(l.Level.color())
		d.DrawCircle(d.left+11*d.scale, d.top+(y-4.5)*d.scale, 4.5*d.scale)
		d.Fill()
		d.font(13, false)
		d.text(l.label, 21, y, 45, dim)
		c := color.Color(text)
		if l.Level >= Warning {
			c = l.Level.color()
		}
		d.font(13, l.Level >= Warning)
		d.text(l.Text, 66, y, 250, c)
	}
}

// alarm is the worst there is, over the whole width.
func (d *drawing) alarm(s State) {
	if s.Alarm.Level < Warning || s.Alarm.Text == "" {
		return
	}
	c := color.Color(color.Black)
	if s.Alarm.Level == Bad {
		c = color.White
	}
	d.box(0, 213, Width, 27, s.Alarm.Level.color())
	d.font(14, true)
	d.text(s.Alarm.Text, 6, 231, 308, c)
}
