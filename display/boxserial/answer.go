package boxserial

import (
	"bytes"
	"io"
	"strings"
)

// answer is the last line of what a display says to a command.
type answer struct {
	ok   bool
	text string // the command that it was, or why it failed
}

// parse says whether a line is an answer: "ok display.img", "ok pb.temp: 3",
// "fail given rectangle …", or a bare "fail".
func parse(line string) (answer, bool) {
	word, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
	switch word {
	case "ok":
		rest, _, _ = strings.Cut(rest, ":")
		return answer{true, strings.TrimSpace(rest)}, rest != ""
	case "fail":
		return answer{false, strings.TrimSpace(rest)}, true
	}
	return answer{}, false
}

// maxLine is longer than any line that a display says.
const maxLine = 256

// lines reads lines; one that is longer than maxLine is passed over.
type lines struct {
	r      io.Reader
	buffer []byte
	long   bool // the rest of a line that is too long is still to come
}

func (l *lines) next() (string, error) {
	for {
		if i := bytes.IndexByte(l.buffer, '\n'); i >= 0 {
			line, skip := string(l.buffer[:i]), l.long || i > maxLine
			l.buffer, l.long = l.buffer[i+1:], false
			if !skip {
				return line, nil
			}
			continue
		}
		if len(l.buffer) > maxLine {
			l.buffer, l.long = l.buffer[:0], true
		}
		var piece [256]byte
		n, err := l.r.Read(piece[:])
		l.buffer = append(l.buffer, piece[:n]...)
		if err != nil && n == 0 {
			return "", err
		}
	}
}
