// Package boxserial shows pictures on the display of FOSDEM's box: a
// microcontroller (USB id f05d:4001) that takes commands, one a line, on a
// serial port.
//
//	display.img 565 X Y W H    then W×H pixels of 2 bytes, the high byte first
//	display.imgonly            shows what was sent, without the text
//	display.text.clear
//
// Each command's answer ends in a line that begins with "ok " and the command,
// or with "fail". An image of more than 65,535 bytes can't be sent at once. The
// screen behind it has 240 columns and, by the version of the box, 135 or 240
// rows, which Open finds out.
//
// From the firmware's source (FOSDEM/video, hardware/firmware/box_rp2040, 2025).
// Tested against a scripted peer on a pseudo-terminal; the device itself has not
// been seen yet.
package boxserial

import (
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/openvideobox/videobox/drivers/usb"
)

// The display's USB id.
const (
	Vendor  = 0xf05d
	Product = 0x4001
)

const (
	width    = 240
	highRows = 240
	lowRows  = 135
	maxImage = 65535 // bytes: the firmware counts them in 16 bits
	patience = 2 * time.Second
)

// Errors of a display that is there.
var (
	ErrSilent = errors.New("the display does not answer")
	ErrFailed = errors.New("the display refuses")
)

// port is a serial port.
type port interface {
	io.ReadWriteCloser
	SetWriteDeadline(t time.Time) error
}

// Display is an open display. It is for one goroutine.
type Display struct {
	name     string
	port     port
	answers  chan answer // closed when the port is gone
	gone     error       // why
	patience time.Duration
	rows     int
	pixels   []byte
}

// List is which displays there are, by their port: /dev/ttyACM0.
func List() []string { return list(usb.List()) }

func list(devices []usb.Device, err error) (ports []string) {
	if err != nil { // no USB here
		return nil
	}
	for _, d := range devices {
		if d.Vendor != Vendor || d.Product != Product {
			continue
		}
		found, _ := filepath.Glob(filepath.Join(d.Path, "*:*", "tty", "tty*"))
		for _, f := range found {
			ports = append(ports, filepath.Join("/dev", filepath.Base(f)))
		}
	}
	return ports
}

// Open opens a display by its port.
func Open(name string) (*Display, error) {
	p, err := openPort(name)
	if err != nil {
		return nil, fmt.Errorf("display: %w", err)
	}
	return start(name, p, patience)
}

// read takes in what the display says, also while it is being written to: it
// would stop listening otherwise. It ends with the port.
func (d *Display) read(l lines) {
	defer close(d.answers)
	for {
		line, err := l.next()
		if err != nil {
			d.gone = err
			return
		}
		a, ok := parse(line)
		if !ok { // help, or what a human would read
			continue
		}
		select {
		case d.answers <- a:
		default: // nobody has asked for so many
		}
	}
}

// start makes sure that the display listens, and finds out how large it is. It
// closes the port when it fails.
func start(name string, p port, patience time.Duration) (*Display, error) {
	d := &Display{name: name, port: p, answers: make(chan answer, 100), patience: patience}
	go d.read(lines{r: p})
	if err := d.resync(); err != nil {
		d.Close()
		return nil, d.wrap(err)
	}
	// A pixel in the last row of the larger one. It consists of two line ends,
	// which a display without that row takes for empty commands.
	err := d.do(fmt.Sprintf("display.img 565 0 %d 1 1", highRows-1), []byte("\n\n"))
	switch {
	case err == nil:
		d.rows = highRows
	case errors.Is(err, ErrFailed):
		d.rows = lowRows
	default:
		d.Close()
		return nil, d.wrap(err)
	}
	return d, nil
}

func (d *Display) wrap(err error) error { return fmt.Errorf("display %s: %w", d.name, err) }

// Size is how large a picture is, in pixels.
func (d *Display) Size() image.Point { return image.Pt(width, d.rows) }

// Draw shows a picture of Size that differs from the one before only in the
// rectangle changed. After a failure the display is brought back to where it
// listens, once; an error is final.
func (d *Display) Draw(img *image.RGBA, changed image.Rectangle) error {
	changed = changed.Intersect(image.Rectangle{Max: d.Size()}).Intersect(img.Rect)
	if changed.Empty() {
		return nil
	}
	err := d.send(img, changed)
	if err == nil || errors.Is(err, os.ErrClosed) {
		return err
	}
	if again := d.resync(); again != nil {
		return d.wrap(errors.Join(err, again))
	}
	if err := d.send(img, changed); err != nil {
		return d.wrap(err)
	}
	return nil
}

func (d *Display) send(img *image.RGBA, r image.Rectangle) error {
	rows := maxImage / (2 * r.Dx())
	for top := r.Min.Y; top < r.Max.Y; top += rows {
		part := image.Rect(r.Min.X, top, r.Max.X, min(top+rows, r.Max.Y))
		command := fmt.Sprintf("display.img 565 %d %d %d %d", part.Min.X, part.Min.Y, part.Dx(), part.Dy())
		if err := d.do(command, d.convert(img, part)); err != nil {
			return err
		}
	}
	return d.do("display.imgonly", nil)
}

// convert makes the bytes of a part of a picture.
func (d *Display) convert(img *image.RGBA, r image.Rectangle) []byte {
	d.pixels = d.pixels[:0]
	for y := r.Min.Y; y < r.Max.Y; y++ {
		pix := img.Pix[img.PixOffset(r.Min.X, y):][:4*r.Dx()]
		for ; len(pix) >= 4; pix = pix[4:] {
			d.pixels = append(d.pixels, pix[0]&0xf8|pix[1]>>5, pix[1]<<3&0xe0|pix[2]>>3)
		}
	}
	return d.pixels
}

// resync brings a display to where it takes commands, whatever it was doing: if
// it doesn't answer it may still wait for pixels, and gets as many line ends as
// an image has bytes, which mean nothing to one that waits for a command.
func (d *Display) resync() error {
	const probe = "display.text.clear"
	if err := d.ask("\n"+probe, nil, true); !errors.Is(err, ErrSilent) {
		return err
	}
	return d.ask(strings.Repeat("\n", maxImage)+probe, nil, true)
}

// do sends a command with its data and waits for its answer.
func (d *Display) do(command string, data []byte) error { return d.ask(command, data, false) }

// ask is do. It may pass over fails, which are answers to things before.
func (d *Display) ask(command string, data []byte, passFails bool) error {
	for len(d.answers) > 0 { // to what was given up
		<-d.answers
	}
	if err := d.port.SetWriteDeadline(time.Now().Add(d.patience)); err != nil {
		return err
	}
	if _, err := d.port.Write(append([]byte(command+"\n"), data...)); err != nil {
		return silent(err)
	}
	name, _, _ := strings.Cut(strings.TrimLeft(command, "\n"), " ")
	timer := time.NewTimer(d.patience)
	defer timer.Stop()
	for {
		select {
		case a, there := <-d.answers:
			switch {
			case !there:
				return d.gone
			case a.ok && a.text == name:
				return nil
			case !a.ok && !passFails:
				return fmt.Errorf("%s: %w: %s", name, ErrFailed, a.text)
			}
		case <-timer.C:
			return fmt.Errorf("%s: %w", name, ErrSilent)
		}
	}
}

// silent tells a display that says nothing from one that is gone.
func silent(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrSilent
	}
	return err
}

// Close closes the port. What was shown stays. Closing twice is fine.
func (d *Display) Close() error {
	if d.port == nil {
		return nil
	}
	err := d.port.Close()
	d.port = nil
	for range d.answers { // until the reader has ended
	}
	return err
}
