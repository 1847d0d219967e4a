package disk

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/appliance/internal/ext4"
	"github.com/openvideobox/videobox/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a host whose disks are sparse files.
type bench struct {
	t        *testing.T
	host     host
	mounts   []string // "mount sda1", "unmount"
	mountErr error
	grown    uint64
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t}
	b.host = host{
		sys: t.TempDir(), dev: t.TempDir(), own: func() string { return "mmcblk0" },
		mount: func(node, _ string) error {
			b.mounts = append(b.mounts, "mount "+filepath.Base(node))
			return b.mountErr
		},
		unmount: func(string) error { b.mounts = append(b.mounts, "unmount"); return nil },
		grow:    func(_ string, blocks uint64) error { b.grown = blocks; return nil },
	}
	return b
}

func (b *bench) keeper() *Keeper {
	return &Keeper{host: b.host, clk: clock.System, dir: b.t.TempDir(), log: slog.New(slog.NewTextHandler(b.t.Output(), nil))}
}

// plug adds a disk, or with part a partition of it.
func (b *bench) plug(name, part string, bytes int64) (device string) {
	b.t.Helper()
	dir, node := filepath.Join(b.host.sys, "block", name), name
	if part != "" {
		dir, node = filepath.Join(dir, part), part
		b.write(filepath.Join(dir, "partition"), "1\n")
	}
	b.write(filepath.Join(dir, "size"), fmt.Sprintln(bytes/512))
	device = filepath.Join(b.host.dev, node)
	b.write(device, "")
	if err := os.Truncate(device, bytes); err != nil {
		b.t.Fatal(err)
	}
	return device
}

func (b *bench) unplug(name string) {
	os.RemoveAll(filepath.Join(b.host.sys, "block", name))
}

