package ms213x

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests of include/uapi/linux/hidraw.h: HIDIOCSFEATURE(9), HIDIOCGFEATURE(9),
// which are _IOC(_IOC_READ|_IOC_WRITE, 'H', 6 or 7, length).
const (
	setFeature = 3<<30 | reportBytes<<16 | 'H'<<8 | 6
	getFeature = 3<<30 | reportBytes<<16 | 'H'<<8 | 7
)

// hidraw is an open /dev/hidrawN.
type hidraw int

// Open opens a node such as /dev/hidraw0. A report that the stick doesn't answer
// keeps its caller for 5 s, the kernel's patience with control transfers.
func Open(node string) (Transport, error) {
	fd, err := unix.Open(node, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: node, Err: err}
	}
	return hidraw(fd), nil
}

func (h hidraw) SetFeature(b []byte) error {
	_, err := h.ioctl(setFeature, b)
	return err
}

func (h hidraw) GetFeature(b []byte) (int, error) { return h.ioctl(getFeature, b) }

func (h hidraw) Close() error { return unix.Close(int(h)) }

func (h hidraw) ioctl(request uintptr, b []byte) (int, error) {
	if len(b) != reportBytes {
		return 0, fmt.Errorf("report of %d bytes, want %d", len(b), reportBytes)
	}
	for {
		n, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(h), request, uintptr(unsafe.Pointer(&b[0])))
		switch e {
		case 0:
			return int(n), nil
		case unix.EINTR:
			continue
		}
		return 0, e
	}
}
