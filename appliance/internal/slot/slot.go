// Package slot knows the two root partitions of a box: which one runs, which
// one the kernel was told to start, and which one the next start takes. It
// overwrites what the boot partition says of that, in place.
//
// A trial is gokrazy's: its init reads cmdline.txt on the boot partition, and
// where that holds gokrazy.try_boot_inactive=1 it takes the word away and goes
// on with the other root, once. The kernel's command line then still names the
// old root, which is how a trial is told from a start, by anybody and without a
// state kept anywhere: the root that runs isn't the one that the kernel was
// told. It is committed once the boot partition names the running root.
//
// Roots are partition 2 and 3 (gokrazy/internal/rootdev). Tested on images of
// gokrazy/tools v0.0.0-20260109 in a virtual machine.
package slot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/internal/fat"
)

// Where the boot partition says what is started: the Pi's firmware and gokrazy's
// init read the first, systemd-boot on a PC the second.
const (
	cmdlineFile = "cmdline.txt"
	loaderFile  = "loader/entries/gokrazy.conf"
)

// The words of gokrazy's init: before a trial, and what it makes of it.
const (
	tryWord   = "gokrazy.try_boot_inactive=1"
	triedWord = "gokrazy.switch_on_boot=1"
)

// Card is the disk that a box has started from.
type Card struct {
	Boot    string         // device of the boot partition
	Root    map[int]string // devices of the roots, by partition number: 2 and 3
	Running int            // the root that runs: 2 or 3
	Told    int            // the root on the kernel's command line
	// OldInit says that process 1 isn't of the running root: the trial's init
	// could not be executed, and the old one goes on with the new root's programs.
	OldInit bool
}

// Other is the root that isn't running.
func (c Card) Other() int { return 5 - c.Running }

// OnTrial says whether the running root was started by a trial. It is so until
// the next start, also after Commit.
func (c Card) OnTrial() bool { return c.Running != c.Told }

// Uncommitted says whether the next start goes back to the old root.
func (c Card) Uncommitted() (bool, error) {
	if !c.OnTrial() {
		return false, nil
	}
	next, err := c.Next()
	return err == nil && next != c.Running, err
}

// System is this host's card.
func System() (Card, error) { return find("/") }

// find takes the host whose / is at root.
func find(root string) (Card, error) {
	info, err := os.Stat(root)
	if err != nil {
		return Card{}, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return Card{}, errors.New("no device number for " + root)
	}
	cmdline, err := os.ReadFile(filepath.Join(root, "proc/cmdline"))
	if err != nil {
		return Card{}, err
	}
	init, err := os.Stat(filepath.Join(root, "proc/1/exe"))
	if err != nil {
		return Card{}, err
	}
	of, ok := init.Sys().(*syscall.Stat_t)
	if !ok {
		return Card{}, errors.New("no device number for process 1")
	}
	link := fmt.Sprintf("sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	c, err := card(filepath.Join(root, link), cmdline)
	c.OldInit = of.Dev != st.Dev
	return c, err
}

// card is what sysfs says beside the folder of the running root (sysfs(5)).
func card(link string, cmdline []byte) (Card, error) {
	part, err := filepath.EvalSymlinks(link)
	if err != nil {
		return Card{}, fmt.Errorf("the disk of the root file system: %w", err)
	}
	c := Card{Root: map[int]string{}}
	if c.Running, err = number(part); err != nil {
		return Card{}, err
	}
	found, err := filepath.Glob(filepath.Join(filepath.Dir(part), "*", "partition"))
	if err != nil {
		return Card{}, err
	}
	for _, f := range found {
		dir := filepath.Dir(f)
		switch n, err := number(dir); {
		case err != nil:
			return Card{}, err
		case n == 1:
			c.Boot = "/dev/" + filepath.Base(dir)
		case n == 2 || n == 3:
			c.Root[n] = "/dev/" + filepath.Base(dir)
		}
	}
	if c.Boot == "" || len(c.Root) != 2 || c.Root[c.Running] == "" {
		return Card{}, fmt.Errorf("the disk of the root file system has boot partition %q and roots %v, and partition %d runs; a box has 1, 2 and 3", c.Boot, c.Root, c.Running)
	}
	c.Told, err = rootIn(cmdline)
	return c, err
}

func number(dir string) (int, error) {
	text, err := os.ReadFile(filepath.Join(dir, "partition"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("the root file system is on %s, which is no partition", filepath.Base(dir))
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(bytes.TrimSpace(text)))
}

// The forms of root= that gokrazy knows.
var roots = []struct {
	form *regexp.Regexp
	add  int // to the number in it
}{
	{regexp.MustCompile(`\broot=PARTUUID=[0-9a-fA-F-]+/PARTNROFF=([12])(?:\s|$)`), 1},
	{regexp.MustCompile(`\broot=PARTUUID=[0-9a-fA-F]+-0([23])(?:\s|$)`), 0},
	{regexp.MustCompile(`\broot=/dev/(?:mmcblk[01]p|sda|vda|nvme0n1p)([23])(?:\s|$)`), 0},
}

// rootIn is the partition that a command line names.
func rootIn(cmdline []byte) (int, error) {
	_, n, _, err := rootAt(cmdline)
	return n, err
}

// rootAt is also where its number stands, and what is written for partition 2.
func rootAt(cmdline []byte) (at, partition int, two byte, err error) {
	for _, r := range roots {
		if m := r.form.FindSubmatchIndex(cmdline); m != nil {
			return m[2], int(cmdline[m[2]]-'0') + r.add, byte('2' - r.add), nil
		}
	}
	return 0, 0, 0, fmt.Errorf("no root=… of partition 2 or 3 in %.300q", cmdline)
}

// Next is the root that the next start takes, a trial aside.
func (c Card) Next() (n int, err error) {
	err = c.withBoot(os.O_RDONLY, func(f *os.File) error {
		line, err := fat.ReadFile(f, cmdlineFile)
		if err != nil {
			return err
		}
		n, err = rootIn(line)
		return err
	})
	return n, err
}

// flush is what a card may refuse; tests have one that does.
var flush = (*os.File).Sync

// withBoot opens the boot partition for a moment. Nobody may hold it for
// longer: the kernel writes what gokrazy's init has changed when the last one
// closes it.
func (c Card) withBoot(flag int, do func(*os.File) error) error {
	f, err := os.OpenFile(c.Boot, flag, 0)
	if err != nil {
		return fmt.Errorf("boot partition: %w", err)
	}
	err = do(f)
	if flag != os.O_RDONLY && err == nil {
		err = flush(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("boot partition %s: %w", c.Boot, err)
	}
	return nil
}

// ReadBoot reads a file of the boot partition.
func (c Card) ReadBoot(path string) (data []byte, err error) {
	err = c.withBoot(os.O_RDONLY, func(f *os.File) error {
		data, err = fat.ReadFile(f, path)
		return err
	})
	return data, err
}

// CopyBoot copies a file of the boot partition, of any size.
func (c Card) CopyBoot(to io.Writer, path string) error {
	return c.withBoot(os.O_RDONLY, func(f *os.File) error {
		file, err := fat.Find(f, path)
		if err != nil {
			return err
		}
		return file.Write(to)
	})
}
