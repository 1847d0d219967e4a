// Package logs keeps what a box's programs and its kernel have said, over
// restarts of the box, and sends it to a syslog server.
//
// gokrazy's init keeps the last lines of each program in memory and hands them
// out by HTTP on a unix socket; what the kernel says is read from /dev/kmsg.
// Here they go, with time and program, into a ring of files on the data
// partition. A card wears out by writing: lines are gathered for seconds, and
// how much is written in that time is bounded.
package logs

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/openvideobox/videobox/internal/clock"
)

const (
	fileBytes  = 1 << 20
	fileCount  = 8
	flushEvery = 5 * time.Second
	flushBytes = 128 << 10 // at most in that time: 2 GB a day, were it always so
	lineBytes  = 2 << 10
	timeForm   = "2006-01-02T15:04:05.000Z"
	bootName   = "boot" // of the line that begins a boot
)

// Level is how bad a line is.
type Level int

// Levels, with syslog's severities, RFC 5424, 6.2.1.
const (
	Error   Level = 3
	Warning Level = 4
	Info    Level = 6
)

// Line is one line of one program.
type Line struct {
	Time    time.Time
	Program string
	Level   Level
	Text    string
}

func (l Line) String() string {
	return l.Time.UTC().Format(timeForm) + " " + l.Program + " " + l.Text + "\n"
}

// Ring is the files, and what is not in them yet.
type Ring struct {
	dir   string
	ready <-chan struct{} // closed once dir may be used
	boot  string
	clk   clock.Clock
	sinks []func(Line)

	hurry chan struct{} // of capacity 1: something bad is to be kept

	mu      sync.Mutex
	pending bytes.Buffer
	dropped int
	failed  string

	disk sync.Mutex // of the files
}

// NewRing makes a ring in a folder that may be used once ready is closed. Boot
// tells this boot of the box from others. Sinks get each line, too, and must not
// block.
func NewRing(dir, boot string, ready <-chan struct{}, clk clock.Clock, sinks ...func(Line)) *Ring {
	return &Ring{dir: dir, boot: boot, ready: ready, clk: clk, sinks: sinks, hurry: make(chan struct{}, 1)}
}

// Add takes a line. It never blocks for the disk.
func (r *Ring) Add(l Line) {
	l.Text = clean(l.Text)
	for _, s := range r.sinks {
		s(l)
	}
	text := l.String()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending.Len()+len(text) > flushBytes {
		r.dropped++
		return
	}
	r.pending.WriteString(text)
	if l.Level <= Error {
		select {
		case r.hurry <- struct{}{}:
		default:
		}
	}
}

