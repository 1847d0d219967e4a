package picture

import (
	"image"
	"image/color"
	"math"
	"time"

	"github.com/fogleman/gg"

	"github.com/openvideobox/videobox/internal/media"
)

// Pattern draws the test picture: eight colour bars (75 %, left two thirds of
// the upper half), UTC and frame number as digits, a hand that goes round once
// a second, and the frame number as a block code for ReadNumber. In the first
// two frames of each UTC second its right third (above the code) is white, for
// measuring sound against picture; Beep is its sound.
//
// The zero value is ready. It is for one goroutine at a time.
type Pattern struct {
	Name string // shown in the picture

	still  *media.Frame // what never changes, drawn once for a size
	name   string       // the name that is in it
	glyphs [128]glyph
	text   []byte
}

// FlashFrames is how many frames of each second show the flash.
const FlashFrames = 2

// Bars is the number of colour bars.
const Bars = 8

var barColors = [Bars]color.RGBA{
	{191, 191, 191, 255}, {191, 191, 0, 255}, {0, 191, 191, 255}, {0, 191, 0, 255},
	{191, 0, 191, 255}, {191, 0, 0, 255}, {0, 0, 191, 255}, {0, 0, 0, 255},
}

// Bar says where bar i lies in a pattern that fills r, and its colour.
func Bar(i int, r Rect) (Rect, color.RGBA) {
	w := r.W * 2 / 3
	x0, x1 := i*w/Bars, (i+1)*w/Bars
	return Rect{r.X + x0, r.Y, x1 - x0, r.H / 2}, barColors[i]
}

// Flash is the part of a pattern that fills r in which the flash is.
func Flash(r Rect) Rect {
	x := r.W * 2 / 3
	return Rect{r.X + x, r.Y, r.W - x, r.H * codeTop / codeHeight}.Even()
}

// Draw draws frame n of the grid of rate frames a second into f, at f's size.
func (p *Pattern) Draw(f *media.Frame, n int64, rate int) {
	if p.still == nil || p.still.Width != f.Width || p.still.Height != f.Height || p.name != p.Name {
		p.prepare(f.Width, f.Height)
	}
	Copy(f, p.still)
	in := n % int64(rate)
	f.Time = media.FrameTime(n, rate)
	p.drawText(f, n, rate)
	if in < FlashFrames {
		r := Flash(Whole(f))
		FillRect(f, r, 235, 128, 128)
	} else {
		drawHand(f, 2*math.Pi*float64(in)/float64(rate))
	}
	drawCode(f, n)
}

const clockFormat = "2006-01-02 15:04:05.000"

func (p *Pattern) drawText(f *media.Frame, n int64, rate int) {
	left, size := textLeft(f.Width), textSize(f.Width, f.Height)
	p.text = time.Unix(0, media.FrameTime(n, rate)).UTC().AppendFormat(p.text[:0], clockFormat)
	p.blit(f, left, clockTop(f.Height), p.text)
	p.text = appendNumber(p.text[:0], n)
	p.blit(f, left, clockTop(f.Height)+size*5/4, p.text)
}

// appendNumber writes n in groups of three digits.
func appendNumber(b []byte, n int64) []byte {
	if n < 0 {
		b, n = append(b, '-'), -n
	}
	if n >= 1000 {
		b = append(appendNumber(b, n/1000), ' ')
		return append(b, '0'+byte(n/100%10), '0'+byte(n/10%10), '0'+byte(n%10))
	}
	if n >= 100 {
		b = append(b, '0'+byte(n/100))
	}
	if n >= 10 {
		b = append(b, '0'+byte(n/10%10))
	}
	return append(b, '0'+byte(n%10))
}

// ground is the grey behind everything: without colour, so that texts are
// written in luma alone.
const ground = 18

// Where the texts stand, by the picture's size.
func textLeft(w int) int    { return w / 40 }
func textSize(w, h int) int { return max(min(w/26, h/11), 6) }
func clockTop(h int) int    { return h * 59 / 100 }

// prepare draws what never changes, and the digits' glyphs.
func (p *Pattern) prepare(w, h int) {
	dc := gg.NewContext(w, h)
	dc.SetRGB255(ground, ground, ground)
	dc.Clear()
	whole := Rect{0, 0, w, h}
	for i := range Bars {
		r, c := Bar(i, whole)
		dc.SetColor(c)
		dc.DrawRectangle(float64(r.X), float64(r.Y), float64(r.W), float64(r.H))
		dc.Fill()
	}
	drawRamp(dc, w, h)
	p.drawLabels(dc, w, h)
	drawDial(dc, Flash(whole))

	p.still = media.NewFrame(w, h)
	FromImage(p.still, dc.Image())
	FillRect(p.still, codeStrip(p.still), cellBlack, 128, 128)
	p.makeGlyphs(textSize(w, h))
	p.name = p.Name
}

