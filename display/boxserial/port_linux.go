package boxserial

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openPort opens a serial port as it is, without echo or translation, at 115200
// baud, which USB ignores. Other speeds mean other things to the display: 134
// baud restarts it.
func openPort(name string) (port, error) {
	f, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	raw := unix.Termios{Cflag: unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B115200, Ispeed: unix.B115200, Ospeed: unix.B115200}
	raw.Cc[unix.VMIN] = 1
	c, err := f.SyscallConn() // Fd would make it blocking
	if err == nil {
		var refused error
		err = c.Control(func(fd uintptr) { refused = unix.IoctlSetTermios(int(fd), unix.TCSETS, &raw) })
		err = errors.Join(err, refused)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}
