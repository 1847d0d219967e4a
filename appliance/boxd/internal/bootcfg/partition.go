package bootcfg

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// OnBoot reads the file from the boot partition, which it mounts read-only at a
// new folder dir for that moment: an update may overwrite the partition at any
// time. There is false when the partition has no such file.
func OnBoot(dir string) (data []byte, there bool, err error) {
	device, err := bootDevice("/")
	if err != nil {
		return nil, false, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, err
	}
	_ = unix.Unmount(dir, unix.MNT_DETACH) // of a boxd that was killed meanwhile
	const flags = unix.MS_RDONLY | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOSUID
	if err := unix.Mount(device, dir, "vfat", flags, ""); err != nil {
		return nil, false, fmt.Errorf("boot partition %s: %w", device, err)
	}
	data, there, err = inFolder(dir)
	if uerr := unix.Unmount(dir, 0); uerr != nil {
		uerr = errors.Join(uerr, unix.Unmount(dir, unix.MNT_DETACH))
		err = errors.Join(err, fmt.Errorf("boot partition %s is still in use: %w", device, uerr))
	}
	return data, there, errors.Join(err, os.Remove(dir))
}

// inFolder reads the file from a mounted boot partition.
func inFolder(dir string) (data []byte, there bool, err error) {
	f, err := os.Open(filepath.Join(dir, Name))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, Name+".txt")); err == nil {
			return nil, false, fmt.Errorf("the boot partition has %s.txt; rename it to %s", Name, Name)
		}
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	data, err = io.ReadAll(io.LimitReader(f, maxFile+1)) // Parse reports what is too long
	return data, err == nil, err
}

// bootDevice is the first partition of the disk that the root file system is
// on. Sys(5)'s /sys/dev/block has a link for each device number, into the
// folder of the partition within the folder of its disk.
func bootDevice(root string) (string, error) {
	info, err := os.Stat(root)
	if err != nil {
		return "", err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", errors.New("no device number for " + root)
	}
	return firstPartition(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)))
}

func firstPartition(link string) (string, error) {
	part, err := filepath.EvalSymlinks(link)
	if err != nil {
		return "", fmt.Errorf("the disk of the root file system: %w", err)
	}
	found, err := filepath.Glob(filepath.Join(filepath.Dir(part), "*", "partition"))
	if err != nil {
		return "", err
	}
	for _, f := range found {
		if n, err := os.ReadFile(f); err == nil && string(bytes.TrimSpace(n)) == "1" {
			return "/dev/" + filepath.Base(filepath.Dir(f)), nil
		}
	}
	return "", fmt.Errorf("the disk of the root file system, %s, has no first partition", filepath.Dir(part))
}
