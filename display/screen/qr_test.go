package screen

import (
	"errors"
	"fmt"
	"image"
	"strings"
	"testing"
	"time"
)

// TestCodeIsRead finds the QR code in the pictures of every state and size, and
// reads it as a telephone does: what stands there is the page's address.
func TestCodeIsRead(t *testing.T) {
	for name, change := range states {
		for _, size := range sizes {
			if size.X > 800 && name != "good" {
				continue // the layout of 800x480, only larger
			}
			s := base()
			change(&s)
			if size.X == 240 { // its page of the code
				s.Time = s.Time.Add(time.Duration(2-s.Time.Second()/tinyPage%3) * tinyPage * time.Second)
			}
			img := Draw(size.X, size.Y, s)
			text, module, err := readCode(img)
			switch {
			case s.Page == "":
				if err == nil {
					t.Errorf("%s, %v: a code of no page: %q", name, size, text)
				}
			case err != nil || text != shout(s.Page):
				t.Errorf("%s, %v: %q, %v, want %q", name, size, text, err, shout(s.Page))
			case module < 2:
				t.Errorf("%s, %v: modules of %d pixel are too small for a camera", name, size, module)
			}
		}
	}
	img := Draw(320, 240, base())
	at, module, _, _ := findCode(img)
	for i := range 12 * module * module { // a damaged column is seen
		p := img.Pix[img.PixOffset(at.X+12*module+i%module, at.Y+9*module+i/module):]
		p[0], p[1], p[2] = ^p[0], ^p[1], ^p[2]
	}
	if text, _, err := readCode(img); err == nil && text == shout(base().Page) {
		t.Error("a damaged code reads as if it were whole")
	}
}

// readCode reads a code of version 1 to 5 and level L, which have one block, by
// ISO/IEC 18004. It corrects nothing: what is drawn has no faults.
func readCode(img *image.RGBA) (text string, module int, err error) {
	at, module, n, ok := findCode(img)
	if !ok {
		return "", 0, errors.New("no finder patterns")
	}
	black := func(x, y int) bool { return dark(img, at, module, x, y) }
	format := 0
	for i := range 15 { // 7.9, around the first finder pattern
		x, y := min(i, 8), 8
		if i >= 6 {
			x = min(i+1, 8)
		}
		if i > 7 {
			x, y = 8, 14-i
			if i == 8 {
				y = 7
			}
		}
		format = format<<1 | bit(black(x, y))
	}
	if format ^= 0x5412; format>>13 != 1 {
		return "", 0, fmt.Errorf("format %#x isn't level L", format)
	}
	var bits []byte
	up := true
	for right := n - 1; right > 0; right -= 2 {
		if right == 6 {
			right--
		}
		for i := range n {
			y := i
			if up {
				y = n - 1 - i
			}
			for _, x := range []int{right, right - 1} {
				if !reserved(x, y, n) {
					bits = append(bits, byte(bit(black(x, y) != masked(format>>10&7, x, y))))
				}
			}
		}
		up = !up
	}
	text, err = segments(bits)
	return text, module, err
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func dark(img *image.RGBA, at image.Point, module, x, y int) bool {
	c := img.RGBAAt(at.X+x*module+module/2, at.Y+y*module+module/2)
	return int(c.R)+int(c.G)+int(c.B) < 384
}

// findCode looks for a white border and the three finder patterns (6.3.3).
func findCode(img *image.RGBA) (at image.Point, module, n int, ok bool) {
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			at = image.Pt(x, y)
			if dark(img, at, 1, -1, 0) || dark(img, at, 1, 0, -1) || !dark(img, at, 1, 0, 0) {
				continue
			}
			for module = 1; module <= 12; module++ {
				if !finder(img, at, module, 0, 0, true) {
					continue
				}
				for n = 21; n <= 37; n += 4 {
					if finder(img, at, module, n-7, 0, false) && finder(img, at, module, 0, n-7, false) {
						return at, module, n, true
					}
				}
			}
		}
	}
	return at, 0, 0, false
}

func finder(img *image.RGBA, at image.Point, module, left, top int, border bool) bool {
	for y := -1; y < 8; y++ {
		for x := -1; x < 8; x++ {
			ring := max(x-3, 3-x, y-3, 3-y)
			if !image.Pt(at.X+(left+x)*module, at.Y+(top+y)*module).In(img.Bounds()) || dark(img, at, module, left+x, top+y) != (ring != 2 && ring != 4) {
				return false
			}
		}
	}
	for i := 1; border && i <= quiet; i++ {
		if dark(img, at, module, 3, -i) || dark(img, at, module, -i, 3) {
			return false
		}
	}
	return true
}

// reserved are the modules without data: finder, timing and alignment patterns,
// and the format (6.3, 7.9).
func reserved(x, y, n int) bool {
	corner := x < 9 && y < 9 || x < 9 && y >= n-8 || x >= n-8 && y < 9
	alignment := n > 21 && x >= n-9 && x < n-4 && y >= n-9 && y < n-4
	return corner || x == 6 || y == 6 || alignment
}

// masked is table 10.
func masked(mask, x, y int) bool {
	switch mask {
	case 0:
		return (x+y)%2 == 0
	case 1:
		return y%2 == 0
	case 2:
		return x%3 == 0
	case 3:
		return (x+y)%3 == 0
	case 4:
		return (y/2+x/3)%2 == 0
	case 5:
		return x*y%2+x*y%3 == 0
	case 6:
		return (x*y%2+x*y%3)%2 == 0
	}
	return ((x+y)%2+x*y%3)%2 == 0
}

// segments reads text in the modes of 7.4, with the counts of versions 1 to 9.
func segments(bits []byte) (string, error) {
	const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
	take := func(n int) (v int) {
		for ; n > 0 && len(bits) > 0; n-- {
			v, bits = v<<1|int(bits[0]), bits[1:]
		}
		return v
	}
	var text strings.Builder
	for {
		switch mode := take(4); mode {
		case 0:
			return text.String(), nil
		case 1:
			for n := take(10); n > 0; n -= 3 {
				digits := min(n, 3)
				fmt.Fprintf(&text, "%0*d", digits, take(1+3*digits))
			}
		case 2:
			for n := take(9); n > 0; n -= 2 {
				v := take(6 + 5*bit(n > 1))
				if n > 1 {
					text.WriteByte(alphanumeric[v/45%45])
				}
				text.WriteByte(alphanumeric[v%45])
			}
		case 4:
			for n := take(8); n > 0; n-- {
				text.WriteByte(byte(take(8)))
			}
		default:
			return text.String(), fmt.Errorf("mode %d", mode)
		}
	}
}
