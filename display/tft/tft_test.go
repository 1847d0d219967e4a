package tft

import (
	"errors"
	"image"
	"image/color"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"periph.io/x/conn/v3/conntest"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi/spitest"
)

// line is a GPIO line that remembers its level and how it came there.
type line struct {
	gpio.PinIO
	level gpio.Level
	was   []gpio.Level
	fail  error
}

func newLine() *line { return &line{PinIO: gpio.INVALID} }

func (l *line) Out(level gpio.Level) error {
	if l.level != level || l.was == nil {
		l.was = append(l.was, level)
	}
	l.level = level
	return l.fail
}

var mini = Config{Chip: ST7789, Width: 135, Height: 240, Left: 52, Top: 40, Rotate: 90, Invert: true, Clock: 32 * physic.MegaHertz}

// bus is a playback bus that expects these transfers, in this order.
func bus(ops ...[]byte) *spitest.Playback {
	b := &spitest.Playback{Playback: conntest.Playback{DontPanic: true}}
	for _, w := range ops {
		b.Ops = append(b.Ops, conntest.IO{W: w})
	}
	return b
}

func start(c Config) (ops [][]byte) {
	for _, s := range c.start() {
		ops = append(ops, []byte{s.command})
		if len(s.data) > 0 {
			ops = append(ops, s.data)
		}
	}
	return ops
}

// What is sent from start to end, byte by byte, as the datasheet has it.
func TestBytes(t *testing.T) {
	data, reset, light := newLine(), newLine(), newLine()
	first := bytesOf(240*135, 0xf8, 0x00) // red
	ops := [][]byte{
		{0x01}, {0x11}, {0x3a}, {0x55}, {0x36}, {0x60}, {0x21}, {0x13},
		{0x2a}, {0, 40, 1, 23}, {0x2b}, {0, 53, 0, 187}, {0x2c},
	}
	for chunk := range slices.Chunk(first, 4096) {
		ops = append(ops, chunk)
	}
	ops = append(ops, []byte{0x29},
		// two rows of three pixels in white, and one row of black
		[]byte{0x2a}, []byte{0, 50, 0, 52}, []byte{0x2b}, []byte{0, 73, 0, 74}, []byte{0x2c}, bytesOf(6, 0xff, 0xff),
		[]byte{0x2a}, []byte{0, 50, 0, 52}, []byte{0x2b}, []byte{0, 76, 0, 76}, []byte{0x2c}, bytesOf(3, 0x00, 0x00),
		[]byte{0x28}, []byte{0x10})
	b := bus(ops...)
	var waited []time.Duration
	p, err := New(b, Lines{data, reset, light}, mini, func(d time.Duration) { waited = append(waited, d) })
	if err != nil {
		t.Fatal(err)
	}
	if ms := time.Millisecond; !slices.Equal(waited, []time.Duration{ms, 120 * ms, 120 * ms, 120 * ms, 10 * ms}) {
		t.Errorf("waited %v", waited)
	}
	if bool(light.level) || !slices.Equal(reset.was, []gpio.Level{gpio.Low, gpio.High}) {
		t.Errorf("light %v, reset %v", light.level, reset.was)
	}
	img := picture(p.Size(), color.RGBA{0xff, 0, 0, 0xff})
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(p.Draw(img, image.Rect(0, 0, 1, 1))) // the first is sent whole
	if !light.level {
		t.Error("the light is off although there is a picture")
	}
	for x := 10; x < 13; x++ {
		img.SetRGBA(x, 20, color.RGBA{0xff, 0xff, 0xff, 0xff})
		img.SetRGBA(x, 21, color.RGBA{0xff, 0xff, 0xff, 0xff})
		img.SetRGBA(x, 23, color.RGBA{0, 0, 0, 0xff})
	}
	check(p.Draw(img, image.Rect(10, 0, 13, 135)))
	check(p.Draw(img, image.Rect(10, 0, 13, 135))) // nothing differs: nothing is sent
	check(p.Draw(img, image.Rectangle{}))
	check(p.Close())
	check(p.Close())
	if light.level {
		t.Error("the light stays on")
	}
	check(b.Close()) // fails when something was not sent
}

