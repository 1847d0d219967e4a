// Command saboteur breaks a box from inside, for tests in the virtual machine:
// it stops and kills programs, fills the disk and crashes the kernel, for
// whoever connects to TCP 9999. It is in no image but those that tests build
// for themselves (images/build image --with images/vm/saboteur).
//
// A command a line, an answer a line: ok, or error and what is wrong. What is
// meant by NAME of a process is a program's file name; worker is capture's.
//
//	pids NAME                         its processes
//	stop NAME, cont NAME, kill NAME   SIGSTOP, SIGCONT, SIGKILL
//	hunt NAME                         kills it as often as it appears, until "hunt" alone
//	freeze NAME                       stops it as often as it appears
//	deaf NAME                         it answers nobody from 10 s after its start on, and goes on
//	down INTERFACE                    takes a network interface down, as often as it comes up
//	fill DIR MIB                      leaves that much free on the disk; "fill DIR" gives it back
//	write FILE TEXT                   as echo TEXT > FILE does
//	read FILE                         its lines, each behind "| "
//	control NODE ID VALUE             sets a control of a video device, both numbers as Go writes them
//	module NAME [PARAMETER=VALUE …]   loads a kernel module
//	run FILE [ARGUMENT …]             runs a program, as root; what it says comes as lines behind "| "
//	mount DEVICE FOLDER, umount FOLDER  read-only vfat, as something that looks at the boot partition does
//	hold FILE                         opens it and never closes it
//
// What it finds in /perm/sabotage at its start it does at once, that once only,
// each line, or part of one up to a ";", until it works: that is how one image is
// all the bad ones that an update can bring.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/drivers/kmod"
)

const addr = ":9999"

func main() {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		log.Fatal(err)
	}
	s := &saboteur{}
	go s.hunt()
	go s.obey(ordersFile)
	for {
		c, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go s.serve(c)
	}
}

type saboteur struct {
	prey atomic.Pointer[prey]
	down atomic.Pointer[string] // a network interface
	deaf atomic.Pointer[string] // a program
}

// prey is a program and what it gets.
type prey struct {
	name   string
	signal syscall.Signal
}

func (s *saboteur) serve(c net.Conn) {
	defer c.Close()
	for sc := bufio.NewScanner(c); sc.Scan(); {
		answer := "ok"
		if err := s.command(strings.Fields(sc.Text()), quoted{c}); err != nil {
			answer = "error: " + strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		if _, err := fmt.Fprintln(c, answer); err != nil {
			return
		}
	}
}

var signals = map[string]syscall.Signal{"stop": syscall.SIGSTOP, "cont": syscall.SIGCONT, "kill": syscall.SIGKILL}

func (s *saboteur) command(f []string, to io.Writer) error {
	switch {
	case len(f) == 2 && signals[f[0]] != 0:
		return send(signals[f[0]], f[1])
	case len(f) == 2 && f[0] == "pids":
		list, err := processes(f[1])
		return errors.Join(err, say(to, strings.Trim(fmt.Sprint(list), "[]")))
	case len(f) == 1 && f[0] == "hunt":
		s.prey.Store(nil)
		return nil
	case len(f) == 2 && f[0] == "hunt":
		s.prey.Store(&prey{f[1], syscall.SIGKILL})
		return nil
	case len(f) == 2 && f[0] == "freeze":
		s.prey.Store(&prey{f[1], syscall.SIGSTOP})
		return nil
	case len(f) == 2 && f[0] == "deaf":
		s.deaf.Store(&f[1])
		return nil
	case len(f) == 2 && f[0] == "down":
		s.down.Store(&f[1])
		return nil
	case len(f) == 2 && f[0] == "fill":
		return os.Remove(filler(f[1]))
	case len(f) == 3 && f[0] == "fill":
		return fill(f[1], f[2])
	case len(f) >= 3 && f[0] == "write":
		return os.WriteFile(f[1], []byte(strings.Join(f[2:], " ")+"\n"), 0o644)
	case len(f) == 2 && f[0] == "read":
		data, err := os.ReadFile(f[1])
		return errors.Join(err, say(to, string(data)))
	case len(f) == 4 && f[0] == "control":
		return setControl(f[1], f[2], f[3])
	case len(f) >= 2 && f[0] == "module":
		return kmod.Load(strings.Join(f[1:], " "))
	case len(f) >= 2 && f[0] == "run":
		return runProgram(f[1], f[2:], to)
	case len(f) == 3 && f[0] == "mount":
		return errors.Join(os.MkdirAll(f[2], 0o755), unix.Mount(f[1], f[2], "vfat", unix.MS_RDONLY, ""))
	case len(f) == 2 && f[0] == "hold":
		_, err := unix.Open(f[1], unix.O_RDONLY|unix.O_CLOEXEC, 0) // an *os.File would be collected
		return err
	case len(f) == 2 && f[0] == "umount":
		return unix.Unmount(f[1], 0)
	}
	return fmt.Errorf("%q is no command", f)
}

// quoted puts "| " before each line, so that an answer is told from what a
// program says.
type quoted struct{ io.Writer }

func say(to io.Writer, text string) error {
	for line := range strings.Lines(text) {
		if _, err := to.Write([]byte(line)); err != nil {
			return err
		}
	}
	return nil
}

func (q quoted) Write(line []byte) (int, error) {
	_, err := fmt.Fprintf(q.Writer, "| %s\n", strings.TrimRight(string(line), "\n"))
	return len(line), err
}

// setControl is VIDIOC_S_CTRL of include/uapi/linux/videodev2.h.
func setControl(node, id, value string) error {
	n, err := strconv.ParseUint(id, 0, 32)
	if err != nil {
		return err
	}
	v, err := strconv.ParseInt(value, 0, 32)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(node, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	control := struct {
		id    uint32
		value int32
	}{uint32(n), int32(v)}
	const set = 3<<30 | 8<<16 | 'V'<<8 | 28
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), set, uintptr(unsafe.Pointer(&control))); errno != 0 {
		return fmt.Errorf("control %s of %s: %w", id, node, errno)
	}
	return nil
}

