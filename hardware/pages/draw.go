package main

import (
	"fmt"
	"image/color"
	"slices"
	"sync"

	"github.com/fogleman/gg"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"

	"github.com/openvideobox/videobox/hardware"
)

// Where things stand, in pixels. A wire leaves an even pin on its row, and an odd
// one in the gap below its row, so that it passes between the even pins' names.
const (
	width    = 1280
	pitch    = 40  // from row to row
	top      = 150 // the first row
	oddX     = 270 // the left column of pins
	evenX    = oddX + pitch
	nameLeft = evenX + 26 // the even pins' names
	nameWide = 130
	lanes    = nameLeft + nameWide + 30 // the first upright stretch of a wire
	lane     = 24
	panelX   = 870
	panelTop = top + 90
	panelRow = 46
	bottom   = 60
)

var (
	white = color.RGBA{255, 255, 255, 255}
	ink   = color.RGBA{24, 28, 36, 255}
	faint = color.RGBA{140, 146, 156, 255}
	board = color.RGBA{234, 244, 236, 255}
	glass = color.RGBA{232, 238, 248, 255}
	kinds = map[string]color.RGBA{"3V3": {240, 170, 40, 255}, "5V": {208, 32, 32, 255}, "GND": {24, 24, 24, 255}, "": {120, 170, 130, 255}}
)

// draw makes the picture of one panel's wires.
func draw(w hardware.Wiring, h hardware.Harness, title string) *gg.Context {
	rows := len(h.Wires) + len(h.Open)
	height := max(top+20*pitch, panelTop+rows*panelRow) + bottom
	d := &drawing{gg.NewContext(width, height), w, h}
	d.SetColor(white)
	d.Clear()
	d.text(40, 48, title, 26, true, ink, 0)
	d.text(40, 84, "wired to the 40-pin header of a Raspberry Pi, seen from above; the even pins are at the board's edge", 17, false, faint, 0)
	d.board()
	d.body(rows)
	for i, at := range order(h.Wires) {
		d.wire(at, float64(lanes+i*lane))
	}
	d.header()
	d.panel()
	return d.Context
}

type drawing struct {
	*gg.Context
	wiring  hardware.Wiring
	harness hardware.Harness
}

func (d *drawing) board() {
	d.SetColor(board)
	d.DrawRoundedRectangle(40, top-pitch, nameLeft+nameWide+10-40, 20*pitch+2*pitch, 14)
	d.Fill()
	d.text(60, top+20*pitch+14, "USB and Ethernet sockets are at this end", 15, false, faint, 0)
}

func (d *drawing) body(rows int) {
	d.SetColor(glass)
	d.DrawRoundedRectangle(panelX-20, panelTop-60, width-40-(panelX-20), float64(rows*panelRow)+50, 14)
	d.Fill()
	d.text(panelX-12, panelTop-34, "the panel's pins", 15, false, faint, 0)
}

// panel draws the panel's row of pins; free ones come last.
func (d *drawing) panel() {
	for i, w := range d.harness.Wires {
		y := panelY(i)
		d.pin(panelX, y, wireColour(w), "")
		d.text(panelX+24, y, w.Pin, 19, true, ink, 0.35)
		d.text(panelX+120, y, spoken(w, d.wiring), 16, false, ink, 0.35)
	}
	for i, pin := range d.harness.Open {
		y := panelY(len(d.harness.Wires) + i)
		d.pin(panelX, y, color.RGBA{205, 208, 214, 255}, "")
		d.text(panelX+24, y, pin, 17, false, faint, 0.35)
		d.text(panelX+120, y, "free", 16, false, faint, 0.35)
	}
}

// spoken says where a wire goes and what it is for.
func spoken(w hardware.Wire, all hardware.Wiring) string {
	line := all.Line(w.Header)
	if line == w.Carries {
		return fmt.Sprintf("pin %d, %s", w.Header, line)
	}
	return fmt.Sprintf("pin %d, %s: %s", w.Header, line, names[w.Carries])
}

// names are the signals' in words.
var names = map[string]string{
	"mosi": "SPI data (MOSI)", "miso": "SPI answer (MISO)", "clock": "SPI clock", "select": "chip select",
	"data": "data/command", "reset": "reset", "light": "backlight",
}

// header draws the pins with their names, those in use in bold. The names lie
// on the wires, so they are drawn last.
func (d *drawing) header() {
	for n := 1; n <= 40; n++ {
		line := d.wiring.Line(n)
		x, y := headerAt(n)
		used := slices.ContainsFunc(d.harness.Wires, func(w hardware.Wire) bool { return w.Header == n })
		fill, ok := kinds[line]
		if !ok {
			fill = kinds[""]
		}
		d.pin(x, y, fill, fmt.Sprint(n))
		col := faint
		if used {
			col = ink
		}
		if n%2 == 1 {
			d.SetFontFace(face(17, used))
			wide, _ := d.MeasureString(line)
			d.text(oddX-26-wide, y, line, 17, used, col, 0.35)
			continue
		}
		d.SetColor(board)
		d.DrawRoundedRectangle(nameLeft, y-12, nameWide-40, 24, 5)
		d.Fill()
		d.text(nameLeft+8, y, line, 17, used, col, 0.35)
	}
}

func (d *drawing) pin(x, y float64, fill color.Color, number string) {
	d.SetColor(fill)
	d.DrawRoundedRectangle(x-14, y-14, 28, 28, 4)
	d.Fill()
	d.SetColor(white)
	d.SetFontFace(face(15, true))
	d.DrawStringAnchored(number, x, y, 0.5, 0.35)
}

// wire draws one: from the header right to its lane, along that to the panel's
// row, and right again, with a white seam so that crossings are seen.
func (d *drawing) wire(i int, x float64) {
	w := d.harness.Wires[i]
	for _, pen := range []struct {
		wide float64
		col  color.Color
	}{{9, white}, {5, wireColour(w)}} {
		fromX, fromY := headerAt(w.Header)
		d.MoveTo(fromX, fromY)
		if w.Header%2 == 1 {
			fromY += pitch / 2
			d.LineTo(fromX+pitch/2, fromY)
		}
		d.LineTo(x, fromY)
		d.LineTo(x, panelY(i))
		d.LineTo(panelX-14, panelY(i))
		d.SetLineJoinRound()
		d.SetLineWidth(pen.wide)
		d.SetColor(pen.col)
		d.Stroke()
	}
}

// text writes at x; mid is how much of the letters' height is below y.
func (d *drawing) text(x, y float64, s string, size float64, bold bool, col color.Color, mid float64) {
	d.SetFontFace(face(size, bold))
	d.SetColor(col)
	d.DrawStringAnchored(s, x, y, 0, mid)
}

func headerAt(pin int) (x, y float64) {
	x = oddX
	if pin%2 == 0 {
		x = evenX
	}
	return x, float64(top + (pin-1)/2*pitch)
}

func panelY(i int) float64 { return float64(panelTop + i*panelRow) }

func wireColour(w hardware.Wire) color.Color {
	c := hardware.Colours[w.Colour]
	return color.RGBA{c[0], c[1], c[2], 255}
}

var fonts = sync.OnceValue(func() (f [2]*opentype.Font) {
	for i, ttf := range [][]byte{goregular.TTF, gobold.TTF} {
		var err error
		if f[i], err = opentype.Parse(ttf); err != nil {
			panic(err) // the fonts are part of the program
		}
	}
	return f
})

func face(size float64, bold bool) font.Face {
	f := fonts()[0]
	if bold {
		f = fonts()[1]
	}
	out, err := opentype.NewFace(f, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		panic(err) // only a wrong size
	}
	return out
}
