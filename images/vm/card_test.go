//go:build vm

package vm_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/images/disk"
	"github.com/openvideobox/videobox/images/vm/blocklog"
)

// newCard is a card of that size with the image on it. Perm are the files of
// /perm; with none, /perm is all zero, as plain `gok overwrite` leaves it.
func newCard(t *testing.T, dir string, size int64, perm map[string]string) string {
	t.Helper()
	return newCardOf(t, image, dir, size, perm)
}

// newCardOf takes another image.
func newCardOf(t *testing.T, image, dir string, size int64, perm map[string]string) string {
	t.Helper()
	card := filepath.Join(dir, "card.img")
	run(t, "cp", "--sparse=always", image, card)
	if err := os.Truncate(card, size); err != nil {
		t.Fatal(err)
	}
	p := partOf(t, card, 4)
	f, err := os.OpenFile(card, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, p.Start, p.Size); err != nil {
		t.Fatal(err)
	}
	if perm == nil {
		return card
	}
	files := filepath.Join(dir, "files")
	for name, text := range perm {
		path := filepath.Join(files, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "mkfs.ext4", "-q", "-F", "-L", "perm", "-d", files, "-E", fmt.Sprintf("lazy_journal_init=1,offset=%d", p.Start), card, fmt.Sprintf("%dk", p.Size>>10))
	return card
}

func imageBytes(t *testing.T) int64 {
	t.Helper()
	info, err := os.Stat(image)
	if err != nil {
		t.Fatalf("%v; make image builds it", err)
	}
	return info.Size()
}

// cuts makes disks as power cuts leave them, from a card before a run and the
// log of that run. Cuts must be asked for in their order.
type cuts struct {
	log     *blocklog.Log
	window  blocklog.Window
	durable *os.File
	at      int
	dir     string
}

// newCuts is for a part of the card, such as /perm.
func newCuts(t *testing.T, card, logFile string, w blocklog.Window) *cuts {
	t.Helper()
	f, err := os.Open(logFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	l, err := blocklog.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	c := &cuts{log: l, window: w, dir: t.TempDir()}
	from, err := os.Open(card)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	if c.durable, err = os.Create(filepath.Join(c.dir, "durable")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.durable.Close() })
	if err := disk.CopySparse(c.durable, from, w.Start, w.Size); err != nil {
		t.Fatal(err)
	}
	return c
}

// cut is a file with that part of the disk after a power cut behind n entries.
// It is overwritten by the next one.
func (c *cuts) cut(t *testing.T, n int, seed uint64) string {
	t.Helper()
	if flushed := c.log.Flushed(n); flushed > c.at {
		if err := c.log.Apply(c.durable, c.window, c.at, flushed); err != nil {
			t.Fatal(err)
		}
		c.at = flushed
	}
	f, err := os.Create(filepath.Join(c.dir, "cut"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := disk.CopySparse(f, c.durable, 0, c.window.Size); err != nil {
		t.Fatal(err)
	}
	if err := c.log.Tear(f, c.window, n, seed); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// linuxTable reads what Linux looks at of a partition table: the first header
// and its entries. It is the fourth partition's size.
func linuxTable(r io.ReaderAt) (perm int64, err error) {
	le := binary.LittleEndian
	h := make([]byte, 92)
	if _, err := r.ReadAt(h, 512); err != nil {
		return 0, err
	}
	sum := le.Uint32(h[16:])
	clear(h[16:20])
	if string(h[:8]) != "EFI PART" || crc32.ChecksumIEEE(h) != sum {
		return 0, fmt.Errorf("the first header is torn")
	}
	entries := make([]byte, le.Uint32(h[80:])*le.Uint32(h[84:]))
	if _, err := r.ReadAt(entries, int64(le.Uint64(h[72:]))*512); err != nil {
		return 0, err
	}
	if crc32.ChecksumIEEE(entries) != le.Uint32(h[88:]) {
		return 0, fmt.Errorf("the entries at sector %d are torn", le.Uint64(h[72:]))
	}
	e := entries[3*128:]
	return int64(le.Uint64(e[40:])-le.Uint64(e[32:])+1) * 512, nil
}