// runProgram runs a program of the image, or one that a test has put onto /perm,
// where no file is executable.
func runProgram(path string, args []string, to io.Writer) error {
	if info, err := os.Stat(path); err != nil {
		return err
	} else if info.Mode()&0o111 == 0 {
		if err := os.Chmod(path, 0o755); err != nil {
			return err
		}
	}
	cmd := exec.Command(path, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return err
	}
	for r := bufio.NewReader(out); ; {
		line, err := r.ReadString('\n')
		if line != "" {
			say(to, line) // whoever has gone away hears nothing; the program goes on
		}
		if err != nil {
			return cmd.Wait()
		}
	}
}

// hunt looks often enough that no program gets to answer anything.
func (s *saboteur) hunt() {
	seen := map[int]time.Time{}
	for range time.Tick(50 * time.Millisecond) {
		if p := s.prey.Load(); p != nil {
			send(p.signal, p.name) // there may be none just now
		}
		if d := s.down.Load(); d != nil {
			takeDown(*d)
		}
		if d := s.deaf.Load(); d != nil {
			s.deafen(*d, seen)
		}
	}
}

func send(sig syscall.Signal, name string) error {
	pids, err := processes(name)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, sig); err != nil {
			return err
		}
	}
	return nil
}

// processes are those of a program; that there is none is an error.
func processes(name string) (pids []int, err error) {
	list, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, d := range list {
		if pid, err := strconv.Atoi(d.Name()); err == nil && is(pid, name) {
			pids = append(pids, pid)
		}
	}
	if len(pids) == 0 {
		return nil, errors.New("no process " + name)
	}
	return pids, nil
}

// is compares a command line: capture's worker is capture with a command.
func is(pid int, name string) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	args := strings.Split(string(line), "\x00")
	if err != nil || len(args) < 2 {
		return false
	}
	if name == "worker" {
		return filepath.Base(args[0]) == "capture" && args[1] == "worker"
	}
	return filepath.Base(args[0]) == name && (args[1] == "" || strings.HasPrefix(args[1], "-"))
}

func filler(dir string) string { return filepath.Join(dir, "filler") }

// fill takes all but so many MiB of a disk.
func fill(dir, left string) error {
	mib, err := strconv.ParseInt(left, 10, 32)
	if err != nil {
		return err
	}
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return err
	}
	take := int64(s.Bavail)*s.Bsize - mib<<20
	if take <= 0 {
		return nil
	}
	f, err := os.Create(filler(dir))
	if err != nil {
		return err
	}
	return errors.Join(unix.Fallocate(int(f.Fd()), 0, 0, take), f.Close())
}
