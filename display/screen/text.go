package screen

import (
	"image"
	"image/color"
	"math"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/unicode/norm"
)

// style is a font at a height in units of the layout.
type style struct {
	size float64
	bold bool
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

// clean makes all texts such that a font without combining marks and control
// characters can show them.
func clean(st State) State {
	for _, t := range []*string{&st.Room, &st.Role, &st.Name, &st.IPv4, &st.IPv6, &st.Link.Text, &st.Waiting, &st.Clock.Text,
		&st.NoPicture, &st.Signal.Text, &st.Stream.Text, &st.Recording.Text, &st.Temperature.Text, &st.Version, &st.Update.Text} {
		*t = cleanText(*t)
	}
	alarms := make([]Line, 0, len(st.Alarms))
	for _, a := range st.Alarms {
		if a.Text = cleanText(a.Text); a.Text != "" {
			alarms = append(alarms, a)
		}
	}
	st.Alarms = alarms
	return st
}

func cleanText(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return strings.Join(strings.Fields(norm.NFC.String(s)), " ")
}

func (s *Screen) font(t style) font.Face {
	if face, ok := s.faces[t]; ok {
		return face
	}
	f := fonts().regular
	if t.bold {
		f = fonts().bold
	}
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: t.size * s.scale, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		panic(err) // only a font without tables fails
	}
	s.faces[t] = face
	return face
}

// measure is how wide a text is, in units of the layout.
func (s *Screen) measure(text string, t style) float64 {
	return float64(font.MeasureString(s.font(t), text)) / 64 / s.scale
}

// write draws a text where it is, with its baseline at y.
func (s *Screen) write(line string, x, y float64, t style, c color.Color) {
	d := font.Drawer{Dst: s.clip, Src: image.NewUniform(c), Face: s.font(t)}
	d.Dot = fixed.P(int(math.Round(x*s.scale)), int(math.Round(y*s.scale)))
	d.DrawString(line)
}

// text draws one line with its baseline at y, cut off where it is wider than w,
// and returns how wide it is.
func (s *Screen) text(line string, x, y, w float64, t style, c color.Color) float64 {
	line = s.fit(line, w, t)
	s.write(line, x, y, t, c)
	return s.measure(line, t)
}

// right is text that ends at x.
func (s *Screen) right(line string, x, y, w float64, t style, c color.Color) {
	line = s.fit(line, w, t)
	s.text(line, x-s.measure(line, t), y, w, t, c)
}

// shrunk is the style, or a smaller one down to least, in which a text fits.
func (s *Screen) shrunk(line string, w float64, t style, least float64) style {
	for t.size > least && s.measure(line, t) > w {
		t.size = max(least, t.size*0.93)
	}
	return t
}

// fit cuts a text off where it gets wider than w.
func (s *Screen) fit(line string, w float64, t style) string {
	if s.measure(line, t) <= w {
		return line
	}
	r := []rune(line)
	for len(r) > 0 {
		r = r[:len(r)-1]
		if cut := strings.TrimRight(string(r), " ·,:;") + "…"; s.measure(cut, t) <= w {
			return cut
		}
	}
	return ""
}

// words breaks a text at spaces.
func (s *Screen) words(text string, w float64, t style) (lines []string) {
	for _, word := range strings.Fields(text) {
		if n := len(lines) - 1; n >= 0 && s.measure(lines[n]+" "+word, t) <= w {
			lines[n] += " " + word
			continue
		}
		lines = append(lines, word)
	}
	return lines
}

// wrap breaks a text at spaces, and where a word is too long, as addresses
// are, anywhere, into lines of at most w. What is more than most is cut off.
func (s *Screen) wrap(line string, w float64, t style, most int) (parts []string) {
	for _, l := range s.words(line, w, t) {
		for l != "" {
			n := s.breakAt(l, w, t)
			parts, l = append(parts, l[:n]), l[n:]
		}
	}
	if most == 1 {
		return []string{s.fit(line, w, t)}
	}
	if len(parts) > most {
		parts = append(parts[:most-1], s.fit(parts[most-1]+"…", w, t))
	}
	return parts
}

// breakAt is where a word that may be too long is broken: behind a sign as
// names and addresses have, if there is one in the last half.
func (s *Screen) breakAt(word string, w float64, t style) int {
	n := len(word)
	for n > utf8.UTFMax && s.measure(word[:n], t) > w {
		for n--; !utf8.RuneStart(word[n]); n-- {
		}
	}
	if sign := strings.LastIndexAny(word[:n], ":-./_"); n < len(word) && sign >= n/2 {
		return sign + 1
	}
	return n
}

// paragraph draws a text around a middle, in up to three lines.
func (s *Screen) paragraph(line string, x, y, w float64, t style, c color.Color) {
	lines := s.wrap(line, w, t, 3)
	for i, l := range lines {
		at := y + t.size*(0.36+1.25*(float64(i)-float64(len(lines)-1)/2))
		s.write(l, x-s.measure(l, t)/2, at, t, c)
	}
}

// dot is the light before a line.
func (s *Screen) dot(x, y, r float64, l Level) {
	s.gg.SetColor(l.light())
	s.gg.DrawCircle(x*s.scale, y*s.scale, r*s.scale)
	s.gg.Fill()
}
