package perm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/appliance/internal/ext4"
)

// command runs one of e2fsprogs or util-linux, which Debian puts where only
// root's PATH looks.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path = filepath.Join("/sbin", name)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("needs %s (make deps-test installs it): %v", name, err)
	}
	out, err := exec.Command(path, args...).CombinedOutput() // also for what is put back at the end
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return string(out)
}

func debugfs(t *testing.T, file, request string) { command(t, "debugfs", "-w", "-R", request, file) }

// loop is a file system on a loop device, mounted as init would.
func loop(t *testing.T, damage ...string) (l *linux, p *preparer) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: loop devices and mounts")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "ext4")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 256<<20); err != nil {
		t.Fatal(err)
	}
	recording := filepath.Join(dir, "recording.ts")
	if err := os.WriteFile(recording, []byte(strings.Repeat("recorded ", 1e5)), 0o644); err != nil {
		t.Fatal(err)
	}
	command(t, "mkfs.ext4", "-q", "-F", "-b", "4096", file)
	for _, d := range append([]string{"write " + recording + " recording.ts", "write " + recording + " second.ts"}, damage...) {
		debugfs(t, file, d)
	}
	device := strings.TrimSpace(command(t, "losetup", "-f", "--show", file))
	t.Cleanup(func() { command(t, "losetup", "-d", device) })
	alone, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { alone.Close() })
	l = &linux{dir: filepath.Join(dir, "perm"), device: device, fsck: "/sbin/e2fsck"}
	if err := os.Mkdir(l.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(l.dir, 0) })
	card := image(t, false) // for the table
	return l, &preparer{
		machine: noGrowth{l}, disk: card.disk, sectors: card.sectors, part: alone, number: 4, size: 256 << 20,
		say: func(s string) { t.Log(s) },
	}
}

// noGrowth: growing needs a right that containers lack; the virtual machine's
// tests show it.
type noGrowth struct{ *linux }

func (noGrowth) resizePartition(int, span) error { return nil }
func (noGrowth) growFS(uint64) error             { return nil }

func (l *linux) kept(t *testing.T) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(l.dir, "recording.ts"))
	if err != nil || len(b) != 9e5 {
		t.Errorf("the recording: %d bytes, %v", len(b), err)
	}
	if to, err := os.Readlink(filepath.Join(l.dir, "var/run")); err != nil || to != "/run" {
		t.Errorf("var/run: %q, %v", to, err)
	}
}

// TestRepairOfAMountedOne: a damaged file system that init has mounted, in which
// a program lives.
func TestRepairOfAMountedOne(t *testing.T) {
	l, p := loop(t, "ssv state 3", "clri second.ts", "freeb 5000 200")
	if err := unix.Mount(l.device, l.dir, "ext4", 0, ""); err != nil {
		t.Fatal(err)
	}
	holder := exec.Command("sleep", "60")
	holder.Dir = l.dir
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	defer holder.Wait()
	defer holder.Process.Kill()
	if r := p.prepare(t.Context()); r.State != Repaired || r.Bytes == 0 {
		t.Fatalf("%+v", r)
	}
	l.kept(t)
	if s, err := ext4.ReadSuper(p.part); err != nil || s.Errors {
		t.Errorf("after it: %+v, %v", s, err)
	}
	if err := l.unmount(); err != nil {
		t.Fatal(err)
	}
	command(t, "e2fsck", "-fn", l.device)
}

// TestRepairOfALostStart: the first block is gone, so nothing can be mounted.
func TestRepairOfALostStart(t *testing.T) {
	l, p := loop(t)
	if _, err := p.part.WriteAt(make([]byte, 4096), 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(l.device, l.dir, "ext4", 0, ""); err == nil {
		t.Fatal("it can be mounted")
	}
	if r := p.prepare(t.Context()); r.State != Repaired {
		t.Fatalf("%+v", r)
	}
	l.kept(t)
}

// TestMakingOnADevice: an empty partition gets a file system that is mounted.
func TestMakingOnADevice(t *testing.T) {
	l, p := loop(t)
	for at := int64(0); at < p.size; at += 128 << 20 { // the first and its copy
		if _, err := p.part.WriteAt(make([]byte, 1<<20), at); err != nil {
			t.Fatal(err)
		}
	}
	if r := p.prepare(t.Context()); r.State != Made || r.Bytes != ext4.SeedBytes {
		t.Fatalf("%+v", r)
	}
	if err := os.WriteFile(filepath.Join(l.dir, "new"), []byte("x"), 0o644); err != nil {
		t.Error(err)
	}
}

// TestAnotherReaderSeesTheGrownTable: libblkid, by partx of util-linux.
func TestAnotherReaderSeesTheGrownTable(t *testing.T) {
	p := image(t, false)
	mbr := make([]byte, sector)
	mbr[446+4], mbr[510], mbr[511] = 0xee, 0x55, 0xaa
	le.PutUint32(mbr[446+8:], 1)
	le.PutUint32(mbr[446+12:], oldSectors-1)
	if _, err := p.disk.WriteAt(mbr, 0); err != nil {
		t.Fatal(err)
	}
	want, _, err := growTable(p.disk, p.sectors, 4)
	if err != nil {
		t.Fatal(err)
	}
	said := command(t, "partx", "--show", "--noheadings", "--bytes", "--output", "NR,START,SIZE", p.disk.(*os.File).Name())
	if line := fmt.Sprintf("4 %d %d", want.Start/sector, want.Size); !strings.Contains(squeeze(said), line) {
		t.Errorf("%q isn't in\n%s", line, said)
	}
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }
