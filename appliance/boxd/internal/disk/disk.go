// Package disk mounts a disk for recordings, a USB disk or an SSD beside the
// card a box started from: one whose file system is ext4 labelled "videobox". An
// empty disk is offered, and gets such a file system when a person has said so;
// anything else on a disk is left alone.
//
// Tested on loop devices only.
package disk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/ext4"
	"github.com/openvideobox/videobox/internal/clock"
)

const (
	// Label is what a disk for recordings is called.
	Label = "videobox"
	// Dir is where it is mounted.
	Dir = "/run/videobox/disk"

	every = time.Second // between looks
	// minBytes is the smallest disk that is worth it: an hour and a half.
	minBytes = 4 << 30
)

// State is what a disk is to the box.
type State string

// States.
const (
	Mounted State = "mounted" // recordings go there
	Waiting State = "waiting" // labelled, while another one is mounted
	Empty   State = "empty"   // may be taken, by Take
	Foreign State = "foreign" // something else is on it
	Failed  State = "failed"  // labelled, and can't be mounted; Text says why
)

// Disk is one that the box did not start from.
type Disk struct {
	Name  string `json:"name"` // sda, nvme0n1
	Model string `json:"model,omitempty"`
	Bytes int64  `json:"bytes"`
	State State  `json:"state"`
	Text  string `json:"text,omitempty"`
	Twin  bool   `json:"twin,omitempty"` // flashed from the same image as the box's own
}

// Keeper looks for disks and keeps one mounted.
type Keeper struct {
	host host
	clk  clock.Clock
	dir  string
	log  *slog.Logger

	work    sync.Mutex // held by whoever changes disks
	mounted string     // device node's name, sda1; "" none

	mu    sync.Mutex
	disks []Disk
	lost  string // a disk that is gone, for people
}

// host is the part of the system that tests replace.
type host struct {
	sys, dev string
	own      func() string // name of the disk that the box started from
	mount    func(node, dir string) error
	unmount  func(dir string) error
	grow     func(dir string, blocks uint64) error
}

// New keeps disks of this system.
func New() *Keeper {
	return &Keeper{host: system, clk: clock.System, dir: Dir, log: slog.Default()}
}

// Disks are those found at the last look.
func (k *Keeper) Disks() []Disk {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.disks)
}

// Lost is the disk that was pulled out, or died, while recordings went there; ""
// once one is mounted again.
func (k *Keeper) Lost() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lost
}

// Run looks every second until the context ends. The disk stays mounted.
func (k *Keeper) Run(ctx context.Context) error {
	for {
		k.look()
		if err := clock.Sleep(ctx, k.clk, every); err != nil {
			return err
		}
	}
}

