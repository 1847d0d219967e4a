package run

import (
	"bufio"
	"os"
	"strings"
	"time"
)

// A child may write as many lines as it likes; this many a second are logged.
// ffmpeg with a broken input writes thousands.
const (
	linesPerSecond = 20
	maxLine        = 1024 // bytes; the rest of a line is cut
)

// lineLogger reads a child's stderr to its end, so that the child never blocks
// on it, and logs it line by line.
type lineLogger struct {
	file    *os.File
	child   Child
	last    string // the newest line, for the error
	window  int64  // when the current second began
	lines   int
	dropped int
}

func newLineLogger(c Child) *lineLogger { return &lineLogger{child: c} }

func (l *lineLogger) run() {
	defer l.file.Close()
	s := bufio.NewReaderSize(l.file, 4096)
	var line []byte
	for {
		b, err := s.ReadByte()
		switch {
		case err != nil:
			l.line(line)
			l.flush()
			return
		case b == '\n' || b == '\r': // ffmpeg's progress ends in CR
			l.line(line)
			line = line[:0]
		case len(line) < maxLine:
			line = append(line, b)
		}
	}
}

func (l *lineLogger) line(b []byte) {
	text := strings.TrimSpace(strings.ToValidUTF8(string(b), "?"))
	if text == "" {
		return
	}
	l.last = text
	if l.child.Line != nil {
		l.child.Line(text)
		return
	}
	if now := l.child.Clock.Now(); now-l.window >= int64(time.Second) {
		l.flush()
		l.window, l.lines = now, 0
	}
	if l.lines++; l.lines > linesPerSecond {
		l.dropped++
		return
	}
	l.child.Log.Info(text, "child", l.child.Name)
}

func (l *lineLogger) flush() {
	if l.dropped > 0 {
		l.child.Log.Warn("lines not logged", "child", l.child.Name, "lines", l.dropped)
		l.dropped = 0
	}
}
