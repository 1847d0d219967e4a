//go:build vm

package vm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
	"github.com/openvideobox/videobox/images/vm/blocklog"
	"github.com/openvideobox/videobox/internal/bundle"
	"github.com/openvideobox/videobox/internal/fat"
)

// start is what was written from one start of the box to the next.
type start struct {
	card     string // as it was before
	log      string
	from, to int // entries that belong to the update
}

// updateRun is an update whose writes were logged.
type updateRun struct {
	starts []start       // upload and restart; trial and commit
	head   bundle.Header // of the new root, which goes to partition 3
}

// logged updates a box and keeps what was written.
func logged(t *testing.T) *updateRun {
	t.Helper()
	perm, err := vm.BoxPerm("secret")
	if err != nil {
		t.Fatal(err)
	}
	perm["videobox/update.key"] = publicKey()
	card := newCard(t, t.TempDir(), imageBytes(t), perm)
	log := card + ".log"
	b := openSource(t, sabotaged)
	v := bootUpdatable(t, "", func(c *vm.Config) { c.Image, c.Perm, c.Log = card, nil, log })
	before := sizeOf(t, log)
	file := b.bundle(t, nil)
	v.begin(t, file)
	if u := v.waitUpdate(t, 4*time.Minute, "committed", "failed"); u.State != "committed" {
		t.Fatalf("%+v", u)
	}
	v.Stop()
	old, err := filepath.Glob(log + ".*")
	if err != nil || len(old) != 1 {
		t.Fatalf("logs %v, %v; want one of the start before the trial", old, err)
	}
	r := &updateRun{}
	if r.head, err = bundle.Unverified(bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	after := filepath.Join(t.TempDir(), "card.img")
	run(t, "cp", "--sparse=always", card, after)
	first := readLog(t, old[0])
	f, err := os.OpenFile(after, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := first.Apply(f, blocklog.Window{}, 0, len(first.Entries)); err != nil {
		t.Fatal(err)
	}
	r.starts = []start{
		{card, old[0], first.At(before), len(first.Entries)},
		{after, log, 0, len(readLog(t, log).Entries)},
	}
	return r
}

func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func readLog(t *testing.T, path string) *blocklog.Log {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	l, err := blocklog.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// cutPart is a partition after power cuts. Most cuts leave it as the one before
// did, since nothing was written to it in between.
type cutPart struct {
	*cuts
	key   string
	found string
	err   error
}

func newCutPart(t *testing.T, s start, number int) *cutPart {
	t.Helper()
	p := partOf(t, s.card, number)
	return &cutPart{cuts: newCuts(t, s.card, s.log, blocklog.Window{Start: p.Start, Size: p.Size})}
}

// touched counts the entries of a span that write to the partition.
func (c *cutPart) touched(from, to int) (n int) {
	for _, e := range c.log.Entries[from:to] {
		if e.Offset < c.window.Start+c.window.Size && e.Offset+e.Length > c.window.Start {
			n++
		}
	}
	return n
}

// look checks the partition after a cut.
func (c *cutPart) look(t *testing.T, at int, seed uint64, check func(name string) (string, error)) (string, error) {
	t.Helper()
	flushed := c.log.Flushed(at)
	key := fmt.Sprint(c.touched(0, flushed))
	if loose := c.touched(flushed, at); loose > 0 {
		key += fmt.Sprint(" and of ", loose, " by ", seed)
	}
	if key != c.key {
		c.found, c.err = check(c.cut(t, at, seed))
		c.key = key
	}
	return c.found, c.err
}

// checkBoot says which roots the next start may take: "2", "3" or, before a
// trial, "2 or 3". It is what firmware and init read.
func checkBoot(name string) (string, error) {
	if out, err := exec.Command("/sbin/fsck.vfat", "-n", name).CombinedOutput(); err != nil {
		return "", fmt.Errorf("fsck.vfat: %w: %s", err, out)
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := fat.ReadFile(f, "cmdline.txt")
	if err != nil {
		return "", err
	}
	line := string(text)
	switch {
	case strings.Count(line, "root=PARTUUID=") != 1 || !strings.Contains(line, " init=/gokrazy/init "):
		return "", fmt.Errorf("cmdline.txt: %q", line)
	case strings.Contains(line, "/PARTNROFF=2 "):
		return "3", nil
	case !strings.Contains(line, "/PARTNROFF=1 "):
		return "", fmt.Errorf("cmdline.txt: %q", line)
	case strings.Contains(line, "gokrazy.try_boot_inactive=1"):
		return "2 or 3", nil
	}
	return "2", nil
}

// checkRoot compares a partition with the bundle.
func (r *updateRun) checkRoot(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	whole, err := r.head.Whole(func(string) io.ReaderAt { return f })
	if err == nil && whole != r.head.Size() {
		err = fmt.Errorf("the new root is right up to byte %d of %d", whole, r.head.Size())
	}
	return "whole", err
}

// checkNotes wants /perm whole, and boxd's notes of the update readable.
func checkNotes(t *testing.T) func(name string) (string, error) {
	return func(name string) (string, error) {
		if _, err := repairPerm(t.Context(), name); err != nil {
			return "", err
		}
		out, err := exec.Command("/sbin/debugfs", "-R", "cat videobox/update.json", name).Output()
		if err != nil {
			return "", err
		}
		var notes struct{ Trial, Last *struct{} }
		if len(out) > 0 && json.Unmarshal(out, &notes) != nil {
			return "", fmt.Errorf("update.json: %q", out)
		}
		return fmt.Sprintf("trial %v, ended %v", notes.Trial != nil, notes.Last != nil), nil
	}
}

// replay checks n power cuts of a start, and says what was found.
func (r *updateRun) replay(t *testing.T, s start, n int, seen map[string]int) {
	t.Helper()
	boot, old, root, perm := newCutPart(t, s, 1), newCutPart(t, s, 2), newCutPart(t, s, 3), newCutPart(t, s, 4)
	if k := old.touched(0, len(old.log.Entries)); k != 0 {
		t.Fatalf("%d writes to the root that runs", k)
	}
	for i, p := range points(s.to-s.from, n) {
		at, seed := s.from+p, uint64(i)
		next, err := boot.look(t, at, seed, checkBoot)
		if err == nil && next != "2" {
			_, err = root.look(t, at, seed, r.checkRoot)
		}
		notes, perr := perm.look(t, at, seed, checkNotes(t))
		if err := errors.Join(err, perr); err != nil {
			t.Errorf("cut at %d of %d to %d: %v", at, s.from, s.to, err)
			continue
		}
		seen["next root "+next+", "+notes]++
	}
}

// boots really boots cards after n power cuts of a start.
func (r *updateRun) boots(t *testing.T, s start, n int) {
	t.Helper()
	c := newCuts(t, s.card, s.log, blocklog.Window{Size: sizeOf(t, s.card)})
	for i, p := range points(s.to-s.from, n) {
		at := s.from + p
		dir := t.TempDir()
		began := time.Now()
		m := bootCard(t, vm.Config{Image: c.cut(t, at, uint64(i)), Dir: dir})
		v := victim{box{Machine: m}}
		u := v.waitUpdate(t, 2*time.Minute, "idle", "receiving", "ready", "trial", "committed", "failed")
		t.Logf("cut at entry %d of %d to %d: %s in slot %s runs after %.0f s; update %s", at, s.from, s.to, u.Running.Version, u.Running.Slot, time.Since(began).Seconds(), u.State)
		if isNew := u.Running.Build == r.head.Build; isNew != (u.Running.Slot == "B") {
			t.Errorf("%+v", u)
		}
		m.Stop()
		if err := os.RemoveAll(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	}
}

func updateCuts(t *testing.T, boots int) {
	r := logged(t)
	seen := map[string]int{}
	for i, s := range r.starts {
		r.replay(t, s, 150, seen)
		r.boots(t, s, (boots+1-i)/2)
	}
	t.Logf("300 cuts: %v", seen)
	if len(seen) < 3 {
		t.Errorf("the cuts found only these states: %v", seen)
	}
}

// TestShortUpdateCut: power cuts at 300 points of an update, five really booted.
func TestShortUpdateCut(t *testing.T) { updateCuts(t, 5) }

// TestDrillUpdateCut boots twenty.
func TestDrillUpdateCut(t *testing.T) { updateCuts(t, 20) }
