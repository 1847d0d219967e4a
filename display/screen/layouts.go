package screen

import (
	"image/color"
	"strings"
)

// wide is for 800x480 and HDMI.
func wide(s *Screen, st State) {
	const margin, top, picture = 16, 76, 262
	s.head(st, margin, 68, 50, 34, 34)
	pictureWidth := 468.0
	s.pictureAt(margin, top, pictureWidth, picture, 26, st)
	s.metersAt(margin+pictureWidth+14, top, 44, picture, st)
	s.scaleAt(margin+pictureWidth+60, top, picture)
	x := margin + pictureWidth + 98
	w := s.width - margin - x
	s.textsAt(x, top, w, 34, []line{{st.Name, style{26, true}, 15, text, 1}})
	s.codeAt(x, top+36, min(w, 132), st.Page)
	addresses := append(s.addressLines(st, 20, 15), line{st.Link.Text, style{17, false}, 14, st.Link.Level.colorOr(dim), 1})
	below := 172.0
	if st.Page == "" {
		below = 40
	}
	s.textsAt(x, top+below, w, picture-below, addresses)
	y, size := top+picture+8.0, 18.0
	if len(st.Alarms) == 0 { // what is good may be large
		size = 24
	}
	half := (s.width - 2*margin) * 0.58
	s.rowsAt(margin, y, half-margin, size*1.4, size, row{"signal", st.Signal}, row{"stream", st.Stream}, row{"rec", st.Recording})
	s.rowsAt(margin+half, y, s.width-2*margin-half, size*1.4, size, row{"temp", st.Temperature}, row{"update", st.Update}, row{"version", Line{st.Version, Good}})
	if len(st.Alarms) > 0 {
		s.alarmsAt(y+3*size*1.4+4, 18, margin, st.Alarms)
	}
}

// scaleAt writes the band's borders beside the meters.
func (s *Screen) scaleAt(x, y, h float64) {
	s.part(x, y, 30, h, "scale", func() {
		for db, name := range map[float64]string{loudDB: "−14", quietDB: "−30"} {
			s.text(name, x, y+h*db/floorDB+4, 30, style{12, false}, dim)
		}
	})
}

// compact is for 320x240 and 480x320.
func compact(s *Screen, st State) {
	const margin, top, picture = 5, 35, 101
	s.head(st, margin, 33, 25, 17, 16)
	bottom := s.height - 240 // what a higher screen has more
	const pictureWidth = 180.0
	s.pictureAt(margin, top, pictureWidth, picture+bottom, 13, st)
	s.metersAt(margin+pictureWidth+5, top, 20, picture+bottom, st)
	x := margin + pictureWidth + 31
	lines := []line{{st.Name, style{14, true}, 10.5, text, 2}}
	lines = append(lines, s.addressLines(st, 13, 10.5)...)
	lines = append(lines, line{st.Link.Text, style{11, false}, 8.25, st.Link.Level.colorOr(dim), 2})
	s.textsAt(x, top, s.width-margin-x, picture+bottom, lines)
	y, size, code := top+picture+bottom+3, 12.0, 60.0
	if len(st.Alarms) == 0 { // what is good may be large
		size, code = 14, 92
	}
	w := s.width - 3*margin - code
	s.rowsAt(margin, y, w, size*1.21, size, row{"signal", st.Signal}, row{"stream", st.Stream}, row{"rec", st.Recording}, row{"box", st.box()})
	s.codeAt(s.width-margin-code, y, code, st.Page)
	if len(st.Alarms) > 0 {
		s.alarmsAt(s.height-40, 13, margin, st.Alarms)
	}
}

// box is temperature, version and update in one line: where one of them is not
// good, it comes first.
func (st State) box() Line {
	l := Line{Level: Good}
	parts := []Line{st.Temperature, st.Update, {Text: st.Version}}
	if st.Update.Level > st.Temperature.Level {
		parts[0], parts[1] = parts[1], parts[0]
	}
	var texts []string
	for _, p := range parts {
		if p.Text == "" {
			continue
		}
		texts = append(texts, p.Text)
		l.Level = max(l.Level, p.Level)
	}
	l.Text = strings.Join(texts, " · ")
	return l
}

