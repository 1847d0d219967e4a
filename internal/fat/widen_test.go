package fat

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestWidenedRootTakesFiles has a root folder without room and reserved sectors
// before the table, as gok makes them, and checks with others' tools that it has
// some afterwards and that all files are as before.
func TestWidenedRootTakesFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "fat")
	run := func(name string, args ...string) error {
		if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", name, err, out)
		}
		return nil
	}
	if _, err := exec.LookPath("mkfs.vfat"); err != nil {
		t.Skipf("needs mkfs.vfat (make deps-test installs it): %v", err)
	}
	if err := run("mkfs.vfat", "-C", "-a", "-F", "16", "-f", "1", "-r", "16", "-R", "4", "-s", "4", path, "16384"); err != nil {
		t.Fatal(err)
	}
	kernel := bytes.Repeat([]byte("kernel"), 50_000)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, kernel, 0o644); err != nil {
		t.Fatal(err)
	}
	put := func(name string) error { return run("mcopy", "-i", path, file, "::"+name) }
	full := 0
	for ; put(fmt.Sprintf("long name %d", full)) == nil; full++ {
	}
	if full == 0 || full > 8 {
		t.Fatalf("the folder was full after %d files", full)
	}
	d, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	before, err := openFAT16(d)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is room
		if err := WidenRoot(d, 40); err != nil {
			t.Fatal(err)
		}
	}
	if err := WidenRoot(d, 400); err == nil {
		t.Error("400 entries more fit into three sectors")
	}
	if err := run("fsck.vfat", "-n", path); err != nil {
		t.Error(err)
	}
	for i := range 16 { // three entries each
		if err := put(fmt.Sprintf("another name %d", i)); err != nil {
			t.Error(err)
		}
	}
	if err := run("fsck.vfat", "-n", path); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"long name 0", fmt.Sprintf("long name %d", full-1), "another name 15"} {
		if data, err := ReadFile(d, name); err != nil || !bytes.Equal(data, kernel) {
			t.Errorf("%s: %d bytes, %v", name, len(data), err)
		}
	}
	if now, err := openFAT16(d); err != nil || now.data != before.data {
		t.Errorf("the data was at %d: %+v, %v", before.data, now, err)
	}
}

// TestRootWithRoomStays: a file system that has what is wanted isn't touched.
func TestRootWithRoomStays(t *testing.T) {
	image := fatOf(t, map[string][]byte{"a": {1}})
	if err := WidenRoot(readOnly{bytes.NewReader(image)}, 16); err != nil {
		t.Error(err)
	}
	if err := WidenRoot(readOnly{bytes.NewReader(make([]byte, 4096))}, 16); err == nil {
		t.Error("zeros are taken for a file system")
	}
}

type readOnly struct{ *bytes.Reader }

func (readOnly) WriteAt([]byte, int64) (int, error) { panic("written to") }
