// Package process finds and kills programs of a box by what /proc says of them
// (proc_pid_cmdline(5)): on one host there may be several boxes.
package process

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Find gives the processes that are the program of a box: called so, and with
// its --name, which is compared as it was given. Children of the program that
// are the same file with a command (capture worker) are not meant.
func Find(program, box string) ([]int, error) { return find("/proc", program, box) }

// Kill kills those that Find finds and says how many they were.
func Kill(program, box string) (n int, err error) {
	pids, err := Find(program, box)
	for _, pid := range pids {
		if e := syscall.Kill(pid, syscall.SIGKILL); e != nil {
			err = errors.Join(err, e)
			continue
		}
		n++
	}
	return n, err
}

// IsCommand says whether a process is a program's child for a command: whether
// it is still who it was, since numbers are used again.
func IsCommand(pid int, program, command string) bool {
	args := arguments("/proc", pid)
	return len(args) > 1 && filepath.Base(args[0]) == program && args[1] == command
}

func find(proc, program, box string) (pids []int, err error) {
	list, err := os.ReadDir(proc)
	if err != nil {
		return nil, err
	}
	for _, d := range list {
		pid, err := strconv.Atoi(d.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if is(arguments(proc, pid), program, box) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// arguments are a process's, each of which ends in a zero byte; none of one that
// is gone.
func arguments(proc string, pid int) []string {
	line, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "cmdline"))
	if err != nil || len(line) == 0 {
		return nil
	}
	return strings.Split(string(bytes.TrimSuffix(line, []byte{0})), "\x00")
}

func is(args []string, program, box string) bool {
	if len(args) < 2 || filepath.Base(args[0]) != program || !strings.HasPrefix(args[1], "-") {
		return false
	}
	for i, a := range args[1:] {
		if a == "--name="+box || a == "--name" && i+2 < len(args) && args[i+2] == box {
			return true
		}
	}
	return false
}
