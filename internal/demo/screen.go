package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// screen shows the table: in place on a terminal (a line a part where it has few
// rows), else as lines, whole now and then and a line at once for each change of
// state.
type screen struct {
	out      *os.File
	terminal bool
	every    time.Duration
	open     []string
	last     time.Time
	drawn    int // lines on the terminal
	states   map[string]string
}

func newScreen(out *os.File, every time.Duration, open []string) *screen {
	return &screen{out: out, terminal: isTerminal(out), every: every, open: open, states: map[string]string{}}
}

func (s *screen) show(views []view, since time.Time) {
	now := time.Now()
	if s.terminal {
		s.draw(views, since, now)
		return
	}
	s.changes(views, now.Sub(since))
	if now.Sub(s.last) >= s.every {
		s.last = now
		var b bytes.Buffer
		table(&b, views, since, now, 1000, false)
		_, _ = s.out.Write(b.Bytes())
	}
}

// draw writes over what it drew before.
func (s *screen) draw(views []view, since, now time.Time) {
	width, height := 120, 50
	if w, err := unix.IoctlGetWinsize(int(s.out.Fd()), unix.TIOCGWINSZ); err == nil && w.Col > 0 {
		width, height = int(w.Col), int(w.Row)
	}
	lines := s.lines(views, since, now, width, false)
	if len(lines) > height-1 {
		lines = s.lines(views, since, now, width, true)
	}
	lines = lines[:min(len(lines), height-1)]
	var out bytes.Buffer
	if s.drawn > 0 {
		fmt.Fprintf(&out, "\x1b[%dA", s.drawn)
	}
	for _, l := range lines {
		out.WriteString("\x1b[2K" + l + "\n")
	}
	out.WriteString("\x1b[J")
	s.drawn = len(lines)
	_, _ = s.out.Write(out.Bytes())
}

// lines are the table and, below it, what to open.
func (s *screen) lines(views []view, since, now time.Time, width int, brief bool) []string {
	var b bytes.Buffer
	table(&b, views, since, now, width, brief)
	for _, o := range s.open {
		fmt.Fprintf(&b, "%.*s\n", width, "open "+o)
	}
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

// changes prints a line for each part or hop whose state is another than before.
func (s *screen) changes(views []view, since time.Duration) {
	for _, v := range views {
		for i, r := range v.rows(false) {
			key := v.part.name + "/" + r.hop
			if i == 0 && r.hop == "" {
				key = v.part.name
			}
			if s.states[key] == r.state {
				continue
			}
			s.states[key] = r.state
			fmt.Fprintf(s.out, "%7.1fs %s\n", since.Seconds(), strings.Join(strings.Fields(fmt.Sprintf("%s %s %s: %s %s", v.part.name, r.hop, r.address, r.state, r.note)), " "))
		}
	}
}
