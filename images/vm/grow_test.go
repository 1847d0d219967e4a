//go:build vm

package vm_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/images/disk"
	"github.com/openvideobox/videobox/images/vm"
)

// permState is what boxd says of /perm.
type permState struct {
	State, Text string
	Bytes       int64
}

// waitPerm waits until boxd says what became of /perm.
func waitPerm(t *testing.T, m *vm.Machine) permState {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	poll := time.NewTicker(300 * time.Millisecond)
	defer poll.Stop()
	for {
		if p := askPerm(ctx, m.Addr(80)); p != nil {
			t.Logf("%.1f s after QEMU's start: %+v", time.Since(m.Started).Seconds(), *p)
			return *p
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("boxd says nothing of /perm; console:\n%s", m.Console.Last(30))
		}
	}
}

func askPerm(ctx context.Context, addr string) *permState {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/api/status", nil)
	if err != nil {
		return nil
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil
	}
	var status struct{ Detail struct{ Perm *permState } }
	if json.Unmarshal(body, &status) != nil {
		return nil
	}
	return status.Detail.Perm
}

// bootCard boots an image on a card of that size, and without a stick.
func bootCard(t *testing.T, cfg vm.Config) *vm.Machine {
	t.Helper()
	if err := vm.Needs(); err != nil {
		t.Fatal(err)
	}
	cfg.Ports = map[int]int{80: 0}
	m, err := vm.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.Stop()
		if t.Failed() {
			t.Logf("console:\n%s", m.Console.Last(40))
		}
	})
	return m
}

// permOf finds /perm on a disk's image.
func permOf(t *testing.T, name string) disk.Partition {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	parts, err := disk.Partitions(f)
	if err != nil {
		t.Fatal(err)
	}
	p, err := disk.Find(parts, 4)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// raw is a machine's card as a file, once the machine has ended.
func raw(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(dir, "card.raw")
	run(t, "qemu-img", "convert", "-f", "qcow2", "-O", "raw", filepath.Join(dir, "disk.qcow2"), to)
	return to
}

// permFile is /perm alone.
func permFile(t *testing.T, card string) string {
	t.Helper()
	from, err := os.Open(card)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.Create(card + ".perm")
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	p := permOf(t, card)
	if err := disk.CopySparse(to, from, p.Start, p.Size); err != nil {
		t.Fatal(err)
	}
	return to.Name()
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path = filepath.Join("/sbin", name)
	}
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestShortGrow: an image on a card twice its size. /perm gets all of
// it, what was there is kept, and the next start finds it done.
func TestShortGrow(t *testing.T) {
	info, err := os.Stat(image)
	if err != nil {
		t.Fatalf("%v; make image builds it", err)
	}
	perm, err := vm.BoxPerm("secret")
	if err != nil {
		t.Fatal(err)
	}
	const kept = "kept over the growth\n"
	perm["videobox/kept.txt"] = kept
	dir := t.TempDir()
	m := bootCard(t, vm.Config{Image: image, Dir: dir, Size: 2 * info.Size(), Perm: perm})
	p := waitPerm(t, m)
	old := permOf(t, image)
	if least := old.Size + info.Size() - 64<<20; p.State != "ready" || p.Bytes < least {
		t.Errorf("%+v, want %d bytes or more of %d", p, least, old.Size+info.Size())
	}
	m.Stop()
	card := raw(t, dir)
	now := permOf(t, card)
	if now.Start != old.Start || now.Size < p.Bytes {
		t.Errorf("partition %+v, was %+v", now, old)
	}
	file := permFile(t, card)
	run(t, "e2fsck", "-p", file) // the plug was pulled
	run(t, "e2fsck", "-fn", file)
	if got := run(t, "debugfs", "-R", "cat videobox/kept.txt", file); !strings.Contains(got, kept) {
		t.Errorf("the file that was there: %q", got)
	}
}

// TestShortEmptyPerm: as plain `gok overwrite` leaves it, there is nothing where
// /perm ought to be, and the card is larger than the image.
func TestShortEmptyPerm(t *testing.T) {
	info, err := os.Stat(image)
	if err != nil {
		t.Fatalf("%v; make image builds it", err)
	}
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.img")
	run(t, "cp", "--sparse=always", image, empty)
	p := permOf(t, empty)
	f, err := os.OpenFile(empty, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, p.Start, p.Size); err != nil {
		t.Fatal(err)
	}
	m := bootCard(t, vm.Config{Image: empty, Dir: dir, Size: 2 * info.Size()})
	if got := waitPerm(t, m); got.State != "made" || got.Bytes < p.Size+info.Size()-200<<20 {
		t.Errorf("%+v, want some of %d bytes", got, p.Size+info.Size())
	}
	m.Stop()
	file := permFile(t, raw(t, dir))
	run(t, "e2fsck", "-p", file)
	run(t, "e2fsck", "-fn", file)
}
