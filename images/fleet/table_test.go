package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/internal/metrics"
)

// terminal is one of so many columns, and what was written to it once it is closed.
func terminal(t *testing.T, width uint16) (tty *os.File, closed func() string) {
	t.Helper()
	ptm, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("needs pseudo-terminals, as any Linux has them: ", err)
	}
	t.Cleanup(func() { ptm.Close() })
	fd := int(ptm.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: width}); err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	text := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(ptm) // ends with EIO when the last writer closes
		text <- strings.ReplaceAll(string(all), "\r\n", "\n")
	}()
	return tty, func() string {
		tty.Close()
		return <-text
	}
}

// TestStatusOnATerminal: no line is longer than the terminal is wide, and no word is
// missing.
func TestStatusOnATerminal(t *testing.T) {
	all, found := conditions()
	all[1].status.Cause = "signal: no cable; recorder growing: " + strings.Repeat("it does not grow because the disk is full, ", 4) + "and more"
	all[1].update.Last.Reason = "no picture for 60 s after the start of 1.3: " + strings.Repeat("the slate is sent, ", 5) + "and no more"
	all[2].status.Version = "v1.2.0-17-gabcdef012345-dirty-and-more"
	all[3].status.State = metrics.Degraded
	var one strings.Builder
	_ = printStatus(&one, all, found) // the error is what isn't well
	for _, width := range []uint16{20, 60, 80, 100, 160, 1000} {
		tty, closed := terminal(t, width)
		_ = printStatus(tty, all, found)
		text := closed()
		if got, want := words(text), words(one.String()); !slices.Equal(got, want) {
			t.Errorf("%d columns: %q, want %q", width, got, want)
		}
		for l := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(l, "\n")); n > int(width) && width >= narrow {
				t.Errorf("%d columns: one of %d: %q", width, n, l)
			}
		}
		switch {
		case width == 80:
			golden(t, "status80.txt", text)
		case (width == 20 || width == 1000) && text != one.String():
			t.Errorf("%d columns: %s", width, text)
		}
	}
}

// words are those of a text, sorted.
func words(text string) []string {
	w := strings.Fields(text)
	slices.Sort(w)
	return w
}