// Commands go out with the data line low, all else with it high.
func TestDataLine(t *testing.T) {
	data := newLine()
	r := &spitest.Record{}
	log := &levels{Record: r, line: data}
	p, err := New(log, Lines{Data: data}, mini, func(time.Duration) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Draw(picture(p.Size(), color.RGBA{}), image.Rectangle{}); err != nil {
		t.Fatal(err)
	}
	commands := 0
	for i, op := range r.Ops {
		low := log.was[i] == gpio.Low
		if low && len(op.W) != 1 {
			t.Errorf("% x as a command", op.W[:min(len(op.W), 8)])
		}
		if low {
			commands++
		}
		if len(op.W) > 4096 {
			t.Errorf("%d bytes at once", len(op.W))
		}
	}
	if commands != 10 { // 6 to start, 3 for the picture, display on
		t.Errorf("%d commands", commands)
	}
}

// The offsets that makers of 240x135 panels name for each rotation, and the
// ILI9341's memory access values.
func TestRotation(t *testing.T) {
	for _, c := range []struct {
		chip          Chip
		rotate        int
		access        byte
		width, height int
		x, y          int
	}{
		{ST7789, 0, 0x00, 135, 240, 52, 40}, {ST7789, 90, 0x60, 135, 240, 40, 53},
		{ST7789, 180, 0xc0, 135, 240, 53, 40}, {ST7789, 270, 0xa0, 135, 240, 40, 52},
		{ST7789, 0, 0x00, 240, 240, 0, 0}, {ST7789, 180, 0xc0, 240, 240, 0, 80}, {ST7789, 270, 0xa0, 240, 240, 80, 0},
		{ILI9341, 0, 0x48, 240, 320, 0, 0}, {ILI9341, 90, 0x28, 240, 320, 0, 0},
		{ILI9341, 180, 0x88, 240, 320, 0, 0}, {ILI9341, 270, 0xe8, 240, 320, 0, 0},
	} {
		config := Config{Chip: c.chip, Width: c.width, Height: c.height, Rotate: c.rotate, BGR: c.chip == ILI9341}
		if c.width == 135 {
			config.Left, config.Top = 52, 40
		}
		x, y := config.origin()
		if config.access() != c.access || x != c.x || y != c.y {
			t.Errorf("%s by %d: %#x at %d,%d, want %#x at %d,%d", c.chip, c.rotate, config.access(), x, y, c.access, c.x, c.y)
		}
	}
}

func TestILI9341Start(t *testing.T) {
	c := Config{Chip: ILI9341, Width: 240, Height: 320, BGR: true, Clock: 10 * physic.MegaHertz}
	want := [][]byte{{0x01}, {0x11}, {0xc0}, {0x23}, {0xc1}, {0x10}, {0xc5}, {0x3e, 0x28}, {0xc7}, {0x86}, {0xb1}, {0, 0x18},
		{0x3a}, {0x55}, {0x36}, {0x48}, {0x20}, {0x13}}
	if got := start(c); !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("% x", got)
	}
	b := bus(want...)
	if _, err := New(b, Lines{Data: newLine()}, c, func(time.Duration) {}); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func TestRefuses(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"controller":     func(c *Config) { c.Chip = "ssd1306" },
		"controller has": func(c *Config) { c.Width = 200 },
		"turned by 45":   func(c *Config) { c.Rotate = 45 },
		"clock":          func(c *Config) { c.Clock = 0 },
	} {
		c := mini
		change(&c)
		if _, err := New(bus(), Lines{Data: newLine()}, c, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestErrorsOfBusAndLines(t *testing.T) {
	b := bus(start(mini)[:3]...) // the bus ends after three transfers
	if _, err := New(b, Lines{Data: newLine()}, mini, func(time.Duration) {}); err == nil {
		t.Error("a bus that ends isn't noticed")
	}
	broken := newLine()
	broken.fail = errors.New("busy")
	if _, err := New(bus(start(mini)...), Lines{Data: broken}, mini, func(time.Duration) {}); !errors.Is(err, broken.fail) {
		t.Errorf("a broken line: %v", err)
	}
}

func picture(size image.Point, c color.RGBA) *image.RGBA {
	m := image.NewRGBA(image.Rectangle{Max: size})
	for i := 0; i < len(m.Pix); i += 4 {
		copy(m.Pix[i:], []byte{c.R, c.G, c.B, c.A})
	}
	return m
}

func bytesOf(n int, pixel ...byte) (b []byte) {
	for range n {
		b = append(b, pixel...)
	}
	return b
}

func BenchmarkDraw320x240(b *testing.B) {
	c := Config{Chip: ILI9341, Width: 240, Height: 320, Rotate: 90, Clock: 32 * physic.MegaHertz}
	p, err := New(spitest.NewRecordRaw(io.Discard), Lines{Data: newLine()}, c, func(time.Duration) {})
	if err != nil {
		b.Fatal(err)
	}
	img := picture(p.Size(), color.RGBA{1, 2, 3, 4})
	for i := 0; b.Loop(); i++ {
		img.Pix[i%len(img.Pix)]++
		if err := p.Draw(img, img.Rect); err != nil {
			b.Fatal(err)
		}
	}
}
