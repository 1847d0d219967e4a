package main

import (
	"io"
	"log"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ordersFile is what is done at the start.
const ordersFile = "/perm/sabotage"

// obey does each line of a file, again and again until it works: a program may
// not be there yet.
func (s *saboteur) obey(path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		return
	}
	if err := os.Remove(path); err != nil { // the next start is another root's, which may have a saboteur, too
		log.Print(err)
		return
	}
	unix.Sync()
	for _, line := range strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' || r == ';' }) {
		for f := strings.Fields(line); len(f) > 0; time.Sleep(100 * time.Millisecond) {
			if err := s.command(f, io.Discard); err == nil {
				break
			} else {
				log.Printf("%q: %v", f, err)
			}
		}
	}
}

// takeDown clears an interface's IFF_UP (netdevice(7)).
func takeDown(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, r); err != nil {
		return err
	}
	r.SetUint16(r.Uint16() &^ unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
}
