package screen

import (
	"image"
	"image/color"
	"strings"

	"rsc.io/qr"
)

// quiet is the border that a reader needs around the code, in modules
// (ISO/IEC 18004, 6.3.8).
const quiet = 4

// codeAt draws the QR code of the box's page into a square, as large as whole
// pixels a module allow, or nothing where there is no page.
func (s *Screen) codeAt(x, y, size float64, page string) {
	s.part(x, y, size, size, page, func() {
		if page == "" {
			return
		}
		code, err := qr.Encode(shout(page), qr.L)
		if err != nil { // too long for any code
			return
		}
		r := s.rect(x, y, size, size)
		n := code.Size + 2*quiet
		module := min(r.Dx(), r.Dy()) / n
		if module == 0 {
			return
		}
		at := r.Min.Add(r.Size().Sub(image.Pt(n*module, n*module)).Div(2))
		for row := range n * module {
			for column := range n * module {
				c := color.RGBA{0xff, 0xff, 0xff, 0xff}
				if code.Black(column/module-quiet, row/module-quiet) {
					c = color.RGBA{A: 0xff}
				}
				s.img.SetRGBA(at.X+column, at.Y+row, c)
			}
		}
	})
}

// shout writes the address of a host in capitals, which make a smaller code
// (ISO/IEC 18004, 7.4.4) and mean the same (RFC 3986, 6.2.2.1). What is behind
// the host stays as it is.
func shout(page string) string {
	scheme, rest, ok := strings.Cut(page, "://")
	if !ok {
		return page
	}
	host, path, _ := strings.Cut(rest, "/")
	if path == "" {
		return strings.ToUpper(scheme + "://" + host)
	}
	return strings.ToUpper(scheme+"://"+host) + "/" + path
}
