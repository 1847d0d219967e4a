package picture

import (
	"image"
	"image/color"
	"time"

	"github.com/fogleman/gg"
)

// SlateText is what a slate says. Empty fields leave their place empty.
type SlateText struct {
	Name    string    // of the box or source
	Room    string    // where it stands
	Cause   string    // what is wrong, in plain words: "No cable in the HDMI input"
	Advice  string    // what to do about it
	Address string    // where to find the box's page
	Time    time.Time // since when
}

var (
	slateGround = color.RGBA{18, 24, 38, 255}
	slateBand   = color.RGBA{28, 37, 56, 255}
	slateAccent = color.RGBA{245, 166, 35, 255}
	slateText   = color.RGBA{244, 246, 250, 255}
	slateSoft   = color.RGBA{170, 182, 202, 255}
)

// Slate draws the picture that is sent in place of a missing one, at any size
// from about 160x90 on.
func Slate(w, h int, s SlateText) *image.RGBA {
	dc := gg.NewContext(w, h)
	W, H := float64(w), float64(h)
	fill(dc, slateGround, 0, 0, W, H)
	fill(dc, slateBand, 0, 0, W, H*0.19)
	fill(dc, slateBand, 0, H*0.86, W, H*0.14)
	fill(dc, slateAccent, 0, H*0.19, W, max(H*0.012, 1))

	margin := W * 0.05
	inner := W - 2*margin
	roomWidth := line(dc, s.Room, regular, slateSoft, H*0.085, W-margin, H*0.125, inner*0.45, right)
	line(dc, s.Name, bold, slateText, H*0.1, margin, H*0.128, inner-roomWidth-margin/2, left)

	end := paragraph(dc, s.Cause, bold, slateText, H*0.135, H*0.075, margin, H*0.28, inner, H*0.35)
	paragraph(dc, s.Advice, regular, slateAccent, H*0.078, H*0.05, margin, end+H*0.035, inner, H*0.82-end-H*0.035)

	since := ""
	if !s.Time.IsZero() {
		since = "since " + s.Time.UTC().Format("2006-01-02 15:04:05") + " UTC"
	}
	addressWidth := line(dc, s.Address, regular, slateSoft, H*0.062, W-margin, H*0.952, inner*0.5, right)
	line(dc, since, regular, slateSoft, H*0.062, margin, H*0.952, inner-addressWidth-margin/2, left)
	return dc.Image().(*image.RGBA)
}

type side int

const (
	left side = iota
	right
)

func fill(dc *gg.Context, c color.Color, x, y, w, h float64) {
	dc.SetColor(c)
	dc.DrawRectangle(x, y, w, h)
	dc.Fill()
}

// line draws one line of text with its baseline at y, smaller where it would be
// wider than width, and returns its width.
func line(dc *gg.Context, text string, f fontName, c color.Color, size, x, y, width float64, at side) float64 {
	if text == "" || width <= 0 {
		return 0
	}
	dc.SetFontFace(face(f, size))
	w, _ := dc.MeasureString(text)
	if w > width {
		dc.SetFontFace(face(f, size*width/w))
		w, _ = dc.MeasureString(text)
	}
	dc.SetColor(c)
	dc.DrawStringAnchored(text, x, y, float64(at), 0)
	return w
}

// paragraph draws wrapped text from y down and returns where it ends. Of the
// sizes from most to least it takes the largest that fits into the height,
// but goes down by up to a fifth where that saves a line.
func paragraph(dc *gg.Context, text string, f fontName, c color.Color, most, least, x, y, width, height float64) float64 {
	const spacing = 1.25
	if text == "" {
		return y
	}
	size, lines := most, []string(nil)
	for next := most; next >= least; next *= 0.96 {
		dc.SetFontFace(face(f, next))
		wrapped := dc.WordWrap(text, width)
		fits := float64(len(wrapped))*next*spacing <= height && widest(dc, wrapped) <= width
		switch {
		case lines == nil && (fits || next*0.96 < least):
			size, lines = next, wrapped
		case lines != nil && len(wrapped) < len(lines) && next >= size*0.8:
			size, lines = next, wrapped
		}
	}
	dc.SetFontFace(face(f, size))
	dc.SetColor(c)
	for _, l := range lines {
		if size > height {
			break
		}
		dc.DrawString(l, x, y+size)
		y += size * spacing
		height -= size * spacing
	}
	return y
}

func widest(dc *gg.Context, lines []string) float64 {
	most := 0.0
	for _, l := range lines {
		w, _ := dc.MeasureString(l)
		most = max(most, w)
	}
	return most
}
