package usb

import (
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrNoAnswer says that a device is on the bus and does not react.
var ErrNoAnswer = errors.New("the device doesn't answer on USB")

// Patience is for how long a device may leave a standard request without an
// answer (USB 2.0, 9.2.6.4).
const Patience = 500 * time.Millisecond

// control is struct usbdevfs_ctrltransfer.
type control struct {
	requestType, request uint8
	value, index, length uint16
	timeout              uint32 // ms
	data                 unsafe.Pointer
}

// usbdevfsControl is USBDEVFS_CONTROL, _IOWR('U', 0, struct usbdevfs_ctrltransfer).
const usbdevfsControl = 3<<30 | unsafe.Sizeof(control{})<<16 | 'U'<<8

// Alive asks the device for its status (GET_STATUS, USB 2.0, 9.4.5), which needs
// none of its drivers and changes nothing. The error is ErrNoAnswer when it
// hasn't answered within Patience; any other says nothing about that. It needs
// root.
func (d Device) Alive() error {
	alive := d.root.Alive
	if alive == nil {
		alive = kernelAlive
	}
	now, err := d.root.read(d.Path)
	if err == nil {
		err = alive(d.root.node(now))
	}
	if err != nil {
		return fmt.Errorf("%v: %w", d, err)
	}
	return nil
}

func kernelAlive(node string) error {
	fd, err := unix.Open(node, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: node, Err: err}
	}
	defer unix.Close(fd)
	const toHost, getStatus = 0x80, 0
	var status [2]byte
	ask := control{requestType: toHost, request: getStatus, length: 2, timeout: uint32(Patience.Milliseconds()), data: unsafe.Pointer(&status)}
	for {
		_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), usbdevfsControl, uintptr(unsafe.Pointer(&ask)))
		switch e {
		case 0:
			return nil
		case unix.EINTR:
			continue
		case unix.ETIMEDOUT:
			return ErrNoAnswer
		}
		return fmt.Errorf("USBDEVFS_CONTROL of %s: %w", node, e)
	}
}
