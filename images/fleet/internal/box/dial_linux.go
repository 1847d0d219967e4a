package box

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// control sets for how long sent data may stay unacknowledged, RFC 5482; else a
// dead peer is noticed after a quarter of an hour.
func control(_, _ string, c syscall.RawConn) error {
	var err error
	if e := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(gone.Milliseconds()))
	}); e != nil {
		return e
	}
	return err
}
