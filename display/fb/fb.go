// Package fb shows pictures on Linux framebuffers (/dev/fb0), as HDMI on a
// Raspberry Pi, an EFI screen or a USB display has them: 15, 16, 24 or 32 bits a
// pixel, whatever order the colours are in.
//
// Pixels are written by pwrite(2), not to mapped memory: a display that is
// pulled out is an error then, not a SIGBUS, and drivers that copy what was
// written (DRM's, USB ones) see it at once. The console is switched to graphics
// meanwhile, so that the kernel prints nothing over the picture.
//
// From the kernel's uapi/linux/fb.h, uapi/linux/kd.h and fb/framebuffer.rst.
// Tested in QEMU on simple-framebuffer of kernel 6.12 and on bochs-drm and
// simpledrm and virtio-gpu of kernel 6.1, and on a fake.
package fb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"
	"path/filepath"
	"unsafe"
)

// ErrChanged says that the framebuffer has another shape than when it was
// opened, as when another screen was plugged in. Open it again.
var ErrChanged = errors.New("framebuffer has changed its shape")

// maxWidth is what is drawn at most; wider screens get each pixel several
// times, which costs less and is as readable.
const maxWidth = 1920

// device is an open framebuffer or console.
type device interface {
	io.WriterAt
	io.Closer
	ioctl(request uintptr, arg unsafe.Pointer) error
	ioctlValue(request, value uintptr) error
}

// Screen is an open framebuffer.
type Screen struct {
	name    string
	sys     string // where sysfs is
	dev     device
	console device // nil: there is none
	before  uint32 // the console's mode

	v      variable
	seen   image.Point // what of it the screens show
	stride int
	bytes  int            // a pixel
	factor int            // pixels of the screen for one that is drawn, each way
	colors [3][256]uint32 // of red, green and blue, in place
	shadow []byte
}

// List is which framebuffers there are, by path.
func List() []string {
	found, _ := filepath.Glob("/dev/fb[0-9]*") // only a bad pattern is an error
	return found
}

// Open opens a framebuffer, "/dev/fb0", and switches the console to graphics,
// if there is one.
func Open(path string) (*Screen, error) {
	dev, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("framebuffer: %w", err)
	}
	s, err := newScreen(path, dev, "/sys")
	if err != nil {
		dev.Close()
		return nil, fmt.Errorf("framebuffer %s: %w", path, err)
	}
	if tty, err := open("/dev/tty0"); err == nil {
		s.takeConsole(tty)
	}
	return s, nil
}

func newScreen(name string, dev device, sys string) (*Screen, error) {
	s := &Screen{name: name, dev: dev, sys: sys}
	var f fixed
	if err := dev.ioctl(getFixed, unsafe.Pointer(&f)); err != nil {
		return nil, fmt.Errorf("FBIOGET_FSCREENINFO: %w", err)
	}
	if err := dev.ioctl(getVariable, unsafe.Pointer(&s.v)); err != nil {
		return nil, fmt.Errorf("FBIOGET_VSCREENINFO: %w", err)
	}
	s.stride, s.bytes = int(f.LineLength), int(s.v.BitsPerPixel+7)/8
	if err := s.check(f); err != nil {
		return nil, err
	}
	s.seen = s.visible(s.v)
	s.factor = (s.seen.X + maxWidth - 1) / maxWidth
	for i, b := range []bitfield{s.v.Red, s.v.Green, s.v.Blue} {
		for c := range s.colors[i] {
			s.colors[i][c] = field(b, byte(c))
		}
	}
	s.shadow = make([]byte, s.stride*int(s.v.YRes))
	dev.ioctlValue(blank, unblank) // many drivers can't, and are on anyway
	return s, nil
}

// check refuses what can't be drawn on.
func (s *Screen) check(f fixed) error {
	v := s.v
	switch {
	case f.Type != packedPixels || f.Visual != trueColor && f.Visual != directColor || v.Nonstd != 0:
		return fmt.Errorf("type %d, visual %d, nonstd %d: only packed pixels of true colour can be drawn", f.Type, f.Visual, v.Nonstd)
	case v.XRes == 0 || v.YRes == 0 || v.XRes > 16384 || v.YRes > 16384:
		return fmt.Errorf("size %dx%d: nothing is connected", v.XRes, v.YRes)
	case s.bytes < 2 || s.bytes > 4:
		return fmt.Errorf("%d bits a pixel: 15, 16, 24 or 32 can be drawn", v.BitsPerPixel)
	case s.stride < int(v.XRes+v.XOffset)*s.bytes:
		return fmt.Errorf("rows of %d bytes for %d pixels of %d", s.stride, v.XRes, s.bytes)
	case f.SMemLen != 0 && int(f.SMemLen) < s.stride*int(v.YOffset+v.YRes):
		return fmt.Errorf("%d bytes of memory for %d rows of %d", f.SMemLen, v.YOffset+v.YRes, s.stride)
	}
	for _, c := range []bitfield{v.Red, v.Green, v.Blue} {
		if c.Length == 0 || c.Length > 16 || c.Offset+c.Length > uint32(s.bytes)*8 || c.MSBRight != 0 {
			return fmt.Errorf("colour of %d bits at bit %d", c.Length, c.Offset)
		}
	}
	return nil
}

