package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// opener opens a device to write to, as os.OpenFile does; tests have their own.
type opener func(device string, flags int) (io.Closer, error)

func openDevice(device string, flags int) (io.Closer, error) {
	return os.OpenFile(device, flags, 0)
}

// free says why this user can't have the disk for itself, before anything of it
// is lost. With O_EXCL the kernel refuses a block device that it uses itself, or
// a partition of it, whatever for (open(2)); /proc/self/mounts tells of file
// systems only, and not of those that lie on LVM or LUKS. Of an ordinary file
// nothing is refused.
func free(device string, open opener) error {
	f, err := open(device, os.O_RDWR|unix.O_EXCL)
	switch {
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%s is in use by this machine (mounted, swap, LVM, LUKS or RAID): lsblk %s shows by what; end that first, by umount, swapoff, vgchange -an, cryptsetup close or mdadm --stop", device, device)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: this user may not write to it. Give yourself the device, sudo setfacl -m u:$USER:rw %s (of the package acl), or run make flash as root", device, device)
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("%s is write-protected; look for a switch on the card or its adapter", device)
	case err != nil:
		return err
	}
	return f.Close()
}
