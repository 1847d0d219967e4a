package vm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"
	"net"
	"path/filepath"
	"time"
)

// vncSocket is where QEMU takes clients of a screen that can be plugged. They
// tell the graphics card how large the screen is, and that there is none.
const vncSocket = "vnc"

// PlugScreen plugs a screen of a size into the machine's graphics card, in place
// of the one before, or with the zero size pulls it out. It needs Config.GPU
// virtio-gpu-pci, with which a machine starts with a screen of 640x480.
func (m *Machine) PlugScreen(ctx context.Context, size image.Point) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", filepath.Join(m.config.Dir, vncSocket))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if err := greet(c); err != nil {
		return fmt.Errorf("QEMU's VNC: %w", err)
	}
	for _, s := range []image.Point{other(size), size} {
		message := []byte{251, 0, 0, 0, 0, 0, 0, 0} // SetDesktopSize, no screens listed
		binary.BigEndian.PutUint16(message[2:], uint16(s.X))
		binary.BigEndian.PutUint16(message[4:], uint16(s.Y))
		if _, err := c.Write(message); err != nil {
			return err
		}
		if err := resized(c); err != nil {
			return fmt.Errorf("QEMU's VNC: %w", err)
		}
	}
	return nil
}

// other is what is told first, since QEMU ignores a size that is the one before
// it, which is none at its start: none before a screen, the screen that there is
// at the start before none.
func other(size image.Point) image.Point {
	if size == (image.Point{}) {
		return image.Point{X: screenWidth, Y: screenHeight}
	}
	return image.Point{}
}

// greet goes through the handshake (RFC 6143, 7.1 and 7.3) without encryption.
func greet(c io.ReadWriter) error {
	if err := expect(c, "RFB 003.008\n"); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "RFB 003.008\n"); err != nil {
		return err
	}
	if err := expect(c, "\x01\x01"); err != nil { // one security type: none
		return err
	}
	if _, err := c.Write([]byte{1}); err != nil {
		return err
	}
	if err := expect(c, "\x00\x00\x00\x00"); err != nil { // fine
		return err
	}
	if _, err := c.Write([]byte{1}); err != nil { // others may stay
		return err
	}
	return skipServerInit(c)
}

func expect(r io.Reader, want string) error {
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil {
		return err
	}
	if string(got) != want {
		return fmt.Errorf("said %q, want %q", got, want)
	}
	return nil
}

// skipServerInit reads size, pixel format and name (7.3.2).
func skipServerInit(r io.Reader) error {
	var head [24]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	name := binary.BigEndian.Uint32(head[20:])
	if name > 1<<10 {
		return errors.New("a name of impossible length")
	}
	_, err := io.CopyN(io.Discard, r, int64(name))
	return err
}

// resized reads QEMU's answer, without which the message may not have been read
// yet: a FramebufferUpdate (7.6.1) of one rectangle, whose y says what became of
// it, in the encoding that lists the screens (7.8.2): here always one.
func resized(r io.Reader) error {
	const forwarded = 4 // to the guest; QEMU's own
	var answer [4 + 12 + 4 + 16]byte
	if _, err := io.ReadFull(r, answer[:]); err != nil {
		return err
	}
	if y := binary.BigEndian.Uint16(answer[6:]); answer[0] != 0 || y != forwarded {
		return fmt.Errorf("the size was not handed on: % x", answer[:16])
	}
	return nil
}
