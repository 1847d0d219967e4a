package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFreeSaysWhatToDo: what the kernel answers to an open, in words.
func TestFreeSaysWhatToDo(t *testing.T) {
	for err, want := range map[error][]string{
		unix.EBUSY:     {"in use", "LVM", "LUKS", "swapoff", "lsblk /dev/sdb"},
		unix.EACCES:    {"as root", "setfacl -m u:$USER:rw /dev/sdb"},
		unix.EPERM:     {"as root"},
		unix.EROFS:     {"write-protected"},
		unix.ENOMEDIUM: {"/dev/sdb", unix.ENOMEDIUM.Error()},
	} {
		got := free("/dev/sdb", func(device string, flags int) (io.Closer, error) {
			if flags != unix.O_RDWR|unix.O_EXCL {
				t.Errorf("opened with flags %#x, want O_RDWR and O_EXCL", flags)
			}
			return nil, &fs.PathError{Op: "open", Path: device, Err: err}
		})
		for _, w := range want {
			if got == nil || !strings.Contains(got.Error(), w) {
				t.Errorf("%v: %v, want %q", err, got, w)
			}
		}
	}
}

type closer struct {
	closed int
	err    error
}

func (c *closer) Close() error { c.closed++; return c.err }

// TestFreeLetsGoOfTheDisk: gok opens it again, and a disk that is held has no
// new partitions.
func TestFreeLetsGoOfTheDisk(t *testing.T) {
	for _, want := range []error{nil, errors.New("I/O error")} {
		c := &closer{err: want}
		if err := free("/dev/sdb", func(string, int) (io.Closer, error) { return c, nil }); !errors.Is(err, want) || c.closed != 1 {
			t.Errorf("%v, closed %d times; want %v, once", err, c.closed, want)
		}
	}
}

func TestFreeTakesAnOrdinaryFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "card.img")
	if err := os.WriteFile(path, []byte("card"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := free(path, openDevice); err != nil {
		t.Errorf("refused: %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "card" {
		t.Errorf("it holds %q now (%v)", data, err)
	}
}

// TestFreeAsksTheKernel has a file system on a loop device: mounted, and then
// not. The mount's name in /proc/self/mounts plays no part.
func TestFreeAsksTheKernel(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: loop devices and mounts")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "ext4")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 16<<20); err != nil {
		t.Fatal(err)
	}
	sbin(t, "mkfs.ext4", "-q", "-F", file)
	device := sbin(t, "losetup", "-f", "--show", file)
	t.Cleanup(func() { sbin(t, "losetup", "-d", device) })
	if err := free(device, openDevice); err != nil {
		t.Errorf("a loop device that nobody uses: %v", err)
	}
	if err := unix.Mount(device, dir, "ext4", 0, ""); err != nil {
		t.Fatal(err)
	}
	err := free(device, openDevice)
	if err := unix.Unmount(dir, 0); err != nil {
		t.Error(err)
	}
	if err == nil || !strings.Contains(err.Error(), "in use by this machine") {
		t.Errorf("mounted: %v, want that it is in use", err)
	}
	if err := free(device, openDevice); err != nil {
		t.Errorf("unmounted again: %v", err)
	}
}

// sbin runs one of e2fsprogs or util-linux, which may not be in PATH.
func sbin(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path = filepath.Join("/sbin", name)
	}
	out, err := exec.Command(path, args...).CombinedOutput() // also for what is put back at the end
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}
