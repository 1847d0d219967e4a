package fb

import (
	"errors"
	"image"
	"image/color"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fake is a framebuffer, or a console, in memory.
type fake struct {
	v      variable
	f      fixed
	mem    []byte
	mode   uintptr
	closed int
	fail   error
}

func (f *fake) ioctl(request uintptr, arg unsafe.Pointer) error {
	switch request {
	case getVariable:
		*(*variable)(arg) = f.v
	case getFixed:
		*(*fixed)(arg) = f.f
	case getMode:
		*(*uint32)(arg) = uint32(f.mode)
	default:
		return unix.ENOTTY
	}
	return f.fail
}

func (f *fake) ioctlValue(request, value uintptr) error {
	if request == setMode {
		f.mode = value
		return f.fail
	}
	return unix.EINVAL // as many drivers answer FBIOBLANK
}

func (f *fake) WriteAt(p []byte, at int64) (int, error) {
	if f.fail != nil {
		return 0, f.fail
	}
	return copy(f.mem[at:], p), nil
}

func (f *fake) Close() error { f.closed++; return nil }

// formats as drivers have them.
var formats = map[string]struct {
	bits             uint32
	red, green, blue bitfield
	transp           bitfield
	want             []byte // of the colour 0xff8844
}{
	"XRGB8888": {32, bitfield{Offset: 16, Length: 8}, bitfield{Offset: 8, Length: 8}, bitfield{Length: 8}, bitfield{}, []byte{0x44, 0x88, 0xff, 0}},
	"ABGR8888": {32, bitfield{Length: 8}, bitfield{Offset: 8, Length: 8}, bitfield{Offset: 16, Length: 8}, bitfield{Offset: 24, Length: 8}, []byte{0xff, 0x88, 0x44, 0xff}},
	"RGB888":   {24, bitfield{Offset: 16, Length: 8}, bitfield{Offset: 8, Length: 8}, bitfield{Length: 8}, bitfield{}, []byte{0x44, 0x88, 0xff}},
	"RGB565":   {16, bitfield{Offset: 11, Length: 5}, bitfield{Offset: 5, Length: 6}, bitfield{Length: 5}, bitfield{}, []byte{0x48, 0xfc}},
	"XRGB1555": {16, bitfield{Offset: 10, Length: 5}, bitfield{Offset: 5, Length: 5}, bitfield{Length: 5}, bitfield{}, []byte{0x28, 0x7e}},
	"XR30":     {32, bitfield{Offset: 20, Length: 10}, bitfield{Offset: 10, Length: 10}, bitfield{Length: 10}, bitfield{}, []byte{0x10, 0x81, 0xc8, 0x3f}},
}

// noSys is a kernel without DRM.
const noSys = "/nonexistent"

func newFake(format string, w, h, pad int) *fake {
	c := formats[format]
	stride := w*int(c.bits)/8 + pad
	f := &fake{mem: make([]byte, stride*h)}
	f.v = variable{XRes: uint32(w), YRes: uint32(h), BitsPerPixel: c.bits, Red: c.red, Green: c.green, Blue: c.blue, Transp: c.transp}
	f.f = fixed{LineLength: uint32(stride), Visual: trueColor, SMemLen: uint32(len(f.mem))}
	return f
}

func picture(w, h int, c color.RGBA) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := 0; i < len(m.Pix); i += 4 {
		copy(m.Pix[i:], []byte{c.R, c.G, c.B, c.A})
	}
	return m
}

// The kernel's structs have these sizes on 64 bits (uapi/linux/fb.h).
func TestSizes(t *testing.T) {
	for name, c := range map[string]struct{ got, want uintptr }{
		"fb_var_screeninfo": {unsafe.Sizeof(variable{}), 160}, "fb_fix_screeninfo": {unsafe.Sizeof(fixed{}), 80},
		"red": {unsafe.Offsetof(variable{}.Red), 32}, "nonstd": {unsafe.Offsetof(variable{}.Nonstd), 80},
		"rotate": {unsafe.Offsetof(variable{}.Rotate), 136}, "smem_len": {unsafe.Offsetof(fixed{}.SMemLen), 24},
		"visual": {unsafe.Offsetof(fixed{}.Visual), 36}, "line_length": {unsafe.Offsetof(fixed{}.LineLength), 48},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", name, c.got, c.want)
		}
	}
}

func TestFormats(t *testing.T) {
	for name, c := range formats {
		f := newFake(name, 200, 100, 24)
		s, err := newScreen(name, f, noSys)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		img := picture(200, 100, color.RGBA{0xff, 0x88, 0x44, 0xff})
		if err := s.Draw(img, img.Rect); err != nil {
			t.Fatal(err)
		}
		stride, bytes := int(f.f.LineLength), int(c.bits)/8
		for _, at := range []int{0, 199 * bytes, 99*stride + 199*bytes} {
			if got := f.mem[at : at+bytes]; string(got) != string(c.want) {
				t.Errorf("%s at %d: % x, want % x", name, at, got, c.want)
			}
		}
		if string(f.mem[200*bytes:stride]) != string(make([]byte, stride-200*bytes)) {
			t.Errorf("%s: something is written behind the row", name)
		}
	}
}