// look mounts a disk that has come and lets go of one that is gone.
func (k *Keeper) look() {
	k.work.Lock()
	defer k.work.Unlock()
	found := k.host.disks()
	if k.mounted != "" && !slices.ContainsFunc(found, func(f finding) bool { return f.node == k.mounted }) {
		k.log.Warn("the disk for recordings is gone", "disk", k.mounted)
		if err := k.host.unmount(k.dir); err != nil {
			k.log.Error("unmount", "dir", k.dir, "error", err)
		}
		k.setLost(k.mounted)
		k.mounted = ""
	}
	disks := []Disk{}
	for _, f := range found {
		disks = append(disks, k.settle(f))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.disks = disks
}

func (k *Keeper) setLost(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lost = name
}

// settle mounts what is to be mounted, and says what became of it.
func (k *Keeper) settle(f finding) Disk {
	switch {
	case f.state != Mounted:
	case f.node == k.mounted:
	case k.mounted != "":
		f.State, f.Text = Waiting, "another disk is in use"
	default:
		if err := k.mount(f); err != nil {
			f.State, f.Text = Failed, err.Error()
		}
	}
	return f.Disk
}

func (k *Keeper) mount(f finding) error {
	if err := os.MkdirAll(k.dir, 0o755); err != nil {
		return err
	}
	if err := k.host.mount(filepath.Join(k.host.dev, f.node), k.dir); err != nil {
		return fmt.Errorf("it can't be mounted, have it checked by fsck: %w", err)
	}
	k.log.Info("recordings go to a disk of their own", "disk", f.node, "bytes", f.Bytes)
	k.mounted = f.node
	k.setLost("")
	if err := k.grow(f); err != nil {
		k.log.Warn("the disk's file system does not grow", "disk", f.node, "error", err)
	}
	return nil
}

// grow makes up for a Take that was cut off: the seed is small.
func (k *Keeper) grow(f finding) error {
	d, err := os.Open(filepath.Join(k.host.dev, f.node))
	if err != nil {
		return err
	}
	defer d.Close()
	super, err := ext4.ReadSuper(d)
	if err != nil || super.Bytes() >= f.Bytes/2 {
		return err // somebody's own file system stays as large as they made it
	}
	return k.host.grow(k.dir, uint64(f.size/super.BlockSize))
}

// ErrNotEmpty is a disk that may not be taken.
var ErrNotEmpty = errors.New("only an empty disk can be taken for recordings")

// Take makes a file system on an empty disk and mounts it at the next look. It
// reads the disk again first: what the page showed may be old.
func (k *Keeper) Take(name string) error {
	k.work.Lock()
	defer k.work.Unlock()
	found := k.host.disks()
	i := slices.IndexFunc(found, func(f finding) bool { return f.Name == name })
	switch {
	case i < 0:
		return fmt.Errorf("there is no disk %.40q", name)
	case found[i].State != Empty:
		return fmt.Errorf("%w: %s is %s, %s", ErrNotEmpty, name, found[i].State, found[i].Text)
	}
	d, err := os.OpenFile(filepath.Join(k.host.dev, name), os.O_RDWR|os.O_EXCL, 0)
	if err != nil {
		return err
	}
	k.log.Warn("making a file system for recordings", "disk", name, "bytes", found[i].Bytes)
	return errors.Join(ext4.Make(d, found[i].Bytes, Label), d.Close())
}

// finding is a disk, and the node of its file system.
type finding struct {
	Disk
	node  string // sda1 or sda
	size  int64  // of the node
	state State  // before anything is mounted
}

// disks lists all but the box's own, memory disks and such.
func (h host) disks() (list []finding) {
	names, _ := os.ReadDir(filepath.Join(h.sys, "block"))
	own := h.own()
	for _, e := range names {
		name := e.Name()
		if name == own || !isDisk(name) {
			continue
		}
		bytes := h.sizeOf(filepath.Join("block", name))
		if bytes == 0 {
			continue // a card reader without a card
		}
		f := finding{Disk: Disk{Name: name, Bytes: bytes, Model: h.word(filepath.Join("block", name, "device/model"))}}
		h.judge(&f)
		f.State = f.state
		list = append(list, f)
	}
	return list
}

// isDisk leaves out what no person plugs in, and the boot areas of an e.MMC.
func isDisk(name string) bool {
	for _, prefix := range []string{"sd", "nvme", "mmcblk", "vd"} {
		if strings.HasPrefix(name, prefix) {
			return !strings.Contains(name, "boot") && !strings.Contains(name, "rpmb")
		}
	}
	return false
}

// judge looks at the disk and its partitions for a file system with our label.
func (h host) judge(f *finding) {
	parts, _ := filepath.Glob(filepath.Join(h.sys, "block", f.Name, f.Name+"*", "partition"))
	for _, node := range append([]string{f.Name}, partNames(parts)...) {
		label, err := h.label(node)
		if err != nil && !errors.Is(err, ext4.ErrNone) {
			f.state, f.Text = Foreign, "it can't be read: "+err.Error()
			return
		}
		if label == Label {
			f.state, f.node, f.size = Mounted, node, f.Bytes
			if node != f.Name {
				f.size = h.sizeOf(filepath.Join("block", f.Name, node))
			}
			return
		}
	}
	f.state, f.Text = Foreign, "something else is on it; a disk is used that is labelled "+Label+" (ext4), or empty"
	if len(parts) > 0 {
		if f.Twin = h.twin(f.Name); f.Twin {
			f.Text = "it was flashed from the same image as this box's own disk: the kernel may come from one and the rest from the other; take one of them out"
		}
		return
	}
	switch empty, err := h.empty(f.Name, f.Bytes); {
	case err != nil:
		f.Text = "it can't be read: " + err.Error()
	case empty && f.Bytes < minBytes:
		f.Text = fmt.Sprintf("empty, but too small: %d GB are needed", minBytes>>30)
	case empty:
		f.state, f.Text = Empty, "empty: it can be taken for recordings"
	}
}

func partNames(paths []string) (names []string) {
	for _, p := range paths {
		names = append(names, filepath.Base(filepath.Dir(p)))
	}
	return names
}

func (h host) label(node string) (string, error) {
	d, err := os.Open(filepath.Join(h.dev, node))
	if err != nil {
		return "", err
	}
	defer d.Close()
	super, err := ext4.ReadSuper(d)
	return super.Label, err
}

// emptyBytes at either end of a disk must be blank: partition tables, file
// systems and RAID leave their marks there.
const emptyBytes = 4 << 20

func (h host) empty(name string, size int64) (bool, error) {
	d, err := os.Open(filepath.Join(h.dev, name))
	if err != nil {
		return false, err
	}
	defer d.Close()
	b := make([]byte, min(emptyBytes, size))
	for _, at := range []int64{0, size - int64(len(b))} {
		if _, err := d.ReadAt(b, at); err != nil {
			return false, err
		}
		if !blank(b) {
			return false, nil
		}
	}
	return true, nil
}

// blank is all zeros, or all ones as flash is when it was never written.
func blank(b []byte) bool {
	for _, c := range b {
		if c != b[0] || c != 0 && c != 0xff {
			return false
		}
	}
	return true
}

// sizeOf is in bytes; sysfs counts sectors of 512.
func (h host) sizeOf(dir string) int64 {
	n, _ := strconv.ParseInt(h.word(filepath.Join(dir, "size")), 10, 64)
	return n * 512
}

func (h host) word(path string) string {
	data, _ := os.ReadFile(filepath.Join(h.sys, path))
	return strings.TrimSpace(string(data))
}
