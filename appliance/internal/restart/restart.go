// Package restart restarts the box, seldom: what doesn't help once is not done
// again and again. It remembers in /perm how many restarts in a row it has done
// and lets the next one wait for an uptime of half an hour, then twice as long
// each time, up to four hours. It counts uptime, not time: a board without a
// clock doesn't know what time it is after a restart.
//
// So no two restarts by it are less than half an hour apart, whoever asks: guard
// and boxd share the memory. Where nothing can be remembered, each one waits for
// half an hour of uptime.
package restart

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// File is where restarts are remembered.
	File = "/perm/videobox/restarts.json"
	// Trial is there while an update is on trial: a restart would end the trial.
	Trial = "/run/videobox/trial"

	shortest = 30 * time.Minute
	longest  = 4 * time.Hour
)

// ErrNotNow is wrapped by what May and Do return when a restart has to wait.
var ErrNotNow = errors.New("no restart of the box now")

// memory is what the file holds.
type memory struct {
	InARow int       `json:"in_a_row"` // restarts, each soon after the last
	By     string    `json:"by"`       // of the last: the program
	Why    string    `json:"why"`
	Uptime string    `json:"uptime"` // at the last
	Time   time.Time `json:"time"`   // of the last, by the box's clock; for people
}

// Box restarts a box.
type Box struct {
	file, trial, root string
	uptime            func() (time.Duration, error)
	reboot            func() error
}

// System is this host.
func System() *Box {
	return &Box{file: File, trial: Trial, root: "/", uptime: uptime, reboot: reboot}
}

// IsBox says whether the host whose / is at root is a videobox image: its first
// process is gokrazy's init. Any other host is somebody's own.
func IsBox(root string) bool {
	init, err := os.Readlink(filepath.Join(root, "proc/1/exe"))
	return err == nil && init == "/gokrazy/init"
}

// May is nil when a restart would be done, else why not.
func (b *Box) May() error {
	_, err := b.next()
	return err
}

// Do restarts the box, for a reason, or says why not. It returns only when the
// box does not restart.
func (b *Box) Do(by, why string) error {
	m, err := b.next()
	if err != nil {
		return err
	}
	up, err := b.uptime()
	if err != nil {
		return err
	}
	m.By, m.Why, m.Uptime, m.Time = by, why, up.Round(time.Second).String(), time.Now().UTC()
	if err := b.remember(m); err != nil && up < shortest {
		return fmt.Errorf("%w: it could not be remembered, so it waits for an uptime of %v: %w", ErrNotNow, shortest, err)
	}
	b.say(by + " restarts the box: " + why)
	return b.reboot()
}

// Now restarts the box at once, however often that was done: to begin and to
// end the trial of an update. It returns only when the box does not restart.
func Now(by, why string) error {
	b := System()
	if !IsBox(b.root) {
		return fmt.Errorf("%w: this host is no videobox image", ErrNotNow)
	}
	b.say(by + " restarts the box: " + why)
	return b.reboot()
}

// Uptime is the time since the kernel's start.
func Uptime() (time.Duration, error) { return uptime() }

// say leaves a line on the console, since logs of the programs may not be read
// any more.
func (b *Box) say(line string) {
	f, err := os.OpenFile(filepath.Join(b.root, "dev/console"), os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	fmt.Fprintf(f, "restart: %s\n", line)
}

// next is what is to be remembered of a restart now, or why it has to wait.
func (b *Box) next() (memory, error) {
	if !IsBox(b.root) {
		return memory{}, fmt.Errorf("%w: this host is no videobox image", ErrNotNow)
	}
	if _, err := os.Stat(b.trial); err == nil {
		return memory{}, fmt.Errorf("%w: an update is on trial", ErrNotNow)
	}
	up, err := b.uptime()
	if err != nil {
		return memory{}, err
	}
	m := b.recall()
	least := wait(m.InARow)
	if up < least {
		return memory{}, fmt.Errorf("%w: %d in a row did not help, the next may be at an uptime of %v, this is %v", ErrNotNow, m.InARow, least, up.Round(time.Second))
	}
	if up >= least+shortest { // that one had helped
		m.InARow = 0
	}
	m.InARow++
	return m, nil
}

// wait is the least uptime before the restart that follows n in a row.
func wait(n int) time.Duration {
	if n <= 0 {
		return 0
	}
	return min(shortest<<min(n-1, 10), longest)
}

// recall reads the memory. One that can't be read counts as one restart: it is
// no licence.
func (b *Box) recall() memory {
	data, err := os.ReadFile(b.file)
	if errors.Is(err, fs.ErrNotExist) {
		return memory{}
	}
	var m memory
	if err != nil || json.Unmarshal(data, &m) != nil || m.InARow < 0 {
		return memory{InARow: 1}
	}
	return m
}

// remember writes the memory so that it outlives what follows.
func (b *Box) remember(m memory) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	dir := filepath.Dir(b.file)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".restarts-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), b.file)
}

func uptime() (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0, fmt.Errorf("uptime: %w", err)
	}
	return time.Duration(t.Nano()), nil
}

func reboot() error {
	unix.Sync()
	return unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
}
