//go:build vm

package vm_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
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
	_, body := ask(ctx, addr, "/api/status", "secret")
	var status struct{ Detail struct{ Perm *permState } }
	if json.Unmarshal([]byte(body), &status) != nil || status.Detail.Perm == nil || status.Detail.Perm.State == "working" {
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

// partOf finds a partition of a disk's image.
func partOf(t *testing.T, name string, number int) disk.Partition {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := disk.Find(f, number)
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
	p := partOf(t, card, 4)
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

// TestShortCard: one boot of an image on a card twice its size. /perm gets all
// of it, what was there is kept, and power cuts while it grows and while it
// records cost no more than they may. Two of them are really booted.
func TestShortCard(t *testing.T) {
	size := imageBytes(t)
	perm, err := vm.BoxPerm("secret")
	if err != nil {
		t.Fatal(err)
	}
	perm["videobox/kept.txt"] = keptText
	card := newCard(t, t.TempDir(), 2*size, perm)
	old := partOf(t, card, 4)
	r := record(t, card, 20*time.Second, func(b box) {
		p := waitPerm(t, b.Machine)
		if least := old.Size + size - 64<<20; p.State != "ready" || p.Bytes < least {
			t.Errorf("%+v, want %d bytes or more of %d", p, least, old.Size+size)
		}
	}, nil)
	growCuts(t, card, r.log, 40, true)
	r.recordCuts(t, 60, false)
	r.damaged(t)
	r.bootCuts(t, shortBoots)
}

// shortBoots is how many cuts make test really boots, at some 15 s each.
const shortBoots = 5

// TestShortEmptyPerm: as plain `gok overwrite` leaves it, there is nothing where
// /perm ought to be, and the card is larger than the image.
func TestShortEmptyPerm(t *testing.T) {
	size, dir := imageBytes(t), t.TempDir()
	card := newCard(t, dir, 2*size, nil)
	p := partOf(t, card, 4)
	m := bootCard(t, vm.Config{Image: card, Dir: dir})
	if got := waitPerm(t, m); got.State != "made" || got.Bytes < p.Size+size-200<<20 {
		t.Errorf("%+v, want most of %d bytes", got, p.Size+size)
	}
	m.Stop()
	if _, err := repairPerm(t.Context(), permFile(t, raw(t, dir))); err != nil {
		t.Error(err)
	}
}
