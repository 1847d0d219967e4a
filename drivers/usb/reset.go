package usb

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// usbdevfsReset is USBDEVFS_RESET, _IO('U', 20).
const usbdevfsReset = 'U'<<8 | 20

// Reset resets the port that the device is plugged into and sets it up again.
// Its drivers are detached and attached; nodes of /dev may get other numbers.
// It needs root. The device's number is looked up anew, so that the same Device
// can be reset again.
func (d Device) Reset() error {
	now, err := d.root.read(d.Path)
	if err != nil {
		return fmt.Errorf("reset %v: it isn't at %s any more: %w", d, d.Path, err)
	}
	reset := d.root.Reset
	if reset == nil {
		reset = kernelReset
	}
	if err := reset(d.root.node(now)); err != nil {
		return fmt.Errorf("reset %v: %w", d, err)
	}
	return nil
}

// node is what usbfs has for a device.
func (r Root) node(d Device) string {
	return filepath.Join(r.Dev, fmt.Sprintf("bus/usb/%03d/%03d", d.Bus, d.Number))
}

func kernelReset(node string) error {
	fd, err := unix.Open(node, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: node, Err: err}
	}
	defer unix.Close(fd)
	for {
		_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), usbdevfsReset, 0)
		switch e {
		case 0:
			return nil
		case unix.EINTR:
			continue
		}
		return fmt.Errorf("USBDEVFS_RESET of %s: %w", node, e)
	}
}

// Authorize lets the system use the device, or forbids it: its drivers leave it
// and its nodes go until it is authorized again. It needs root.
func (d Device) Authorize(on bool) error {
	if d.root.Authorize != nil {
		return d.root.Authorize(d.Path, on)
	}
	value := "0"
	if on {
		value = "1"
	}
	// No O_CREATE: a file that isn't there is a device that is gone.
	f, err := os.OpenFile(filepath.Join(d.Path, "authorized"), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("authorize %v: %w", d, err)
	}
	defer f.Close()
	if _, err := f.WriteString(value); err != nil {
		return fmt.Errorf("authorize %v: %w", d, err)
	}
	return nil
}
