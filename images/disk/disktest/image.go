// Package disktest makes disk images for tests. Tests only.
package disktest

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// BootImage is an image with nothing but a boot partition, as full as gok
// leaves it: its FAT16 ends with its last file. It is at byte 32768.
func BootImage(t *testing.T, files map[string]string) string {
	t.Helper()
	for _, tool := range []string{"mkfs.vfat", "mcopy"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s (make deps-test installs it): %v", tool, err)
		}
	}
	const start, size = 64, 40_000 // sectors
	path := filepath.Join(t.TempDir(), "box.img")
	head := make([]byte, 34*512)
	copy(head[512:], "EFI PART")
	le := binary.LittleEndian
	le.PutUint64(head[512+72:], 2)
	le.PutUint32(head[512+80:], 128)
	le.PutUint32(head[512+84:], 128)
	head[2*512] = 1 // a type
	le.PutUint64(head[2*512+32:], start)
	le.PutUint64(head[2*512+40:], start+size-1)
	if err := os.WriteFile(path, head, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, (start+size)*512); err != nil {
		t.Fatal(err)
	}
	part := filepath.Join(t.TempDir(), "fat")
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
	}
	run("mkfs.vfat", "-C", "-F", "16", part, "20000")
	run("dd", "if="+part, "of="+path, "bs=512", "seek=64", "conv=notrunc", "status=none")
	for name, text := range files {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		run("mcopy", "-i", path+"@@32768", file, "::"+name)
	}
	return path
}
