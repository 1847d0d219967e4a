// Package tft drives small colour panels on an SPI bus: controllers ST7789 and
// ILI9341, with a line for data/command and optional ones for reset and
// backlight. Bus and lines are periph's (periph.io).
//
// The time on the bus is bytes × 8 / clock: a whole picture of 320x240 is
// 153,600 bytes or 38 ms at 32 MHz, 123 ms at 10 MHz, which is the fastest that
// the ILI9341's datasheet promises; 240x135 is 64,800 bytes or 16 and 52 ms.
// Only rows with a change are sent, and of them only the columns between which
// the change lies: the clock and the meters twice a second are 10 ms at 10 MHz.
//
// From the controllers' datasheets, whose pages stand beside each command.
// Tested byte by byte against periph's playback bus; no panel has been seen yet.
package tft

import (
	"errors"
	"fmt"
	"image"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
)

// chunk is the most that is sent at once: spidev's buffer (spidev.bufsiz).
const chunk = 4096

// Config is a panel. Width and Height are the glass's as the controller counts,
// 240x320 at most, before it is turned.
type Config struct {
	Chip          Chip
	Width, Height int
	Left, Top     int  // first column and row of the controller's memory that are seen
	Rotate        int  // 0, 90, 180 or 270 degrees, clockwise
	BGR           bool // the glass has blue first
	Invert        bool // the glass shows the inverse, as IPS panels do
	Clock         physic.Frequency
}

// Lines are the panel's further lines; Reset and Light may be nil.
type Lines struct {
	Data  gpio.PinOut // low: a command
	Reset gpio.PinOut // low: reset
	Light gpio.PinOut // high: backlight on
}

// Panel is an open panel. It is for one goroutine.
type Panel struct {
	config Config
	lines  Lines
	conn   spi.Conn
	port   spi.PortCloser
	sent   []byte // RGB565, big-endian, of the whole picture
	first  bool   // nothing has been sent yet
	buffer []byte
}

func (c Config) check() error {
	switch {
	case c.Chip != ST7789 && c.Chip != ILI9341:
		return fmt.Errorf("controller %q: use %s or %s", c.Chip, ST7789, ILI9341)
	case c.Width < 1 || c.Height < 1 || c.Left < 0 || c.Top < 0 || c.Left+c.Width > memoryWidth || c.Top+c.Height > memoryHeight:
		return fmt.Errorf("%dx%d at %d,%d: the controller has %dx%d", c.Width, c.Height, c.Left, c.Top, memoryWidth, memoryHeight)
	case c.Rotate%90 != 0 || c.Rotate < 0 || c.Rotate > 270:
		return fmt.Errorf("turned by %d: use 0, 90, 180 or 270", c.Rotate)
	case c.Clock < physic.MegaHertz || c.Clock > 100*physic.MegaHertz:
		return fmt.Errorf("clock %v: use 1 MHz to 100 MHz", c.Clock)
	}
	return nil
}

// New starts a panel and lights it once the first picture is there. The panel
// closes the port; when New fails, its caller does. Wait is time.Sleep.
func New(port spi.PortCloser, lines Lines, c Config, wait func(time.Duration)) (*Panel, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("panel: %w", err)
	}
	conn, err := port.Connect(c.Clock, spi.Mode0, 8)
	if err != nil {
		return nil, fmt.Errorf("panel: %w", err)
	}
	p := &Panel{config: c, lines: lines, conn: conn, port: port, first: true}
	p.sent = make([]byte, 2*c.Width*c.Height)
	if err := p.start(wait); err != nil {
		return nil, fmt.Errorf("panel: %w", err)
	}
	return p, nil
}

func (p *Panel) start(wait func(time.Duration)) error {
	if err := p.light(gpio.Low); err != nil {
		return err
	}
	if r := p.lines.Reset; r != nil { // 10 µs low at least (ILI9341 15.4)
		if err := r.Out(gpio.Low); err != nil {
			return err
		}
		wait(time.Millisecond)
		if err := r.Out(gpio.High); err != nil {
			return err
		}
		wait(120 * time.Millisecond)
	}
	for _, s := range p.config.start() {
		if err := p.command(s.command, s.data...); err != nil {
			return err
		}
		if s.wait > 0 {
			wait(s.wait)
		}
	}
	return nil
}