// tinyPage is for how long each page of the smallest screen's side is shown,
// in seconds.
const tinyPage = 5

// tiny is for 240x135. Its right side has three pages, one after the other:
// who the box is, how it is, and the QR code.
func tiny(s *Screen, st State) {
	const margin, top, picture = 3, 24, 63
	s.head(st, margin, 23, 19, 14, 12)
	s.pictureAt(margin, top, 112, picture, 11, st)
	s.metersAt(margin+112+3, top, 14, picture, st)
	const x = margin + 112 + 3 + 14 + 4
	w := s.width - margin - x
	s.side(st, x, top, w, picture+2)
	rows := []row{{"signal", st.Signal}, {"stream", st.Stream}, {"rec", st.Recording}}
	if len(st.Alarms) > 0 { // they need the place more than what is good does
		rows = rows[:1]
	}
	s.rowsAt(margin, top+picture+2, s.width-2*margin, 14.5, 11.5, rows...)
	if len(st.Alarms) > 0 {
		s.alarmsAt(top+picture+2+14.5+1, 12, margin, st.Alarms)
	}
}

// side is the tiny screen's right side.
func (s *Screen) side(st State, x, y, w, h float64) {
	page := st.Time.Unix() / tinyPage % 3
	if st.Page == "" && page == 2 {
		page = 0
	}
	switch page {
	case 0:
		lines := append([]line{{st.Name, style{12, true}, 9, text, 1}}, s.addressLines(st, 11.5, 9.5)...)
		s.textsAt(x, y, w, h, append(lines, line{st.Link.Text, style{10, false}, 7.5, st.Link.Level.colorOr(dim), 1}))
	case 1:
		s.textsAt(x, y, w, h, []line{
			{st.Temperature.Text, style{12, true}, 9, st.Temperature.Level.color(), 1},
			{st.Clock.Text, style{10.5, false}, 7.875, st.Clock.Level.colorOr(dim), 1},
			{st.Update.Text, style{10.5, false}, 7.875, st.Update.Level.colorOr(dim), 2},
			{st.Version, style{10.5, false}, 7.875, dim, 1},
		})
	case 2:
		s.codeAt(x+(w-h)/2, y, h, st.Page)
	}
}

// line is a text in a block: cut off after so many lines.
type line struct {
	text string
	style
	least float64 // the size down to which it is shrunk
	color color.Color
	most  int
}

// addressLines are IPv4, IPv6 or what the box waits for.
func (s *Screen) addressLines(st State, size, small float64) (lines []line) {
	switch {
	case st.IPv4 != "" || st.IPv6 != "":
		if st.IPv4 != "" {
			lines = append(lines, line{st.IPv4, style{size, false}, size * 0.75, text, 1})
		}
		if st.IPv6 != "" {
			lines = append(lines, line{st.IPv6, style{small, false}, small * 0.85, dim, 2})
		}
	case st.Waiting != "":
		lines = append(lines, line{st.Waiting, style{size, true}, size * 0.75, warning, 3})
	}
	return lines
}

// textsAt draws texts one under the other, as long as there is room; single
// ones are shrunk a little before they are cut.
func (s *Screen) textsAt(x, y, w, h float64, lines []line) {
	var shows strings.Builder
	for _, l := range lines {
		shows.WriteString(l.text + "\n")
		r, g, b, _ := l.color.RGBA()
		shows.WriteString(string(rune(r>>8)) + string(rune(g>>8)) + string(rune(b>>8)))
	}
	s.part(x, y, w, h, shows.String(), func() {
		at := y
		for _, l := range lines {
			if l.text == "" {
				continue
			}
			t := s.shrunk(l.text, w*float64(l.most), l.style, l.least)
			for _, part := range s.wrap(l.text, w, t, l.most) {
				if at+t.size > y+h+0.5 {
					return
				}
				s.text(part, x, at+t.size*0.95, w, t, l.color)
				at += t.size * 1.18
			}
			at += l.size * 0.12
		}
	})
}