// Only rows with a change are written, and where the visible part begins.
func TestOnlyChangedRows(t *testing.T) {
	f := newFake("RGB565", 200, 200, 0)
	f.v.YRes, f.v.YOffset = 100, 100
	s, err := newScreen("x", f, noSys)
	if err != nil {
		t.Fatal(err)
	}
	img := picture(200, 100, color.RGBA{255, 255, 255, 255})
	if err := s.Draw(img, image.Rect(10, 20, 30, 22)); err != nil {
		t.Fatal(err)
	}
	for i, b := range f.mem {
		x, y := i%400/2, i/400-100
		if want := y >= 20 && y < 22 && x >= 10 && x < 30; (b == 0xff) != want {
			t.Fatalf("%d,%d: %#x", x, y, b)
		}
	}
	if err := s.Draw(img, image.Rectangle{}); err != nil {
		t.Error(err)
	}
}

func TestLargeScreensAreDrawnCoarser(t *testing.T) {
	f := newFake("RGB565", 3840, 2160, 0)
	s, err := newScreen("x", f, noSys)
	if err != nil || s.Size() != image.Pt(1920, 1080) {
		t.Fatalf("%v, %v", s.Size(), err)
	}
	img := image.NewRGBA(image.Rect(0, 0, 1920, 1080))
	img.SetRGBA(100, 50, color.RGBA{255, 255, 255, 255})
	if err := s.Draw(img, image.Rect(100, 50, 101, 51)); err != nil {
		t.Fatal(err)
	}
	n := 0
	for i, b := range f.mem {
		if b != 0 {
			n++
			if x, y := i%7680/2, i/7680; x/2 != 100 || y/2 != 50 {
				t.Fatalf("%d,%d", x, y)
			}
		}
	}
	if n != 8 {
		t.Errorf("%d bytes for four pixels", n)
	}
}

func TestRefuses(t *testing.T) {
	for want, change := range map[string]func(*fake){
		"packed pixels":   func(f *fake) { f.f.Visual = 3 }, // pseudo colour
		"nothing":         func(f *fake) { f.v.XRes = 0 },
		"8 bits a pixel":  func(f *fake) { f.v.BitsPerPixel = 8 },
		"rows of":         func(f *fake) { f.f.LineLength = 100 },
		"bytes of memory": func(f *fake) { f.f.SMemLen = 1000 },
		"colour of":       func(f *fake) { f.v.Red.Offset = 30 },
		"no such device":  func(f *fake) { f.fail = unix.ENODEV },
	} {
		f := newFake("XRGB8888", 200, 100, 0)
		change(f)
		if _, err := newScreen("x", f, noSys); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestChangesAndErrors(t *testing.T) {
	f := newFake("XRGB8888", 200, 100, 0)
	s, err := newScreen("x", f, noSys)
	if err != nil {
		t.Fatal(err)
	}
	img := picture(200, 100, color.RGBA{})
	f.v.XRes = 100
	if err := s.Draw(img, img.Rect); !errors.Is(err, ErrChanged) {
		t.Errorf("another screen: %v", err)
	}
	f.v.XRes, f.fail = 200, unix.ENODEV
	if err := s.Draw(img, img.Rect); !errors.Is(err, unix.ENODEV) {
		t.Errorf("pulled out: %v", err)
	}
}

func TestConsole(t *testing.T) {
	f, tty := newFake("XRGB8888", 200, 100, 0), &fake{mode: modeText}
	s, err := newScreen("x", f, noSys)
	if err != nil {
		t.Fatal(err)
	}
	s.takeConsole(tty)
	if tty.mode != modeGraphics {
		t.Error("the console still prints")
	}
	s.Close()
	s.Close()
	if tty.mode != modeText || tty.closed != 1 || f.closed != 1 {
		t.Errorf("console %+v, framebuffer closed %d times", tty, f.closed)
	}
	none := &fake{fail: unix.ENOTTY}
	s.takeConsole(none)
	if none.closed != 1 || s.console != nil {
		t.Error("what is no console is kept")
	}
}

func BenchmarkDraw(b *testing.B) {
	for _, format := range []string{"XRGB8888", "RGB565"} {
		b.Run(format, func(b *testing.B) {
			s, err := newScreen("x", newFake(format, 1920, 1080, 0), noSys)
			if err != nil {
				b.Fatal(err)
			}
			img := picture(1920, 1080, color.RGBA{1, 2, 3, 4})
			for b.Loop() {
				if err := s.Draw(img, img.Rect); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
