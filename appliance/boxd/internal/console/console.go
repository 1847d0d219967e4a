// Package console says on a box's serial console what a person with nothing
// but that needs: where the box is reached, what it is called, and how it is.
package console

import (
	"context"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Path is the kernel's console, the serial port that its command line names.
const Path = "/dev/console"

// State is what is said.
type State struct {
	Addresses        []string
	Name, Room, Role string
	State, Cause     string
}

// String is the state in one line.
func (s State) String() string {
	address := "no address yet"
	if len(s.Addresses) > 0 {
		address = "http://" + host(s.Addresses[0]) + "/"
		if len(s.Addresses) > 1 {
			address += " (also " + strings.Join(s.Addresses[1:], ", ") + ")"
		}
	}
	room := "no room yet"
	if s.Room != "" {
		room = s.Room + " " + s.Role
	}
	state := s.State
	if s.Cause != "" {
		state += ": " + s.Cause
	}
	return "videobox: " + s.Name + ", " + room + ", " + address + ", " + state
}

func host(addr string) string {
	if strings.Contains(addr, ":") {
		return "[" + addr + "]"
	}
	return addr
}

// pause is the least time between two lines: a state may flap.
const pause = 2 * time.Second

// Run writes a line whenever it differs from the last one, until the context
// ends. A console that can't be written to is tried again.
func Run(ctx context.Context, path string, state func() State) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	said := ""
	for {
		if line := state().String(); line != said && write(path, line) == nil {
			said = line
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// write doesn't wait for a serial port that nobody reads.
func write(path, line string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, line+"\r\n")
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
