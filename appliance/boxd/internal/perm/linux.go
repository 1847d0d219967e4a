package perm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/appliance/internal/ext4"
)

// fsckPath is Debian's e2fsck-static in the image.
const fsckPath = "/usr/lib/videobox/e2fsck"

// permNumber is gokrazy's partition for data: 1 boots, 2 and 3 are roots.
const permNumber = 4

// onBox says whether gokrazy's init runs here. Nowhere else may a partition be
// touched.
func onBox() bool {
	init, err := os.Readlink("/proc/1/exe")
	return err == nil && init == "/gokrazy/init"
}

// openConsole is the serial console, which logs don't reach, else nothing.
func openConsole() io.WriteCloser {
	f, err := os.OpenFile("/dev/console", os.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return noConsole{}
	}
	return f
}

type noConsole struct{}

func (noConsole) Write(p []byte) (int, error) { return len(p), nil }
func (noConsole) Close() error                { return nil }

// linux is the system with one partition.
type linux struct {
	dir    string // where it is mounted
	device string // /dev/mmcblk0p4
	disk   *os.File
	fsck   string
}

// find opens the data partition: of the disk that holds the root file system.
func find(dir string) (*preparer, error) {
	var root unix.Stat_t
	if err := unix.Stat("/", &root); err != nil {
		return nil, err
	}
	disk, part, err := siblings("/sys", unix.Major(root.Dev), unix.Minor(root.Dev), permNumber)
	if err != nil {
		return nil, err
	}
	whole, err := os.OpenFile("/dev/"+disk.name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	alone, err := os.OpenFile("/dev/"+part.name, os.O_RDWR, 0)
	if err != nil {
		return nil, errors.Join(err, whole.Close())
	}
	return &preparer{
		machine: &linux{dir: dir, device: alone.Name(), disk: whole, fsck: fsckPath},
		disk:    whole, sectors: uint64(disk.size / sector), part: alone, number: permNumber, size: part.size,
	}, nil
}

// block is a block device and its size in bytes.
type block struct {
	name string
	size int64
}

// siblings finds the disk of a partition, and another partition of that disk,
// in sysfs.
func siblings(sys string, major, minor uint32, number int) (disk, part block, err error) {
	own, err := filepath.EvalSymlinks(filepath.Join(sys, "dev/block", fmt.Sprintf("%d:%d", major, minor)))
	if err != nil {
		return disk, part, fmt.Errorf("the root file system's partition: %w", err)
	}
	dir := filepath.Dir(own)
	if disk, err = blockOf(dir); err != nil {
		return disk, part, fmt.Errorf("the root file system's disk: %w", err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*", "partition"))
	if err != nil {
		return disk, part, err
	}
	for _, f := range found {
		if b, err := os.ReadFile(f); err == nil && strings.TrimSpace(string(b)) == strconv.Itoa(number) {
			part, err = blockOf(filepath.Dir(f))
			return disk, part, err
		}
	}
	return disk, part, fmt.Errorf("%s has no partition %d; flash the card again", disk.name, number)
}

func blockOf(dir string) (block, error) {
	b, err := os.ReadFile(filepath.Join(dir, "size"))
	if err != nil {
		return block{}, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64) // in units of 512 bytes, always
	return block{filepath.Base(dir), n * 512}, err
}

func (l *linux) mounted() (string, error) {
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 2 && f[1] == l.dir {
			return f[2], nil
		}
	}
	return "", nil
}

// mount mounts and makes what init makes there. Read-only it also turns one
// that is mounted already.
func (l *linux) mount(readOnly bool) error {
	var flags uintptr
	if readOnly {
		flags = unix.MS_RDONLY
		if kind, err := l.mounted(); err == nil && kind != "" {
			flags |= unix.MS_REMOUNT
		}
	}
	if err := unix.Mount(l.device, l.dir, "ext4", flags, ""); err != nil {
		return fmt.Errorf("mounting %s at %s: %w", l.device, l.dir, err)
	}
	if readOnly {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(l.dir, "var"), 0o755); err != nil {
		return err
	}
	if err := os.Symlink("/run", filepath.Join(l.dir, "var/run")); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

func (l *linux) unmount() error {
	if err := unix.Unmount(l.dir, 0); err != nil {
		return fmt.Errorf("unmounting %s: %w", l.dir, err)
	}
	return nil
}

// release kills whoever has a file or folder of the partition open. It kills
// rather than asks: init starts a program again that was killed, but not one
// that ended in order.
func (l *linux) release() (ended []string) {
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	for _, p := range procs {
		pid, err := strconv.Atoi(filepath.Base(p))
		if err != nil || pid == 1 || pid == os.Getpid() || !l.heldBy(p) {
			continue
		}
		name, _ := os.ReadFile(filepath.Join(p, "comm"))
		if unix.Kill(pid, unix.SIGKILL) == nil {
			ended = append(ended, strings.TrimSpace(string(name)))
		}
	}
	return ended
}

func (l *linux) heldBy(proc string) bool {
	links, _ := filepath.Glob(filepath.Join(proc, "fd", "*"))
	for _, link := range append(links, filepath.Join(proc, "cwd"), filepath.Join(proc, "root"), filepath.Join(proc, "exe")) {
		if to, err := os.Readlink(link); err == nil && (to == l.dir || strings.HasPrefix(to, l.dir+"/")) {
			return true
		}
	}
	return false
}

func (l *linux) check(ctx context.Context, progress func(string), args ...string) (int, string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, "", err
	}
	defer r.Close()
	cmd := exec.CommandContext(ctx, l.fsck, append(append([]string{"-C", "3"}, args...), l.device)...)
	cmd.Env = []string{"LC_ALL=C", "PATH=/"}
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // the next boxd must find the partition free
	runtime.LockOSThread()                                             // the signal comes when the thread ends that has started it
	defer runtime.UnlockOSThread()
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err = cmd.Start()
	w.Close()
	if err != nil {
		return 0, "", err
	}
	showProgress(r, progress)
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), said.String(), nil
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("it took longer than %v", checkTime)
	}
	return 0, said.String(), err
}

// BLKPG of linux/blkpg.h.
const (
	blkpg                = 0x1269
	blkpgResizePartition = 3
)

type blkpgArg struct {
	op, flags, datalen int32
	data               unsafe.Pointer
}

type blkpgPartition struct {
	start, length    int64 // bytes
	number           int32
	devname, volname [64]byte
}

// resizePartition tells the kernel a partition's new size while it is in use.
func (l *linux) resizePartition(number int, s span) error {
	p := &blkpgPartition{start: s.Start, length: s.Size, number: int32(number)}
	a := &blkpgArg{op: blkpgResizePartition, datalen: int32(unsafe.Sizeof(*p)), data: unsafe.Pointer(p)}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, l.disk.Fd(), blkpg, uintptr(unsafe.Pointer(a)))
	if errno != 0 {
		return fmt.Errorf("telling the kernel the partition's size: %w", errno)
	}
	return nil
}

func (l *linux) growFS(blocks uint64) error { return ext4.Grow(l.dir, blocks) }
