package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table prints columns below each other. The last one may be as long as it is.
func table(out io.Writer, head []string, rows [][]string) {
	width := make([]int, len(head))
	for _, r := range append([][]string{head}, rows...) {
		for i, cell := range r {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for _, r := range append([][]string{head}, rows...) {
		var b strings.Builder
		for i, cell := range r {
			b.WriteString(cell + strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)+2))
		}
		fmt.Fprintln(out, strings.TrimRight(b.String(), " "))
	}
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
