//go:build vm

package vm_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openvideobox/videobox/images/vm"
	"github.com/openvideobox/videobox/images/vm/blocklog"
)

const keptText = "kept over the growth\n"

// growRun boots a card twice the image's size, logs what is written while /perm
// is made or grown, and pulls the plug.
func growRun(t *testing.T, perm map[string]string) (card, log string) {
	t.Helper()
	dir := t.TempDir()
	card, log = newCard(t, dir, 2*imageBytes(t), perm), filepath.Join(dir, "log")
	m := bootCard(t, vm.Config{Image: card, Dir: dir, Log: log})
	if p := waitPerm(t, m); p.State == "missing" {
		t.Fatalf("%+v", p)
	}
	m.Stop()
	return card, log
}

// points are n cuts among the first entries, in order.
func points(entries, n int) []int {
	r := rand.New(rand.NewPCG(4, uint64(entries)))
	list := make([]int, n)
	for i := range list {
		list[i] = r.IntN(entries + 1)
	}
	slices.Sort(list)
	return list
}

// growCuts checks the disk after power cuts: Linux must find the partitions, and
// /perm must be whole after what a start does about it, with its files.
func growCuts(t *testing.T, card, log string, n int, kept bool) {
	t.Helper()
	p := partOf(t, card, 4)
	info, err := os.Stat(card)
	if err != nil {
		t.Fatal(err)
	}
	head := newCuts(t, card, log, blocklog.Window{Size: 1 << 20})
	perm := newCuts(t, card, log, blocklog.Window{Start: p.Start, Size: info.Size() - p.Start})
	seen := map[string]int{}
	_, to := growing(t, log)
	for i, at := range points(to, n) {
		f, err := os.Open(head.cut(t, at, uint64(i)))
		if err != nil {
			t.Fatal(err)
		}
		size, err := linuxTable(f)
		f.Close()
		if err != nil {
			t.Errorf("cut at %d: %v", at, err)
			continue
		}
		state, err := checkPerm(t.Context(), perm.cut(t, at, uint64(i)), kept)
		if err != nil {
			t.Errorf("cut at %d: %v", at, err)
			continue
		}
		seen[fmt.Sprintf("partition of %d MB, %s", size/1e6, state)]++
	}
	t.Logf("%d entries in the log, %d cuts: %v", len(perm.log.Entries), n, seen)
	if len(seen) < 3 {
		t.Errorf("the cuts found only these states: %v", seen)
	}
}

// checkPerm does to a file system what a start does. It says its size.
func checkPerm(ctx context.Context, name string, kept bool) (string, error) {
	super := make([]byte, 2048)
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	_, err = f.ReadAt(super, 0)
	f.Close()
	if err != nil {
		return "", err
	}
	if !kept && super[1024+0x38] == 0 && super[1024+0x39] == 0 {
		return "no file system yet", nil // the next start makes one
	}
	if _, err := repairPerm(ctx, name); err != nil {
		return "", err
	}
	if kept {
		out, err := exec.CommandContext(ctx, "/sbin/debugfs", "-R", "cat videobox/kept.txt", name).Output()
		if err != nil || string(out) != keptText {
			return "", fmt.Errorf("the file that was there: %q, %w", out, err)
		}
	}
	if f, err = os.Open(name); err != nil {
		return "", err
	}
	defer f.Close()
	if _, err := f.ReadAt(super, 0); err != nil {
		return "", err
	}
	b := super[1024+4:]
	return fmt.Sprintf("file system of %d MB", (int64(b[0])|int64(b[1])<<8|int64(b[2])<<16|int64(b[3])<<24)*4096/1e6), nil
}

// repairPerm does what kernel and boxd do: the journal, and e2fsck if that
// isn't enough. It says whether it wasn't.
func repairPerm(ctx context.Context, name string) (more bool, err error) {
	if err := reseal(name); err != nil {
		return false, err
	}
	code, said := fsck(ctx, "-p", name)
	for n := 0; code > 1 && n < 2; n++ {
		more = true
		code, said = fsck(ctx, "-fy", name)
	}
	if code > 1 {
		return more, fmt.Errorf("e2fsck: %d: %s", code, said)
	}
	if code, said = fsck(ctx, "-fn", name); code != 0 {
		return more, fmt.Errorf("not whole: %d: %s", code, said)
	}
	return more, nil
}

// reseal does what boxd does to a superblock of which one sector is from before
// a change (appliance/internal/ext4): it gives it the checksum of what it holds.
func reseal(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, 1024)
	if _, err := f.ReadAt(b, 1024); err != nil {
		return err
	}
	sum := ^crc32.Checksum(b[:1020], crc32.MakeTable(crc32.Castagnoli))
	_, err = f.WriteAt(binary.LittleEndian.AppendUint32(nil, sum), 2044)
	return err
}

func fsck(ctx context.Context, how, name string) (int, string) {
	out, err := exec.CommandContext(ctx, "/sbin/e2fsck", how, name).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), strings.TrimSpace(string(out))
	}
	if err != nil {
		return 128, err.Error()
	}
	return 0, ""
}

// bootCut boots the card as a cut has left it; it must end as a whole one does.
func bootCut(t *testing.T, card, log string, at int, seed uint64, kept bool) {
	t.Helper()
	info, err := os.Stat(card)
	if err != nil {
		t.Fatal(err)
	}
	c := newCuts(t, card, log, blocklog.Window{Size: info.Size()})
	dir := t.TempDir()
	m := bootCard(t, vm.Config{Image: c.cut(t, at, seed), Dir: dir})
	p := waitPerm(t, m)
	m.Stop()
	if p.State == "missing" || p.Bytes < info.Size()-1400e6 {
		t.Errorf("after a cut at %d: %+v", at, p)
	}
	if _, err := checkPerm(t.Context(), permFile(t, raw(t, dir)), kept); err != nil {
		t.Errorf("after a cut at %d and a start: %v", at, err)
	}
}

// growTail is how many entries after the table's switch belong to growing: what
// comes later is the box's daily work.
const growTail = 100

// growing is where in the log the table has been switched, and the end of
// growing.
func growing(t *testing.T, log string) (from, to int) {
	t.Helper()
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := blocklog.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range l.Entries {
		if e.Offset == 0 && e.Length > 0 { // the page that holds the first table's header
			return i, min(i+growTail, len(l.Entries))
		}
	}
	t.Fatal("the partition table was never written")
	return 0, 0
}

// TestDrillGrowCut: power cuts while /perm grows, and while it is made and then
// grows; 500 each checked on the host, two each really booted.
func TestDrillGrowCut(t *testing.T) {
	perm, err := vm.BoxPerm("secret")
	if err != nil {
		t.Fatal(err)
	}
	perm["videobox/kept.txt"] = keptText
	for name, files := range map[string]map[string]string{"grown": perm, "made": nil} {
		t.Run(name, func(t *testing.T) {
			card, log := growRun(t, files)
			growCuts(t, card, log, 500, files != nil)
			from, to := growing(t, log)
			for i := range 2 {
				bootCut(t, card, log, from+(to-from)*(1+2*i)/4, uint64(i), files != nil)
			}
		})
	}
}
