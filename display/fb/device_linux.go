package fb

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// file is a device of the kernel.
type file struct{ *os.File }

func open(path string) (device, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return file{f}, nil
}

func (f file) ioctl(request uintptr, arg unsafe.Pointer) error {
	return f.call(request, uintptr(arg))
}

func (f file) ioctlValue(request, value uintptr) error { return f.call(request, value) }

func (f file) call(request, arg uintptr) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, arg)
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
			continue
		}
		return fmt.Errorf("ioctl %#x: %w", request, errno)
	}
}
