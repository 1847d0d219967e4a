package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/openvideobox/videobox/images/fleet/internal/rollout"
)

// show tells of a rollout as it goes on. On a terminal, boxes that are at
// something have a line each below those that are done, drawn again and again;
// elsewhere each step is a line.
type show struct {
	out      io.Writer
	terminal bool
	width    int
	now      func() time.Time

	rows  []rollout.Row // in the order of the event file
	lines int           // drawn below what stays
	drawn time.Time
}

// redraw is the time between two pictures on a terminal, unless a box is done.
const redraw = 200 * time.Millisecond

// changed takes a row's new state.
func (s *show) changed(r rollout.Row) {
	i := slices.IndexFunc(s.rows, func(o rollout.Row) bool { return o.Box == r.Box })
	var before rollout.Row
	if i < 0 {
		s.rows = append(s.rows, r)
	} else {
		before, s.rows[i] = s.rows[i], r
	}
	switch {
	case !s.terminal:
		if step(before, r) {
			fmt.Fprintln(s.out, line(r))
		}
	case r.Result != "" && r.Result != rollout.Untouched || noted(before, r):
		s.draw(line(r))
	case before.Phase != r.Phase || s.now().Sub(s.drawn) >= redraw:
		s.draw("")
	}
}

// step says whether a change is worth a line in a log: another phase, a further
// quarter of the bundle, the end, and before all that what the box doesn't know.
func step(before, r rollout.Row) bool {
	switch {
	case noted(before, r):
		return true
	case r.Result == rollout.Untouched || r.Phase == rollout.Looking || r.Phase == rollout.Waiting:
		return false // the table at the end says it
	case r.Phase != before.Phase || r.Result != before.Result:
		return true
	}
	return r.Size > 0 && 4*r.Sent/r.Size != 4*before.Sent/r.Size && r.Sent < r.Size
}

// noted says whether a box that is to get the bundle has said what it doesn't
// know. It is told at once: later, it may have been in a talk.
func noted(before, r rollout.Row) bool {
	return r.Phase == rollout.Waiting && r.Note != "" && r.Note != before.Note
}

// line is a box as a line.
func line(r rollout.Row) string {
	text := r.Box + ": "
	switch {
	case r.Result != "":
		text += string(r.Result)
		if r.From != r.To {
			text += ", " + r.From + " → " + r.To
		}
		if r.Result == rollout.Updated && r.Outage >= 0 {
			text += fmt.Sprintf(", stream away for %.1f s", r.Outage.Seconds())
		}
		if r.Reason != "" {
			text += ": " + r.Reason
		}
	case r.Phase == rollout.Sending && r.Size > 0:
		text += fmt.Sprintf("%s %3d %% of %.0f MB", r.Phase, 100*r.Sent/r.Size, float64(r.Size)/1e6)
	case r.Phase == rollout.Trying && r.Trying > 0:
		text += fmt.Sprintf("%s for %.0f s", r.Phase, r.Trying.Seconds())
	case r.Phase == rollout.Waiting && r.Note != "":
		text += string(r.Phase) + "; " + r.Note
	default:
		text += string(r.Phase)
	}
	if r.Canary {
		text += " (canary)"
	}
	return printable(text)
}

// draw writes a line that stays, and below it what goes on.
func (s *show) draw(stays string) {
	s.drawn = s.now()
	var b strings.Builder
	if s.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", s.lines)
	}
	b.WriteString("\r\x1b[J")
	if stays != "" {
		b.WriteString(stays + "\n")
	}
	s.lines = 0
	done := 0
	for _, r := range s.rows {
		switch {
		case r.Result != "":
			done++
		case r.Phase == rollout.Sending || r.Phase == rollout.Trying || r.Phase == rollout.Away:
			b.WriteString(s.cut(line(r)) + "\n")
			s.lines++
		}
	}
	b.WriteString(s.cut(fmt.Sprintf("%d of %d boxes done", done, len(s.rows))) + "\n")
	s.lines++
	io.WriteString(s.out, b.String())
}

// cut keeps a line from becoming two, which would not be found again.
func (s *show) cut(text string) string {
	if r := []rune(text); s.width > 1 && len(r) >= s.width {
		return string(r[:s.width-2]) + "…"
	}
	return text
}

// end leaves the terminal to what comes after.
func (s *show) end() {
	if s.lines > 0 {
		fmt.Fprintf(s.out, "\x1b[%dA\r\x1b[J", s.lines)
		s.lines = 0
	}
}
