package disk

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/appliance/internal/ext4"
)

var system = host{sys: "/sys", dev: "/dev", own: ownDisk, mount: mount, unmount: unmount, grow: ext4.Grow}

// ownDisk is the disk of which /perm is a partition: on a box, the one it
// started from. Nothing of another host is called so, and no box lacks it.
func ownDisk() string {
	var s unix.Stat_t
	if unix.Stat("/perm", &s) != nil {
		return ""
	}
	path, err := filepath.EvalSymlinks(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(s.Dev), unix.Minor(s.Dev)))
	if err != nil {
		return ""
	}
	if _, err := os.Stat(filepath.Join(path, "partition")); err == nil {
		path = filepath.Dir(path)
	}
	return filepath.Base(path)
}

func mount(node, dir string) error {
	return os.NewSyscallError("mount", unix.Mount(node, dir, "ext4", unix.MS_NOATIME|unix.MS_NODEV|unix.MS_NOEXEC|unix.MS_NOSUID, "errors=remount-ro"))
}

// unmount takes the name away at once; who has files open there keeps them.
func unmount(dir string) error {
	return os.NewSyscallError("umount2", unix.Unmount(dir, unix.MNT_DETACH))
}
