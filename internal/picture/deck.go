package picture

import (
	"image"
	"image/color"
	"strconv"

	"github.com/fogleman/gg"
)

// deckPage is one slide: it draws its body below the heading.
type deckPage struct {
	title string
	body  func(p *page)
}

// deckPages is a real talk about this system; the demo shows it as the
// speaker's slides. Small text and thin lines are there on purpose: they show
// what scaling and encoding do to real slides.
var deckPages = []deckPage{
	{"", titlePage},
	{"What goes wrong in a lecture room", problemsPage},
	{"From the HDMI plug to the browser", chainPage},
	{"One grid of UTC for everything", gridPage},
	{"A stream that never changes its shape", unbrokenPage},
	{"A late reader starts at a keyframe", codePage},
	{"Where to look", portsPage},
	{"", closingPage},
}

// Deck draws the slides of the demo, w by h pixels each.
func Deck(w, h int) []*image.RGBA {
	var pages []*image.RGBA
	for i, d := range deckPages {
		dc := gg.NewContext(w, h)
		p := &page{dc: dc, w: float64(w), h: float64(h)}
		fill(dc, deckPaper, 0, 0, p.w, p.h)
		if d.title != "" {
			p.frame(d.title, i+1)
		}
		d.body(p)
		pages = append(pages, dc.Image().(*image.RGBA))
	}
	return pages
}

var (
	deckPaper  = color.RGBA{252, 252, 250, 255}
	deckInk    = color.RGBA{28, 33, 44, 255}
	deckSoft   = color.RGBA{98, 108, 124, 255}
	deckRule   = color.RGBA{208, 214, 222, 255}
	deckBlue   = color.RGBA{22, 82, 148, 255}
	deckPale   = color.RGBA{228, 237, 247, 255}
	deckOrange = color.RGBA{214, 106, 20, 255}
	deckSand   = color.RGBA{252, 238, 222, 255}
)

// page is a slide being drawn; positions are in hundredths of its height, so
// that slides look the same at any size (x runs to 177.8 at 16:9).
type page struct {
	dc   *gg.Context
	w, h float64
}

func (p *page) px(v float64) float64 { return v * p.h / 100 }

// right is the right margin in hundredths of the height.
func (p *page) right() float64 { return p.w/p.h*100 - 8 }

func (p *page) text(s string, f fontName, size, x, y float64, c color.Color, align float64) {
	p.dc.SetFontFace(face(f, p.px(size)))
	p.dc.SetColor(c)
	p.dc.DrawStringAnchored(s, p.px(x), p.px(y), align, 0)
}

func (p *page) box(x, y, w, h float64, c color.Color) {
	fill(p.dc, c, p.px(x), p.px(y), p.px(w), p.px(h))
}

func (p *page) line(x0, y0, x1, y1, width float64, c color.Color) {
	p.dc.SetColor(c)
	p.dc.SetLineWidth(max(p.px(width), 1))
	p.dc.DrawLine(p.px(x0), p.px(y0), p.px(x1), p.px(y1))
	p.dc.Stroke()
}

// frame draws heading and foot.
func (p *page) frame(title string, number int) {
	p.box(0, 0, 2.2, 100, deckBlue)
	p.text(title, bold, 7, 8, 14, deckInk, 0)
	p.line(8, 18.5, p.right(), 18.5, 0.3, deckRule)
	p.text("An open conference video system", regular, 2.6, 8, 96, deckSoft, 0)
	p.text(strconv.Itoa(number)+" / "+strconv.Itoa(len(deckPages)), regular, 2.6, p.right(), 96, deckSoft, 1)
}

// bullets draws a list and returns where it ends.
func (p *page) bullets(x, y, width, size float64, items ...string) float64 {
	for _, item := range items {
		p.dc.SetFontFace(face(regular, p.px(size)))
		lines := p.dc.WordWrap(item, p.px(width-4))
		p.box(x, y+size*0.42, size*0.36, size*0.36, deckOrange)
		p.dc.SetColor(deckInk)
		for _, l := range lines {
			p.dc.DrawString(l, p.px(x+size*0.95), p.px(y+size))
			y += size * 1.3
		}
		y += size * 0.45
	}
	return y
}

// node draws a labelled box of the diagram.
func (p *page) node(x, y, w, h float64, name, what string, ground, edge color.Color) {
	p.dc.DrawRoundedRectangle(p.px(x), p.px(y), p.px(w), p.px(h), p.px(1.2))
	p.dc.SetColor(ground)
	p.dc.FillPreserve()
	p.dc.SetColor(edge)
	p.dc.SetLineWidth(max(p.px(0.35), 1))
	p.dc.Stroke()
	p.text(name, bold, 3.6, x+w/2, y+h/2-0.2, deckInk, 0.5)
	p.text(what, regular, 2.4, x+w/2, y+h/2+3.6, deckSoft, 0.5)
}

// arrow draws an arrow to the right or down, with its label beside it.
func (p *page) arrow(x0, y0, x1, y1 float64, label string) {
	p.line(x0, y0, x1, y1, 0.4, deckInk)
	const head = 1.5
	p.dc.SetColor(deckInk)
	if y0 == y1 {
		p.triangle(x1, y1, x1-head, y1-head*0.6, x1-head, y1+head*0.6)
		p.text(label, regular, 2.2, (x0+x1)/2, y0-1.4, deckSoft, 0.5)
		return
	}
	p.triangle(x1, y1, x1-head*0.6, y1-head, x1+head*0.6, y1-head)
	p.text(label, regular, 2.2, x0+1.4, (y0+y1)/2+0.8, deckSoft, 0)
}

func (p *page) triangle(x0, y0, x1, y1, x2, y2 float64) {
	p.dc.MoveTo(p.px(x0), p.px(y0))
	p.dc.LineTo(p.px(x1), p.px(y1))
	p.dc.LineTo(p.px(x2), p.px(y2))
	p.dc.ClosePath()
	p.dc.Fill()
}

// table draws rows under a head, in columns that start at x.
func (p *page) table(y, size float64, x []float64, rows ...[]string) {
	step := size * 1.85
	for i, row := range rows {
		f, c := regular, color.Color(deckInk)
		if i == 0 {
			p.box(x[0]-1.5, y, p.right()-x[0]+1.5, step, deckBlue)
			f, c = bold, deckPaper
		} else if i%2 == 0 {
			p.box(x[0]-1.5, y, p.right()-x[0]+1.5, step, deckPale)
		}
		for k, s := range row {
			p.text(s, f, size, x[k], y+step*0.67, c, 0)
		}
		y += step
	}
}