func (b *bench) write(path, text string) {
	b.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) format(device, label string, bytes int64) {
	b.t.Helper()
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err == nil {
		err = errors.Join(ext4.Make(f, bytes, label), f.Close())
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

const gb = 1 << 30

func TestWhatDisksAre(t *testing.T) {
	b := newBench(t)
	b.plug("mmcblk0", "", 32*gb) // the box's own
	b.plug("mmcblk0boot0", "", gb)
	b.plug("loop0", "", gb)
	b.plug("sdz", "", 0) // a reader without a card
	b.plug("sda", "", 64*gb)
	b.plug("sdb", "", 2*gb)
	b.plug("sdc", "", 64*gb)
	b.plug("sdc", "sdc1", 63*gb)
	b.format(b.plug("sdd", "", 64*gb), "holiday", 64*gb)
	os.WriteFile(b.plug("sde", "", 64*gb), []byte("\x55\xaa a boot sector"), 0o644)
	os.Truncate(filepath.Join(b.host.dev, "sde"), 64*gb)
	tail := b.plug("sdf", "", 64*gb)
	f, _ := os.OpenFile(tail, os.O_RDWR, 0)
	f.WriteAt([]byte("EFI PART"), 64*gb-512)
	f.Close()
	os.Remove(b.plug("sdg", "", 64*gb))
	k := b.keeper()
	k.look()
	got := map[string]Disk{}
	for _, d := range k.Disks() {
		got[d.Name] = d
	}
	for name, want := range map[string]struct {
		state State
		text  string
	}{
		"sda": {Empty, "can be taken"}, "sdb": {Foreign, "too small: 4 GB"}, "sdc": {Foreign, "something else"}, "sdd": {Foreign, "something else"},
		"sde": {Foreign, "something else"}, "sdf": {Foreign, "something else"}, "sdg": {Foreign, "can't be read"},
	} {
		if d := got[name]; d.State != want.state || !strings.Contains(d.Text, want.text) {
			t.Errorf("%s: %+v, want %s", name, d, want.state)
		}
		if err := k.Take(name); (err == nil) != (want.state == Empty) || err != nil && !errors.Is(err, ErrNotEmpty) {
			t.Errorf("taking %s: %v", name, err)
		}
	}
	if len(got) != 7 || len(b.mounts) != 0 {
		t.Errorf("%d disks, %v", len(got), b.mounts)
	}
	if err := k.Take("sdq"); err == nil || !strings.Contains(err.Error(), "no disk") {
		t.Errorf("taking what isn't there: %v", err)
	}
	k.look() // sda is ours now
	if len(b.mounts) != 1 || b.mounts[0] != "mount sda" || b.grown != 64*gb/4096 {
		t.Errorf("%v, grown to %d blocks", b.mounts, b.grown)
	}
	if err := k.Take("sda"); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("taking it twice: %v", err)
	}
}

func TestADiskComesAndGoes(t *testing.T) {
	b := newBench(t)
	k := b.keeper()
	plug := func() {
		b.plug("sda", "", 64*gb)
		b.format(b.plug("sda", "sda1", 60*gb), Label, 60*gb)
	}
	plug()
	k.look()
	b.format(b.plug("nvme0n1", "", 64*gb), Label, 64*gb)
	k.look()
	if d := k.Disks(); len(d) != 2 || d[0].State != Waiting || d[1].State != Mounted {
		t.Errorf("a second disk: %+v", d)
	}
	b.unplug("sda")
	k.look()
	k.look()
	if got := strings.Join(b.mounts, ", "); got != "mount sda1, unmount, mount nvme0n1" {
		t.Errorf("%s", got)
	}
	if b.grown != 64*gb/4096 {
		t.Errorf("grown to %d blocks", b.grown)
	}
	if k.Lost() != "" {
		t.Errorf("there is a disk, and %s counts as lost", k.Lost())
	}
	b.unplug("nvme0n1")
	b.mountErr = unix.EUCLEAN
	k.look()
	plug()
	k.look()
	if d := k.Disks(); len(d) != 1 || d[0].State != Failed || !strings.Contains(d[0].Text, "fsck") {
		t.Errorf("one that can't be mounted: %+v", d)
	}
	if k.Lost() != "nvme0n1" {
		t.Errorf("lost: %q, want nvme0n1", k.Lost())
	}
	b.mountErr = nil
	if k.look(); k.Lost() != "" {
		t.Errorf("lost: %q, though another one took its place", k.Lost())
	}
}

func TestTakingARealDevice(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for a loop device")
	}
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 5*gb); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "-f", "--show", file).CombinedOutput()
	if err != nil {
		t.Fatalf("losetup: %v: %s", err, out)
	}
	loop := filepath.Base(strings.TrimSpace(string(out)))
	t.Cleanup(func() { exec.Command("losetup", "-d", "/dev/"+loop).Run() })
	b := newBench(t)
	b.plug("sda", "", 5*gb)
	b.host.mount, b.host.unmount = mount, unmount // growing wants more than root has in a container; the virtual machine does it
	if err := errors.Join(os.Remove(filepath.Join(b.host.dev, "sda")), os.Symlink("/dev/"+loop, filepath.Join(b.host.dev, "sda"))); err != nil {
		t.Fatal(err)
	}
	k := b.keeper()
	k.look()
	if err := k.Take("sda"); err != nil {
		t.Fatal(err)
	}
	k.look()
	t.Cleanup(func() { unix.Unmount(k.dir, unix.MNT_DETACH) })
	if b.grown != 5*gb/4096 {
		t.Errorf("%+v, grown to %d blocks", k.Disks(), b.grown)
	}
	if err := os.WriteFile(filepath.Join(k.dir, "file"), []byte("recording"), 0o644); err != nil {
		t.Error(err)
	}
	if err := unmount(k.dir); err != nil {
		t.Error(err)
	}
	if out, err := exec.Command("/sbin/e2fsck", "-fn", "/dev/"+loop).CombinedOutput(); err != nil {
		t.Errorf("e2fsck: %v: %s", err, out)
	}
}
