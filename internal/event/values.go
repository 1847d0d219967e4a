package event

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// size is a picture's, written 1280x720.
type size struct{ width, height int }

// UnmarshalText reads WIDTHxHEIGHT.
func (s *size) UnmarshalText(text []byte) error {
	w, h, ok := strings.Cut(string(text), "x")
	width, err1 := strconv.Atoi(w)
	height, err2 := strconv.Atoi(h)
	switch {
	case !ok || err1 != nil || err2 != nil:
		return fmt.Errorf("%q is no size; write it as 1280x720", text)
	case width < 64 || height < 64 || width > 4096 || height > 4096:
		return fmt.Errorf("a size of %s; width and height must be from 64 to 4096", text)
	case width%2 != 0 || height%2 != 0:
		return fmt.Errorf("a size of %s; width and height must be even, such as %dx%d", text, width/2*2, height/2*2)
	}
	s.width, s.height = width, height
	return nil
}

// MarshalText writes WIDTHxHEIGHT.
func (s size) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%dx%d", s.width, s.height), nil
}

// frameRate is in whole frames a second.
type frameRate int

// UnmarshalText takes the rates whose frames fall on whole 90 kHz ticks: the
// four that hardware sends, and lower ones for virtual machines.
func (r *frameRate) UnmarshalText(text []byte) error {
	n, err := strconv.Atoi(string(text))
	good := n == 25 || n == 30 || n == 50 || n == 60 || n >= 5 && n < 25 && 90000%n == 0
	if err != nil || !good {
		return fmt.Errorf("%s frames a second; use 25, 30, 50 or 60 (a slow machine: 10, 15 or 20)", text)
	}
	*r = frameRate(n)
	return nil
}

// MarshalText writes the number.
func (r frameRate) MarshalText() ([]byte, error) { return strconv.AppendInt(nil, int64(r), 10), nil }

// bitrate is in bit/s, written 4000k, 4M or 4000000.
type bitrate int

var bitrateUnits = []unit{{"k", 1e3}, {"M", 1e6}}

// UnmarshalText reads a number with an optional k or M.
func (b *bitrate) UnmarshalText(text []byte) error {
	n, ok := parseUnits(string(text), bitrateUnits)
	switch {
	case !ok:
		return fmt.Errorf("%q is no bitrate; write it as 4000k, 4M or 4000000 (bit/s)", text)
	case n < 8_000 || n > 200_000_000:
		return fmt.Errorf("a bitrate of %s; it must be from 8k to 200M (bit/s)", text)
	}
	*b = bitrate(n)
	return nil
}

// MarshalText writes bit/s, in k when that is exact.
func (b bitrate) MarshalText() ([]byte, error) {
	if b%1000 == 0 {
		return fmt.Appendf(nil, "%dk", b/1000), nil
	}
	return fmt.Appendf(nil, "%d", b), nil
}

// byteSize is in bytes, written 1GiB, 500MiB, 2GB or 1048576.
type byteSize int64

var byteUnits = []unit{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
}

// UnmarshalText reads a number with an optional unit.
func (b *byteSize) UnmarshalText(text []byte) error {
	n, ok := parseUnits(string(text), byteUnits)
	if !ok {
		return fmt.Errorf("%q is no size in bytes; write it as 1GiB, 500MiB, 2GB or 1048576", text)
	}
	*b = byteSize(n)
	return nil
}

// MarshalText writes bytes, in the largest binary unit that is exact.
func (b byteSize) MarshalText() ([]byte, error) {
	for i := 3; i >= 0; i-- {
		if u := byteUnits[i]; b >= byteSize(u.factor) && b%byteSize(u.factor) == 0 {
			return fmt.Appendf(nil, "%d%s", int64(b)/int64(u.factor), u.name), nil
		}
	}
	return fmt.Appendf(nil, "%d", b), nil
}

type unit struct {
	name   string
	factor float64
}

// parseUnits reads a number that is not negative, fits an int64 and is whole
// after its unit is applied.
func parseUnits(text string, units []unit) (int64, bool) {
	factor := 1.0
	for _, u := range units {
		if number, ok := strings.CutSuffix(text, u.name); ok {
			text, factor = strings.TrimSpace(number), u.factor
			break
		}
	}
	if text == "" || strings.Trim(text, "0123456789.") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(text, 64)
	if n *= factor; err != nil || n != math.Trunc(n) || n >= 1<<53 {
		return 0, false
	}
	return int64(n), true
}
