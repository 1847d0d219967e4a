package picture

import (
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/openvideobox/videobox/internal/media"
)

// The block code carries a frame number as black and white cells in the lowest
// sixth of the test pattern: 3 rows of 32, the 64-bit number (most significant
// bit first) and its CRC-32. A cell is 1/32 of the width by 1/18 of the height:
// 10x10 pixels where the pattern is scaled to 320x180.
const (
	codeColumns = 32
	codeRows    = 3
	codeTop     = 15 // in codeHeight-ths of the picture
	codeHeight  = 18

	cellBlack, cellWhite = 24, 227 // inside the limited range, so ringing is not clipped
)

// ErrNoCode is what ReadNumber returns where no block code is.
var ErrNoCode = errors.New("picture: no frame number")

func code(n int64) [codeRows]uint32 {
	return [codeRows]uint32{uint32(uint64(n) >> 32), uint32(n), checksum(uint64(n))}
}

// checksum is the CRC-32 (IEEE 802.3) of n's bytes, most significant first.
// crc32.ChecksumIEEE is the same, but makes its argument escape to the heap.
func checksum(n uint64) uint32 {
	crc := ^uint32(0)
	for shift := 56; shift >= 0; shift -= 8 {
		crc = crc32.IEEETable[byte(crc)^byte(n>>shift)] ^ crc>>8
	}
	return ^crc
}

// cell is where a cell of the code lies in r, less margin 1/part of its size on
// each side (part 0: no margin).
func cell(r Rect, column, row, part int) Rect {
	x0, x1 := column*r.W/codeColumns, (column+1)*r.W/codeColumns
	y0, y1 := (codeTop+row)*r.H/codeHeight, (codeTop+row+1)*r.H/codeHeight
	if part > 0 {
		mx, my := (x1-x0)/part, (y1-y0)/part
		x0, x1, y0, y1 = x0+mx, x1-mx, y0+my, y1-my
	}
	return Rect{r.X + x0, r.Y + y0, x1 - x0, y1 - y0}
}

// codeStrip is the part of f that drawCode draws over, and a little above where
// the height is no multiple of 18.
func codeStrip(f *media.Frame) Rect {
	y := f.Height * codeTop / codeHeight &^ 1
	return Rect{0, y, f.Width, f.Height - y}
}

// drawCode draws the cells of n; their chroma must already be grey.
func drawCode(f *media.Frame, n int64) {
	var line [codeRows][codeColumns]byte
	for row, bits := range code(n) {
		for c := range codeColumns {
			line[row][c] = cellBlack + (cellWhite-cellBlack)*byte(bits>>(codeColumns-1-c)&1)
		}
	}
	for row := range codeRows {
		first := cell(Whole(f), 0, row, 0)
		for c, v := range line[row] {
			r := cell(Whole(f), c, row, 0)
			fillBytes(f.Y[r.Y*f.YStride+r.X:][:r.W], v)
		}
		top := f.Y[first.Y*f.YStride:][:f.Width]
		for y := first.Y + 1; y < first.Y+first.H; y++ {
			copy(f.Y[y*f.YStride:], top)
		}
	}
}

func fillBytes(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}

// ReadNumber reads the frame number from the test pattern that fills the part r
// of f, at any size down to about 128x72. An error wraps ErrNoCode: what looks
// like a number but fails its checksum is never returned.
func ReadNumber(f *media.Frame, r Rect) (int64, error) {
	if r.In(f) != r || r.W < codeColumns*2 || r.H < codeHeight*2 {
		return 0, fmt.Errorf("%w: %v of a frame of %dx%d is too small or outside", ErrNoCode, r, f.Width, f.Height)
	}
	var means [codeRows][codeColumns]int
	low, high := 255, 0
	for row := range codeRows {
		for c := range codeColumns {
			m := meanLuma(f, cell(r, c, row, 4))
			means[row][c] = m
			low, high = min(low, m), max(high, m)
		}
	}
	if high-low < 60 {
		return 0, fmt.Errorf("%w: the cells' contrast is %d of at least 60", ErrNoCode, high-low)
	}
	return decode(means, (low+high)/2)
}

func decode(means [codeRows][codeColumns]int, threshold int) (int64, error) {
	var words [codeRows]uint32
	for row := range codeRows {
		for _, m := range means[row] {
			words[row] <<= 1
			if m > threshold {
				words[row] |= 1
			}
		}
	}
	n := int64(uint64(words[0])<<32 | uint64(words[1]))
	if want := code(n); words != want {
		return 0, fmt.Errorf("%w: checksum %08x, want %08x", ErrNoCode, words[2], want[2])
	}
	return n, nil
}

func meanLuma(f *media.Frame, r Rect) int {
	if r.W <= 0 || r.H <= 0 {
		return 0
	}
	sum := 0
	for y := r.Y; y < r.Y+r.H; y++ {
		for _, v := range f.Y[y*f.YStride+r.X:][:r.W] {
			sum += int(v)
		}
	}
	return sum / (r.W * r.H)
}
