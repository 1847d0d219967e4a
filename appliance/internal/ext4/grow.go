package ext4

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// resizeFS is EXT4_IOC_RESIZE_FS, _IOW('f', 16, __u64): fs/ext4/ext4.h.
const resizeFS = 1<<30 | 8<<16 | 'f'<<8 | 16

// Grow lets the kernel grow the file system mounted at dir to that many blocks,
// while it is in use. It needs CAP_SYS_RESOURCE. A power cut on the way leaves a
// whole file system of a size in between. A rest that is too small for a block
// group of its own stays unused, which is no error.
func Grow(dir string, blocks uint64) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), resizeFS, uintptr(unsafe.Pointer(&blocks)))
	if errno != 0 {
		return fmt.Errorf("growing %s to %d blocks: %w", dir, blocks, errno)
	}
	return nil
}
