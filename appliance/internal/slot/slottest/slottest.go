// Package slottest makes boot partitions like a box's, as files. Tests only.
package slottest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Boot is a file with the FAT of a boot partition, and files in it by name; there
// is a folder loader/entries. It skips the test where the tools are missing.
func Boot(t *testing.T, files map[string]string) (path string) {
	t.Helper()
	for _, tool := range []string{"mkfs.vfat", "mcopy", "mmd"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s (make deps-test installs it): %v", tool, err)
		}
	}
	dir := t.TempDir()
	path = filepath.Join(dir, "boot")
	run := func(name string, args ...string) {
		if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
	}
	run("mkfs.vfat", "-C", "-F", "16", path, "16384")
	run("mmd", "-i", path, "::loader", "::loader/entries")
	for name, text := range files {
		file := filepath.Join(dir, "file")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		run("mcopy", "-i", path, file, "::"+name)
	}
	return path
}