// drawRamp draws the grey scale from black to white under the bars: eleven
// steps in its upper half, continuous below.
func drawRamp(dc *gg.Context, w, h int) {
	width, top, height := w*2/3, h/2, h*7/100
	for x := range width {
		level := uint8(x * 255 / max(width-1, 1))
		step := uint8(x * 11 / width * 255 / 10)
		dc.SetRGB255(int(step), int(step), int(step))
		dc.DrawRectangle(float64(x), float64(top), 1, float64(height/2))
		dc.Fill()
		dc.SetRGB255(int(level), int(level), int(level))
		dc.DrawRectangle(float64(x), float64(top+height/2), 1, float64(height-height/2))
		dc.Fill()
	}
}

func (p *Pattern) drawLabels(dc *gg.Context, w, h int) {
	name := p.Name
	if name == "" {
		name = "test pattern"
	}
	size := textSize(w, h)
	dc.SetFontFace(face(bold, float64(size)*0.8))
	dc.SetRGB255(240, 200, 80)
	y := float64(clockTop(h)) + float64(size)*3.2
	dc.DrawString(name, float64(textLeft(w)), y)
	dc.SetFontFace(face(regular, float64(size)*0.6))
	dc.SetRGB255(170, 178, 190)
	dc.DrawStringAnchored("UTC, frame of the grid", float64(w)*2/3-float64(textLeft(w)), y, 1, 0)
}

// drawDial draws the face that the hand goes round on.
func drawDial(dc *gg.Context, r Rect) {
	cx, cy, radius := dial(r)
	dc.SetRGB255(34, 42, 54)
	dc.DrawCircle(cx, cy, radius*1.12)
	dc.Fill()
	dc.SetRGB255(170, 178, 190)
	for i := range 12 {
		a := float64(i) * math.Pi / 6
		in := 0.92
		if i%3 == 0 {
			in = 0.84
		}
		dc.SetLineWidth(max(radius/40, 1))
		dc.DrawLine(cx+math.Sin(a)*radius*in, cy-math.Cos(a)*radius*in, cx+math.Sin(a)*radius, cy-math.Cos(a)*radius)
		dc.Stroke()
	}
	dc.SetFontFace(face(regular, max(radius*0.15, 6)))
	dc.DrawStringAnchored("1 turn = 1 s", cx, cy+radius*0.45, 0.5, 0.5)
	dc.DrawStringAnchored("flash and 1 kHz at 12", cx, cy+radius*1.3, 0.5, 0.5)
}

func dial(r Rect) (cx, cy, radius float64) {
	return float64(r.X) + float64(r.W)/2, float64(r.Y) + float64(r.H)*0.45, float64(min(r.W, r.H)) * 0.36
}

// drawHand draws the hand as a row of discs, in luma only.
func drawHand(f *media.Frame, angle float64) {
	cx, cy, radius := dial(Flash(Whole(f)))
	sin, cos := math.Sincos(angle)
	half := max(int(radius/30), 1)
	for d := 0.0; d < radius*0.8; d++ {
		drawDisc(f, int(cx+sin*d), int(cy-cos*d), half)
	}
}

func drawDisc(f *media.Frame, x, y, radius int) {
	for dy := -radius; dy <= radius; dy++ {
		dx := 0
		for (dx+1)*(dx+1)+dy*dy <= radius*radius {
			dx++
		}
		fillBytes(f.Y[(y+dy)*f.YStride+x-dx:][:2*dx+1], 225)
	}
}

// glyph is the coverage of a character in a cell of the mono font.
type glyph struct {
	w, h int
	luma []byte
}

const textCharacters = "0123456789:.- "

func (p *Pattern) makeGlyphs(size int) {
	f := face(monoBold, float64(size))
	w, h := 0, size*5/4
	for _, c := range []byte(textCharacters) {
		a, _ := f.GlyphAdvance(rune(c))
		w = max(w, a.Ceil())
	}
	for _, c := range []byte(textCharacters) {
		dc := gg.NewContext(w, h)
		dc.SetRGB255(ground, ground, ground)
		dc.Clear()
		dc.SetRGB255(255, 255, 255)
		dc.SetFontFace(f)
		dc.DrawString(string(rune(c)), 0, float64(size))
		p.glyphs[c] = toGlyph(dc.Image().(*image.RGBA), w, h)
	}
}

func toGlyph(img *image.RGBA, w, h int) glyph {
	g := glyph{w: w, h: h, luma: make([]byte, w*h)}
	for i := range g.luma {
		at := img.PixOffset(i%w, i/w)
		g.luma[i] = luma(img.Pix[at], img.Pix[at+1], img.Pix[at+2])
	}
	return g
}

// blit writes text into the luma plane, cut at the frame's edges.
func (p *Pattern) blit(f *media.Frame, x, y int, text []byte) {
	for _, c := range text {
		g := p.glyphs[c]
		w := min(g.w, f.Width-x)
		if w <= 0 {
			return
		}
		for row := range min(g.h, f.Height-y) {
			copy(f.Y[(y+row)*f.YStride+x:][:w], g.luma[row*g.w:])
		}
		x += g.w
	}
}
