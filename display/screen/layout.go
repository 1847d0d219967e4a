package screen

import (
	"image/color"
	"strconv"
	"strings"
)

// head is room and role, as large as they fit, and the clock at the right.
func (s *Screen) head(st State, margin, height, room, role, clock float64) {
	clockWidth := s.measure("00:00:00", style{clock, true}) + 2
	w := s.width - 2*margin - clockWidth - margin
	type shows struct{ room, role string }
	s.part(margin, 0, w, height, shows{st.Room, st.Role}, func() { s.who(st, margin, height, w, room, role) })
	s.part(s.width-margin-clockWidth, 0, clockWidth, height, clockShown(st), func() {
		c := color.Color(text)
		if st.Clock.Level >= Warning {
			c = st.Clock.Level.color()
		}
		y := clock * 1.1
		small := style{clock * 0.62, false}
		s.right(st.Time.UTC().Format("15:04:05"), s.width-margin, y, clockWidth, style{clock, true}, c)
		s.right(st.Clock.Text, s.width-margin, y+small.size*1.15, clockWidth, s.shrunk(st.Clock.Text, clockWidth, small, small.size*0.8), st.Clock.Level.colorOr(dim))
	})
}

func clockShown(st State) any {
	type shows struct {
		second int64
		Line
	}
	return shows{st.Time.Unix(), st.Clock}
}

// colorOr is the level's colour, or another for what is good.
func (l Level) colorOr(c color.Color) color.Color {
	if l == Good {
		return c
	}
	return l.color()
}

// who is room and role on one line: the role whole, the room shrunk before it
// is cut.
func (s *Screen) who(st State, margin, height, w, room, role float64) {
	base := height - room*0.3
	name, c := st.Room, color.Color(text)
	if name == "" {
		name, c, room = "no room yet", dim, room*0.8
	}
	r := style{role, false}
	roleWidth := 0.0
	if st.Role != "" {
		roleWidth = min(s.measure(st.Role, r), w*0.45) + role*0.4
	}
	t := s.shrunk(name, w-roleWidth, style{room, true}, room*0.62)
	used := s.text(name, margin, base, w-roleWidth, t, c)
	s.text(st.Role, margin+used+role*0.4, base, roleWidth, r, dim)
}

// row is a line of state: light, label, text.
type row struct {
	label string
	Line
}

// rowsAt draws rows one under the other, each pitch high; one without a text
// is left out. Labels make a column of their own.
func (s *Screen) rowsAt(x, y, w, pitch, size float64, rows ...row) {
	indent := 0.0
	for _, r := range rows {
		if r.label != "" {
			indent = max(indent, s.measure(r.label, style{size, false})+size*0.5)
		}
	}
	for i, r := range rows {
		top := y + float64(i)*pitch
		type shows struct {
			row
			indent, size float64
		}
		s.part(x, top, w, pitch, shows{r, indent, size}, func() {
			if r.Text == "" {
				return
			}
			base, at := top+pitch/2+size*0.36, x+size
			s.dot(x+size*0.36, top+pitch/2, size*0.33, r.Level)
			s.text(r.label, at, base, indent, style{size, false}, dim)
			at += indent
			t := style{size, r.Level >= Warning}
			w := x + w - at
			s.text(r.Text, at, base, w, s.shrunk(r.Text, w, t, size*0.8), r.Level.color())
		})
	}
}

// alarmsAt is what is wrong, over the whole width, in one block from y to the
// screen's bottom: the worst first, as many as there is room for, and how many
// more there are.
func (s *Screen) alarmsAt(y, size, margin float64, alarms []Line) {
	h := s.height - y
	s.part(0, y, s.width, h, joined(alarms), func() {
		if len(alarms) == 0 {
			return
		}
		fill, ink := color.Color(warning), color.Color(color.Black)
		if alarms[0].Level == Bad {
			fill, ink = alarm, color.White
		}
		s.box(0, y, s.width, h, fill)
		t, lines := s.alarmStyle(alarms, h, s.width-2*margin, size)
		size := t.size
		step := min(h/float64(len(lines)), size*1.3)
		top := y + (h-step*float64(len(lines)))/2
		for i, l := range lines {
			s.text(l, margin, top+step*(float64(i)+0.5)+size*0.36, s.width-2*margin, t, ink)
		}
	})
}

// alarmStyle is the largest text of size or more that needs no cutting, or size.
func (s *Screen) alarmStyle(alarms []Line, h, w, size float64) (t style, lines []string) {
	for _, f := range []float64{1.7, 1.5, 1.3, 1.15, 1} {
		t = style{size * f, true}
		most := int(h / (t.size * 1.15))
		if lines = s.alarmLines(alarms, w, t, most); most >= len(alarms) && !strings.Contains(strings.Join(lines, ""), "…") {
			break
		}
	}
	return t, lines
}

func joined(lines []Line) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(strconv.Itoa(int(l.Level)) + l.Text + "\n")
	}
	return b.String()
}

// alarmLines gives each alarm a line and what lines are left to those that are
// long, the worst first.
func (s *Screen) alarmLines(alarms []Line, w float64, t style, most int) (lines []string) {
	most = max(most, 1)
	for i, a := range alarms {
		left, after := most-len(lines), len(alarms)-i-1
		if left == 0 {
			break
		}
		line := a.Text
		if left == 1 && after > 0 {
			more := " (+" + strconv.Itoa(after) + ")"
			lines = append(lines, s.fit(line, w-s.measure(more, t), t)+more)
			break
		}
		lines = append(lines, s.wrap(line, w, t, max(left-after, 1))...)
	}
	return lines
}