func (p *Panel) light(on gpio.Level) error {
	if p.lines.Light == nil {
		return nil
	}
	return p.lines.Light.Out(on)
}

func (p *Panel) command(c byte, data ...byte) error {
	if err := p.lines.Data.Out(gpio.Low); err != nil {
		return err
	}
	if err := p.conn.Tx([]byte{c}, nil); err != nil {
		return fmt.Errorf("command %#02x: %w", c, err)
	}
	if len(data) == 0 {
		return nil
	}
	return p.data(data)
}

func (p *Panel) data(data []byte) error {
	if err := p.lines.Data.Out(gpio.High); err != nil {
		return err
	}
	for len(data) > 0 {
		n := min(len(data), chunk)
		if err := p.conn.Tx(data[:n], nil); err != nil {
			return fmt.Errorf("data: %w", err)
		}
		data = data[n:]
	}
	return nil
}

// Size is how large a picture is, in pixels, turned as it is seen.
func (p *Panel) Size() image.Point {
	if p.config.Rotate%180 != 0 {
		return image.Pt(p.config.Height, p.config.Width)
	}
	return image.Pt(p.config.Width, p.config.Height)
}

// Draw shows a picture of Size that differs from the one before only in the
// rectangle changed. An error is final.
func (p *Panel) Draw(img *image.RGBA, changed image.Rectangle) error {
	all := image.Rectangle{Max: p.Size()}
	if p.first {
		changed = all
	}
	changed = changed.Intersect(all).Intersect(img.Rect)
	from := -1
	for y := changed.Min.Y; y <= changed.Max.Y && !changed.Empty(); y++ {
		differs := y < changed.Max.Y && p.convert(img, y, changed.Min.X, changed.Max.X) || y < changed.Max.Y && p.first
		if differs && from < 0 {
			from = y
		}
		if !differs && from >= 0 {
			if err := p.send(changed.Min.X, changed.Max.X, from, y); err != nil {
				return fmt.Errorf("panel: %w", err)
			}
			from = -1
		}
	}
	if p.first {
		if err := errors.Join(p.command(displayOn), p.light(gpio.High)); err != nil {
			return fmt.Errorf("panel: %w", err)
		}
	}
	p.first = false
	return nil
}

// convert puts a piece of a row into what the panel shows, and says whether
// that was something else.
func (p *Panel) convert(img *image.RGBA, y, from, to int) (differs bool) {
	row := p.sent[2*(y*p.Size().X+from):]
	pix := img.Pix[img.PixOffset(from, y):]
	for i := range to - from {
		high := pix[4*i]&0xf8 | pix[4*i+1]>>5
		low := pix[4*i+1]<<3&0xe0 | pix[4*i+2]>>3
		differs = differs || row[2*i] != high || row[2*i+1] != low
		row[2*i], row[2*i+1] = high, low
	}
	return differs
}

// send fills columns left to right-1 of rows top to bottom-1.
func (p *Panel) send(left, right, top, bottom int) error {
	x, y := p.config.origin()
	if err := p.command(columnAddress, span(x+left, x+right-1)...); err != nil {
		return err
	}
	if err := p.command(rowAddress, span(y+top, y+bottom-1)...); err != nil {
		return err
	}
	if err := p.command(memoryWrite); err != nil {
		return err
	}
	p.buffer = p.buffer[:0]
	width := p.Size().X
	for row := top; row < bottom; row++ {
		p.buffer = append(p.buffer, p.sent[2*(row*width+left):2*(row*width+right)]...)
	}
	return p.data(p.buffer)
}

func span(from, to int) []byte {
	return []byte{byte(from >> 8), byte(from), byte(to >> 8), byte(to)}
}

// Close switches the panel off and closes the bus. Closing twice is fine.
func (p *Panel) Close() error {
	if p.port == nil {
		return nil
	}
	err := errors.Join(p.light(gpio.Low), p.command(displayOff), p.command(sleepIn), p.port.Close())
	p.port = nil
	return err
}
