package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

const (
	// below is how far cells are indented for which there was no room beside the
	// others.
	below = 4
	// roomy is what the last column has at least; else it goes below.
	roomy = 24
	// narrow is a terminal of which nothing is expected: it is left to wrap lines.
	narrow = 40
)

// table prints columns below each other. On a terminal, columns for which there is
// no room go below the others, and what is still too long is wrapped; elsewhere a
// row is a line.
func table(out io.Writer, head []string, rows [][]string) {
	edge := columns(out)
	if edge < narrow {
		edge = math.MaxInt
	}
	printTable(out, edge, append([][]string{head}, rows...))
}

// columns is the width of a terminal; 0 of anything else.
func columns(out io.Writer) int {
	f, ok := out.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}

// printTable prints rows of which no line goes beyond the edge.
func printTable(out io.Writer, edge int, rows [][]string) {
	width := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, cell := range r {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for _, r := range rows {
		for _, l := range strings.Split(arrange(r, width, edge), "\n") {
			if l = strings.TrimRight(l, " "); l != "" {
				fmt.Fprintln(out, l)
			}
		}
	}
}

// arrange puts the cells of a row beside and below each other.
func arrange(row []string, width []int, edge int) string {
	var b strings.Builder
	at := 0
	for i, cell := range row {
		need := width[i]
		if i == len(row)-1 {
			need = min(need, roomy)
		}
		if at > below && need > edge-at {
			b.WriteString("\n" + strings.Repeat(" ", below))
			at = below
		}
		b.WriteString(wrap(cell, edge-at, at) + strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)+2))
		at += width[i] + 2
	}
	return b.String()
}

// wrap breaks text of more than room characters between words; further lines are
// indented.
func wrap(text string, room, indent int) string {
	if utf8.RuneCountInString(text) <= room {
		return text
	}
	var b strings.Builder
	used := 0
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case used == 0:
		case used+1+n > room:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			used = 0
		default:
			b.WriteString(" ")
			used++
		}
		b.WriteString(word)
		used += n
	}
	return b.String()
}

// or is s, or a word for nothing.
func or(s, nothing string) string {
	if s == "" {
		return nothing
	}
	return s
}

// printable is what a box says of itself, for a terminal: without what could
// move its cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, s)
}
