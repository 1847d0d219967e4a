package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

type flashCmd struct {
	Device string `arg:"" help:"The card: a whole disk such as /dev/sdX or /dev/mmcblk0."`
	Yes    bool   `help:"Don't ask."`
}

// Run shows what is on the card, asks, and overwrites it.
func (c flashCmd) Run(ctx context.Context, i instance) error {
	t, err := findTarget("/", c.Device)
	if err != nil {
		return err
	}
	fmt.Print(t)
	if err := t.refuse(); err != nil {
		return err
	}
	if err := free(t.device, openDevice); err != nil {
		return err
	}
	if !c.Yes {
		if err := ask(os.Stdin, os.Stdout, t.device); err != nil {
			return err
		}
	}
	held, err := lock(ctx, os.Stdout)
	if err != nil {
		return err
	}
	defer held.Close()
	v, err := i.version("", time.Now())
	if err != nil {
		return err
	}
	if i, err = i.with(v, nil); err != nil {
		return err
	}
	defer os.RemoveAll(i.folder())
	if err := overwrite(ctx, i, t.device, 0); err != nil {
		return err
	}
	if err := openBoot(ctx, t.device, v); err != nil {
		return err
	}
	if err := formatPerm(ctx, t.device); err != nil {
		return err
	}
	fmt.Printf("flash: %[1]s is ready. So that the box takes updates, write the event's credentials onto it: go run ./images/fleet image --config event.yaml %[1]s\nflash: Put it into the box, plug the box in, and look for http://videobox-XXXXXX.local/, with the end of its hardware address, or at its serial console\n", t.device)
	return nil
}

// ask wants the word erase, which nobody types by accident.
func ask(in io.Reader, out io.Writer, device string) error {
	fmt.Fprintf(out, "flash: all of this will be lost. Type erase to overwrite %s: ", device)
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(line) != "erase" {
		return errors.New("nothing was written; YES=1 (--yes) doesn't ask")
	}
	return nil
}

// minBytes is the smallest card: boot, two roots and some of /perm.
const minBytes = 2_000_000_000

// target is the disk to be overwritten.
type target struct {
	device, model string
	bytes         int64
	removable     bool
	parts         []part
}

type part struct {
	device  string
	bytes   int64
	mounted string // where, or ""
}

// findTarget looks a disk up in /sys and /proc below root, which is / but in
// tests.
func findTarget(root, device string) (target, error) {
	name := filepath.Base(device)
	dir := filepath.Join(root, "sys/class/block", name)
	if filepath.Dir(device) != "/dev" {
		return target{}, fmt.Errorf("%s: name a disk in /dev; lsblk lists them", device)
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return target{}, fmt.Errorf("%s: there is no such disk; lsblk lists them", device)
	}
	if _, err := os.Stat(filepath.Join(dir, "partition")); err == nil {
		return target{}, fmt.Errorf("%s is a partition; name the whole disk", device)
	}
	mounts, err := readMounts(filepath.Join(root, "proc/self/mounts"))
	if err != nil {
		return target{}, err
	}
	t := target{device: device, bytes: sizeOf(dir), removable: word(dir, "removable") == "1", model: word(dir, "device/model")}
	if at := mounts[device]; at != "" {
		t.parts = append(t.parts, part{device, t.bytes, at})
	}
	found, err := filepath.Glob(filepath.Join(dir, name+"*", "partition"))
	if err != nil {
		return target{}, err
	}
	for _, p := range found {
		d := "/dev/" + filepath.Base(filepath.Dir(p))
		t.parts = append(t.parts, part{d, sizeOf(filepath.Dir(p)), mounts[d]})
	}
	return t, nil
}

func readMounts(path string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	mounts := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 {
			mounts[f[0]] = f[1]
		}
	}
	return mounts, nil
}

func word(dir, file string) string {
	data, _ := os.ReadFile(filepath.Join(dir, file))
	return strings.TrimSpace(string(data))
}

// sizeOf is a disk's or partition's size in bytes; sysfs counts sectors of 512.
func sizeOf(dir string) int64 {
	n, _ := strconv.ParseInt(word(dir, "size"), 10, 64)
	return n * 512
}

// String is what a person must see before the disk is lost.
func (t target) String() string {
	var b strings.Builder
	kind := "not removable"
	if t.removable {
		kind = "removable"
	}
	fmt.Fprintf(&b, "flash: %s: %s, %.1f GB, %s\n", t.device, orUnknown(t.model), float64(t.bytes)/1e9, kind)
	for _, p := range t.parts {
		fmt.Fprintf(&b, "flash:   %s, %.1f GB", p.device, float64(p.bytes)/1e9)
		if p.mounted != "" {
			fmt.Fprintf(&b, ", mounted at %s", p.mounted)
		}
		b.WriteString("\n")
	}
	if len(t.parts) == 0 {
		b.WriteString("flash:   no partitions\n")
	}
	return b.String()
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown model"
	}
	return s
}

// refuse says why the disk must not be overwritten, whoever agrees.
func (t target) refuse() error {
	for _, p := range t.parts {
		if p.mounted != "" {
			return fmt.Errorf("%s is in use at %s; unmount it first", p.device, p.mounted)
		}
	}
	if t.bytes < minBytes {
		return fmt.Errorf("%s holds %.1f GB; a card of at least %.0f GB is needed", t.device, float64(t.bytes)/1e9, minBytes/1e9)
	}
	return nil
}
