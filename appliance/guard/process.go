package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// killBoxd kills the boxd of this box and says how many processes that were.
func killBoxd(box string) (n int, err error) {
	pids, err := findBoxd("/proc", box)
	for _, pid := range pids {
		if e := syscall.Kill(pid, syscall.SIGKILL); e != nil {
			err = errors.Join(err, e)
			continue
		}
		n++
	}
	return n, err
}

// findBoxd finds processes whose program is called boxd and whose --name is the
// box: on one host there may be several.
func findBoxd(proc, box string) (pids []int, err error) {
	list, err := os.ReadDir(proc)
	if err != nil {
		return nil, err
	}
	for _, d := range list {
		pid, err := strconv.Atoi(d.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		line, err := os.ReadFile(filepath.Join(proc, d.Name(), "cmdline"))
		if err == nil && isBoxd(line, box) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// isBoxd looks at a command line, whose arguments end in zero bytes.
func isBoxd(line []byte, box string) bool {
	args := bytes.Split(bytes.TrimSuffix(line, []byte{0}), []byte{0})
	if filepath.Base(string(args[0])) != "boxd" {
		return false
	}
	for i, a := range args[1:] {
		if string(a) == "--name="+box || string(a) == "--name" && i+2 < len(args) && string(args[i+2]) == box {
			return true
		}
	}
	return false
}
