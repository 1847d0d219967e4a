package usb

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ResetPort makes the hub reset the device's port (SetPortFeature PORT_RESET, USB
// 2.0, 11.24.2.13) without the kernel's knowledge. The device forgets all it was
// told, so Reset must follow at once. It is for one that doesn't answer: Reset
// itself first takes it from its drivers, each of which asks it and waits for 5 s;
// after this they fail at once. It needs root.
func (d Device) ResetPort() error {
	hub, err := d.root.read(filepath.Dir(d.Path))
	if err != nil {
		return fmt.Errorf("reset the port of %v: its hub: %w", d, err)
	}
	port, err := portOf(d.Path)
	if err != nil {
		return fmt.Errorf("reset the port of %v: %w", d, err)
	}
	reset := d.root.ResetPort
	if reset == nil {
		reset = kernelResetPort
	}
	if err := reset(d.root.node(hub), port); err != nil {
		return fmt.Errorf("reset the port of %v: %w", d, err)
	}
	return nil
}

// portOf is the last number of a device's name in sysfs: 1-1.4 is on port 4 of
// the hub 1-1, and 1-1 on port 1 of a root hub.
func portOf(path string) (uint16, error) {
	name := filepath.Base(path)
	at := strings.LastIndexAny(name, "-.")
	port, err := strconv.ParseUint(name[at+1:], 10, 8)
	if at < 0 || err != nil || port == 0 {
		return 0, fmt.Errorf("%s is no name of a device, such as 1-1.4", name)
	}
	return uint16(port), nil
}

func kernelResetPort(hub string, port uint16) error {
	fd, err := unix.Open(hub, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: hub, Err: err}
	}
	defer unix.Close(fd)
	const toPort, setFeature, portReset = 0x23, 3, 4
	ask := control{requestType: toPort, request: setFeature, value: portReset, index: port, timeout: uint32(Patience.Milliseconds())}
	for {
		_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), usbdevfsControl, uintptr(unsafe.Pointer(&ask)))
		switch e {
		case 0:
			return nil
		case unix.EINTR:
			continue
		}
		return fmt.Errorf("USBDEVFS_CONTROL of %s: %w", hub, e)
	}
}
