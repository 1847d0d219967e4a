package fat

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fatOf is a FAT16 file system of 16 MiB with the files, as mtools write it.
func fatOf(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	for _, tool := range []string{"mkfs.vfat", "mcopy"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s (make deps-test installs it): %v", tool, err)
		}
	}
	dir := t.TempDir()
	image := filepath.Join(dir, "fat")
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
	}
	run("mkfs.vfat", "-C", "-F", "16", image, "16384")
	for name, data := range files {
		path := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if dir, _, ok := strings.Cut(name, "/"); ok {
			run("mmd", "-D", "s", "-i", image, "::"+dir)
		}
		run("mcopy", "-i", image, path, "::"+name)
	}
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadFile(t *testing.T) {
	kernel := make([]byte, 3<<20+17)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(kernel)
	image := fatOf(t, map[string][]byte{"cmdline.txt": []byte("ro init=/gokrazy/init"), "vmlinuz": kernel, "empty.txt": nil,
		"entries/gokrazy-videobox.conf": []byte("title gokrazy")})
	for name, want := range map[string][]byte{"Entries/gokrazy-VIDEOBOX.conf": []byte("title gokrazy"), "vmlinuz": kernel, "CMDLINE.TXT": []byte("ro init=/gokrazy/init"), "empty.txt": nil} {
		got, err := ReadFile(bytes.NewReader(image), name)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(want))
		}
	}
	if _, err := ReadFile(bytes.NewReader(image), "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that isn't there: %v", err)
	}
	if _, err := ReadFile(bytes.NewReader(image[:1<<20]), "vmlinuz"); err == nil {
		t.Error("a cut file system gave a whole file")
	}
}

// smallFAT is the least file system with one file, made by hand.
func smallFAT() []byte {
	b := make([]byte, 8*sector)
	le.PutUint16(b[11:], sector)
	b[13], b[16] = 1, 1
	le.PutUint16(b[14:], 1)
	le.PutUint16(b[17:], 16)
	le.PutUint16(b[22:], 1)
	le.PutUint16(b[510:], 0xaa55)
	le.PutUint16(b[sector+4:], 3)      // cluster 2 goes on in 3
	le.PutUint16(b[sector+6:], 0xffff) // where it ends
	e := b[2*sector:]
	copy(e, "CMDLINE TXT")
	le.PutUint16(e[26:], 2)
	le.PutUint32(e[28:], 600)
	return b
}

func TestReadFileOfABrokenChain(t *testing.T) {
	b := smallFAT()
	if data, err := ReadFile(bytes.NewReader(b), "cmdline.txt"); err != nil || len(data) != 600 {
		t.Fatalf("%d bytes, %v", len(data), err)
	}
	le.PutUint16(b[sector+4:], 0xffff)
	if _, err := ReadFile(bytes.NewReader(b), "cmdline.txt"); err == nil {
		t.Error("a chain of one cluster gave two")
	}
}

// TestOffset overwrites a file where it lies, and others find it changed.
func TestOffset(t *testing.T) {
	image := fatOf(t, map[string][]byte{"cmdline.txt": []byte("root=1 ro"), "vmlinuz": make([]byte, 9000), "empty": nil})
	f, err := Find(bytes.NewReader(image), "cmdline.txt")
	if err != nil {
		t.Fatal(err)
	}
	at, err := f.Offset()
	if err != nil {
		t.Fatal(err)
	}
	copy(image[at:], "root=2")
	if got, err := ReadFile(bytes.NewReader(image), "cmdline.txt"); err != nil || string(got) != "root=2 ro" {
		t.Errorf("%q, %v", got, err)
	}
	var b bytes.Buffer
	if f, err = Find(bytes.NewReader(image), "vmlinuz"); err != nil || f.Write(&b) != nil || b.Len() != 9000 {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
	for _, name := range []string{"vmlinuz", "empty"} {
		if f, err = Find(bytes.NewReader(image), name); err != nil {
			t.Fatal(err)
		}
		if at, err := f.Offset(); err == nil {
			t.Errorf("%s lies in one cluster, at %d", name, at)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(smallFAT())
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		for _, path := range []string{"cmdline.txt", "loader/entries/gokrazy.conf"} {
			if data, err := ReadFile(r, path); err == nil && len(data) > 64*len(b) {
				t.Errorf("%d bytes from %d", len(data), len(b))
			}
		}
	})
}