// takeConsole switches the console to graphics until Close.
func (s *Screen) takeConsole(tty device) {
	if tty.ioctl(getMode, unsafe.Pointer(&s.before)) != nil || tty.ioctlValue(setMode, modeGraphics) != nil {
		tty.Close() // no console: then nothing is printed over the picture either
		return
	}
	s.console = tty
}

// Name is the framebuffer's path.
func (s *Screen) Name() string { return s.name }

// Size is how large a picture is drawn, in pixels.
func (s *Screen) Size() image.Point {
	return s.seen.Div(s.factor)
}

// visible is what the screens show of the framebuffer as it is now.
func (s *Screen) visible(now variable) image.Point {
	return seen(s.sys, filepath.Base(s.name), image.Pt(int(now.XRes), int(now.YRes)))
}

// Draw shows a picture of Size, of which only the rectangle changed may differ
// from the one before. ErrChanged and errors of the device are final.
func (s *Screen) Draw(img *image.RGBA, changed image.Rectangle) error {
	var now variable
	if err := s.dev.ioctl(getVariable, unsafe.Pointer(&now)); err != nil {
		return fmt.Errorf("framebuffer %s: %w", s.name, err)
	}
	if now.XRes != s.v.XRes || now.YRes != s.v.YRes || now.BitsPerPixel != s.v.BitsPerPixel || now.Red != s.v.Red {
		return fmt.Errorf("%s: %dx%d, was %dx%d: %w", s.name, now.XRes, now.YRes, s.v.XRes, s.v.YRes, ErrChanged)
	}
	if size := s.visible(now); size != s.seen {
		return fmt.Errorf("%s: the screen shows %v, before %v: %w", s.name, size, s.seen, ErrChanged)
	}
	s.v = now // another part of the memory may be seen
	changed = changed.Intersect(image.Rectangle{Max: s.Size()}).Intersect(img.Rect)
	if changed.Empty() {
		return nil
	}
	for y := changed.Min.Y; y < changed.Max.Y; y++ {
		s.row(img, y, changed.Min.X, changed.Max.X)
	}
	return s.flush(changed.Min.Y*s.factor, changed.Max.Y*s.factor)
}

// row puts a row of pixels into the shadow.
func (s *Screen) row(img *image.RGBA, y, from, to int) {
	line := s.shadow[y*s.factor*s.stride:][:s.stride]
	at := from * s.factor * s.bytes
	opaque := field(s.v.Transp, 0xff)
	pix := img.Pix[img.PixOffset(from, y):][:4*(to-from)]
	for ; len(pix) >= 4; pix = pix[4:] {
		v := s.colors[0][pix[0]] | s.colors[1][pix[1]] | s.colors[2][pix[2]] | opaque
		for range s.factor {
			s.put(line[at:], v)
			at += s.bytes
		}
	}
	for i := 1; i < s.factor; i++ {
		copy(s.shadow[(y*s.factor+i)*s.stride:][:s.stride], line)
	}
}

// put writes a pixel; framebuffers are as the processor is, little-endian on
// all that a box runs on.
func (s *Screen) put(to []byte, v uint32) {
	switch s.bytes {
	case 2:
		binary.LittleEndian.PutUint16(to, uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(to, v)
	default:
		to[0], to[1], to[2] = byte(v), byte(v>>8), byte(v>>16)
	}
}

// field puts a colour of 8 bits where the pixel has it.
func field(b bitfield, c byte) uint32 {
	if b.Length <= 8 {
		return uint32(c) >> (8 - b.Length) << b.Offset
	}
	return uint32(c) << (b.Length - 8) << b.Offset
}

// flush writes rows of the shadow to the device.
func (s *Screen) flush(from, to int) error {
	offset := int64(s.v.YOffset)*int64(s.stride) + int64(s.v.XOffset)*int64(s.bytes)
	rows := s.shadow[from*s.stride : (to-1)*s.stride+int(s.v.XRes)*s.bytes]
	if _, err := s.dev.WriteAt(rows, offset+int64(from)*int64(s.stride)); err != nil {
		return fmt.Errorf("framebuffer %s: %w", s.name, err)
	}
	return nil
}

// Close gives the console back and closes the device. Closing twice is fine.
func (s *Screen) Close() error {
	if s.console != nil {
		s.console.ioctlValue(setMode, uintptr(s.before))
		s.console.Close()
		s.console = nil
	}
	if s.dev == nil {
		return nil
	}
	err := s.dev.Close()
	s.dev = nil
	return err
}
