package logs

import (
	"errors"

	"golang.org/x/sys/unix"
)

const nonblock = unix.O_NONBLOCK

// isLost says that the kernel's ring went on past the reader.
func isLost(err error) bool { return errors.Is(err, unix.EPIPE) }
