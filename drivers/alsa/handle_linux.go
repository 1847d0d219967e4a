package alsa

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// file is an open /dev/snd/pcmCxDxc.
type file int

func openHandle(path string) (handle, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return file(fd), nil
}

func (f file) ioctl(request uintptr, arg unsafe.Pointer) error {
	for {
		_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(f), request, uintptr(arg))
		switch e {
		case 0:
			return nil
		case unix.EINTR:
			continue
		}
		return e
	}
}

// poll reports a device that is gone (POLLERR, POLLNVAL, POLLHUP) as ready: the
// read that follows says what it is.
func (f file) poll(ms int) (bool, error) {
	for {
		fds := []unix.PollFd{{Fd: int32(f), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, ms)
		if !errors.Is(err, unix.EINTR) {
			return n > 0, err
		}
	}
}

func (f file) close() error { return unix.Close(int(f)) }
