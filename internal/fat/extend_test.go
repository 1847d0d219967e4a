package fat

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestExtendedFileSystemTakesAFile has a file system without room, as gok makes
// it, and checks with others' tools that it has some afterwards.
func TestExtendedFileSystemTakesAFile(t *testing.T) {
	image := fatOf(t, map[string][]byte{"vmlinuz": make([]byte, 100_000)})
	f, err := openFAT16(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	full := (f.data + 49*f.cluster) / sector // 100 000 bytes are 49 clusters of 2 KiB
	if f.cluster != 2048 {
		t.Fatalf("clusters of %d bytes", f.cluster)
	}
	le.PutUint16(image[19:], uint16(full))
	path := filepath.Join(t.TempDir(), "fat")
	if err := os.WriteFile(path, image, 0o644); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "videobox.yaml")
	if err := os.WriteFile(text, []byte("name: box7\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	put := func() error { return exec.CommandContext(t.Context(), "mcopy", "-i", path, text, "::").Run() }
	if put() == nil {
		t.Fatal("there was room before")
	}
	d, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	added, err := ExtendFAT16(d, int64(len(image)))
	if err != nil || added < 1<<20 {
		t.Fatalf("%d bytes more, %v", added, err)
	}
	if again, err := ExtendFAT16(d, int64(len(image))); again != 0 || err != nil {
		t.Errorf("extended twice: %d, %v", again, err)
	}
	if err := put(); err != nil {
		t.Errorf("no room afterwards: %v", err)
	}
	if out, err := exec.CommandContext(t.Context(), "fsck.vfat", "-n", path).CombinedOutput(); err != nil {
		t.Errorf("fsck.vfat: %v: %s", err, out)
	}
	if data, err := ReadFile(d, "vmlinuz"); err != nil || len(data) != 100_000 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}