// clean makes one line of bounded length of whatever a program wrote.
func clean(s string) string {
	if len(s) > lineBytes {
		s = strings.ToValidUTF8(s[:lineBytes], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\t' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// Run writes until the context ends, and then what is left.
func (r *Ring) Run(ctx context.Context) error {
	select {
	case <-r.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	r.begin()
	for {
		reached, stop := r.clk.After(r.clk.Now() + int64(flushEvery))
		select {
		case <-reached:
		case <-r.hurry:
			stop()
			r.flush()
			if err := clock.Sleep(ctx, r.clk, time.Second); err != nil { // many errors are one write a second
				r.flush()
				return err
			}
			continue
		case <-ctx.Done():
			stop()
			r.flush()
			return ctx.Err()
		}
		r.flush()
	}
}

// begin marks the boot, unless boxd alone was started again.
func (r *Ring) begin() {
	if r.lastBoot() == r.boot {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	rest := bytes.Clone(r.pending.Bytes())
	r.pending.Reset()
	r.pending.WriteString(r.mark())
	r.pending.Write(rest)
}

// mark is the line that says which boot those after it are of.
func (r *Ring) mark() string {
	return Line{Time: time.Unix(0, r.clk.Now()), Program: bootName, Text: r.boot}.String()
}

// flush appends what is pending to the newest file and sees that it reaches the
// card.
func (r *Ring) flush() {
	r.mu.Lock()
	if r.dropped > 0 {
		r.pending.WriteString(Line{time.Unix(0, r.clk.Now()), "log", Warning, fmt.Sprintf("%d lines left out: too many at once", r.dropped)}.String())
		r.dropped = 0
	}
	data := bytes.Clone(r.pending.Bytes())
	r.pending.Reset()
	r.mu.Unlock()
	if len(data) == 0 {
		return
	}
	r.disk.Lock()
	defer r.disk.Unlock()
	if err := r.append(data); err != nil && err.Error() != r.failed {
		r.failed = err.Error()
		slog.Warn("the log can't be kept", "err", err)
	}
}

func (r *Ring) append(data []byte) error {
	path, fresh, err := r.newest(len(data))
	if err != nil {
		return err
	}
	if fresh && !bytes.Contains(data, []byte(" "+bootName+" "+r.boot+"\n")) {
		data = append([]byte(r.mark()), data...) // each file says which boot it begins in
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// newest is the file to append to, a fresh one if the last would become too
// long; then the oldest go.
func (r *Ring) newest(n int) (path string, fresh bool, err error) {
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return "", false, err
	}
	list, err := r.files()
	if err != nil {
		return "", false, err
	}
	number := 1
	if len(list) > 0 {
		last := list[len(list)-1]
		info, err := os.Stat(last.path)
		if err != nil {
			return "", false, err
		}
		if info.Size()+int64(n) <= fileBytes {
			return last.path, false, nil
		}
		number = last.number + 1
	}
	for _, old := range list[:max(0, len(list)-fileCount+1)] {
		if err := os.Remove(old.path); err != nil {
			return "", false, err
		}
	}
	return filepath.Join(r.dir, fmt.Sprintf("%08d.log", number)), true, nil
}

type file struct {
	path   string
	number int
}

// files are the ring's, the oldest first.
func (r *Ring) files() (list []file, err error) {
	found, err := filepath.Glob(filepath.Join(r.dir, "*.log"))
	for _, path := range found {
		if n, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(path), ".log")); err == nil {
			list = append(list, file{path, n})
		}
	}
	slices.SortFunc(list, func(a, b file) int { return cmp.Compare(a.number, b.number) })
	return list, err
}

// each goes through all that is kept, then through what is pending, with the
// boot that a line belongs to.
func (r *Ring) each(f func(boot, program, line string)) error {
	r.disk.Lock()
	defer r.disk.Unlock()
	boot := ""
	take := func(line string) {
		_, rest, _ := strings.Cut(line, " ")
		program, text, _ := strings.Cut(rest, " ")
		if program == bootName {
			boot = text
		}
		f(boot, program, line)
	}
	list, err := r.files()
	for _, x := range list {
		err = errors.Join(err, scan(x.path, take))
	}
	r.mu.Lock()
	rest := r.pending.String()
	r.mu.Unlock()
	for line := range strings.Lines(rest) {
		take(strings.TrimSuffix(line, "\n"))
	}
	return err
}

func scan(path string, f func(string)) error {
	data, err := os.Open(path)
	if err != nil {
		return err
	}
	defer data.Close()
	s := bufio.NewScanner(data)
	s.Buffer(nil, 1<<20) // a power cut may leave zeros, which are one long line
	for s.Scan() {
		f(s.Text())
	}
	return nil
}

func (r *Ring) lastBoot() (last string) {
	_ = r.each(func(boot, _, _ string) { last = boot })
	return last
}

// retold is more than what init keeps of a program, 100 lines of each of its
// two outputs, and than what the kernel says while it starts.
const retold = 1000

// said are the last texts of a program in this boot: init and kernel tell them
// again after boxd was started again.
func (r *Ring) said(program string) map[string]bool {
	var last []string
	_ = r.each(func(boot, p, line string) {
		if boot == r.boot && p == program {
			_, rest, _ := strings.Cut(line, " ")
			_, text, _ := strings.Cut(rest, " ")
			if last = append(last, text); len(last) > 2*retold {
				last = slices.Clone(last[retold:])
			}
		}
	})
	texts := map[string]bool{}
	for _, t := range last {
		texts[t] = true
	}
	return texts
}
