package boxserial

import (
	"errors"
	"image"
	"image/color"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/drivers/usb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// How long tests wait for an answer. The peer takes an image byte by byte, which
// takes it a while on a busy machine.
const (
	ample = 20 * time.Second       // where it comes
	some  = 4 * time.Second        // where one of them doesn't
	short = 100 * time.Millisecond // where none will come
)

func openPeer(t *testing.T, p *peer, patience time.Duration) *Display {
	t.Helper()
	port, err := openPort(p.port)
	if err != nil {
		t.Fatal(err)
	}
	d, err := start(p.port, port, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close(); d.Close() })
	return d
}

func picture(rows int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, width, rows))
	for y := range rows {
		for x := range width {
			m.SetRGBA(x, y, color.RGBA{uint8(x), uint8(y), uint8(x + y), 255})
		}
	}
	return m
}

// check compares what the peer shows with a picture, in a rectangle.
func (p *peer) check(t *testing.T, m *image.RGBA, r image.Rectangle) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for y := range p.rows {
		for x := range width {
			c := m.RGBAAt(x, y)
			want := [2]byte{c.R&0xf8 | c.G>>5, c.G<<3&0xe0 | c.B>>3}
			if !(image.Point{x, y}).In(r) {
				continue
			}
			if p.image[y][x] != want {
				t.Fatalf("%d,%d: % x, want % x", x, y, p.image[y][x], want)
			}
		}
	}
}

func TestShows(t *testing.T) {
	for _, rows := range []int{135, 240} {
		p := newPeer(t, rows)
		d := openPeer(t, p, ample)
		if d.Size() != image.Pt(240, rows) {
			t.Fatalf("size %v, want %d rows", d.Size(), rows)
		}
		m := picture(rows)
		if err := d.Draw(m, m.Rect); err != nil {
			t.Fatal(err)
		}
		p.check(t, m, m.Rect)
		m.SetRGBA(17, 100, color.RGBA{255, 255, 255, 255})
		p.with(func() { p.log = nil })
		if err := d.Draw(m, image.Rect(17, 100, 18, 101)); err != nil {
			t.Fatal(err)
		}
		if err := d.Draw(m, image.Rectangle{}); err != nil {
			t.Fatal(err)
		}
		p.check(t, m, m.Rect)
		if want := []string{"display.img", "display.imgonly"}; !slices.Equal(p.log, want) {
			t.Errorf("%v, want %v", p.log, want)
		}
	}
}

// What goes wrong once is made good by the same call.
func TestRecovers(t *testing.T) {
	for name, wrong := range map[string]func(*peer){
		"a fail":              func(p *peer) { p.fail["display.imgonly"] = 1 },
		"an image is refused": func(p *peer) { p.fail["display.img"] = 1 },
		"an answer is lost":   func(p *peer) { p.mute = 1 },
		"pixels are lost":     func(p *peer) { p.loses = 777 },
		"garbage before answers": func(p *peer) {
			p.before = "\x00\xff garbage\n" + strings.Repeat("x", 3000) + "\nok\nokay display.img\n"
		},
		"answers to other things": func(p *peer) { p.before = "ok display.refresh\nok help\n" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they wait
			p := newPeer(t, 135)
			d := openPeer(t, p, some)
			p.with(func() { wrong(p) })
			m := picture(135)
			if err := d.Draw(m, m.Rect); err != nil {
				t.Fatal(err)
			}
			p.check(t, m, m.Rect)
			if p.shown == 0 {
				t.Error("it was sent and not shown")
			}
		})
	}
}

// A program that died in the middle of an image leaves the display waiting for
// the rest of it.
func TestOpensInTheMiddleOfAnImage(t *testing.T) {
	t.Parallel()
	p := newPeer(t, 135)
	p.with(func() { p.left = 64000 })
	d := openPeer(t, p, some)
	m := picture(135)
	if err := d.Draw(m, m.Rect); err != nil {
		t.Fatal(err)
	}
	p.check(t, m, m.Rect)
}

func TestErrors(t *testing.T) {
	p := newPeer(t, 135)
	d := openPeer(t, p, ample)
	m := picture(135)
	p.with(func() { p.fail["display.imgonly"] = 1000 })
	if err := d.Draw(m, m.Rect); !errors.Is(err, ErrFailed) {
		t.Errorf("always fail: %v", err)
	}
	p.with(func() { p.fail = nil; p.mute = 1000 })
	d.patience = short
	if err := d.Draw(m, m.Rect); !errors.Is(err, ErrSilent) {
		t.Errorf("silent: %v", err)
	}
	p.unplug()
	if err := d.Draw(m, m.Rect); err == nil || errors.Is(err, ErrSilent) {
		t.Errorf("unplugged: %v", err)
	}
}

func TestSilentFromTheStart(t *testing.T) {
	p := newPeer(t, 135)
	p.with(func() { p.mute = 1000 })
	port, err := openPort(p.port)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := start("x", port, short); !errors.Is(err, ErrSilent) {
		t.Error(err)
	}
}

func TestOpen(t *testing.T) {
	p := newPeer(t, 135)
	d, err := Open(p.port)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := Open("/dev/null"); err == nil {
		t.Error("what is no terminal is opened")
	}
}

func TestList(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "1-1:1.0", "tty", "ttyACM3"), 0o755); err != nil {
		t.Fatal(err)
	}
	devices := []usb.Device{{Path: dir, Vendor: 0x2341, Product: 1}, {Path: dir, Vendor: Vendor, Product: Product}}
	if got := list(devices, nil); !slices.Equal(got, []string{"/dev/ttyACM3"}) {
		t.Error(got)
	}
	if got := list(devices, errors.New("no USB")); got != nil {
		t.Error(got)
	}
}

func TestParse(t *testing.T) {
	for line, want := range map[string]answer{
		"ok display.img": {true, "display.img"}, "ok pb.temp.raw: 42\r": {true, "pb.temp.raw"},
		"fail": {false, ""}, "fail given rectangle": {false, "given rectangle"},
	} {
		if got, ok := parse(line); !ok || got != want {
			t.Errorf("%q: %+v %v", line, got, ok)
		}
	}
	for _, line := range []string{"", "ok", "okay x", "failure", " ok x", "port 1: up", "\xff"} {
		if got, ok := parse(line); ok {
			t.Errorf("%q is taken for %+v", line, got)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte("ok display.img\n"))
	f.Add([]byte("no such command: x\nsay 'help' for help\nfail\n"))
	f.Add([]byte(strings.Repeat("x", 2000) + "\nok display.imgonly\r\n"))
	f.Add([]byte("\x00\n\n\r\nok \xff:\nfail"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := lines{r: strings.NewReader(string(data))}
		ends := strings.Count(string(data), "\n")
		for n := 0; ; n++ {
			line, err := l.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if n >= ends || len(line) > maxLine || strings.Contains(line, "\n") {
				t.Fatalf("line %d of %d: %q", n, ends, line)
			}
			if a, ok := parse(line); ok && !strings.HasPrefix(line, "ok ") && !strings.HasPrefix(line, "fail") || a.ok && a.text == "" && ok {
				t.Fatalf("%q: %+v", line, a)
			}
		}
	})
}
