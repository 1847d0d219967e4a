package disk

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// gpt is a disk with these partitions, by number, in sectors.
func gpt(parts map[int][2]uint64) []byte {
	b := make([]byte, 34*sector)
	copy(b[sector:], "EFI PART")
	le.PutUint64(b[sector+72:], 2)
	le.PutUint32(b[sector+80:], 128)
	le.PutUint32(b[sector+84:], 128)
	for n, p := range parts {
		e := b[2*sector+128*(n-1):]
		e[0] = 1 // a type
		le.PutUint64(e[32:], p[0])
		le.PutUint64(e[40:], p[1])
	}
	return b
}

func TestPartitions(t *testing.T) {
	list, err := Partitions(bytes.NewReader(gpt(map[int][2]uint64{1: {8192, 16383}, 4: {20000, 20000}})))
	if err != nil {
		t.Fatal(err)
	}
	if want := (Partition{1, 8192 * 512, 8192 * 512}); list[0] != want {
		t.Errorf("first %+v, want %+v", list[0], want)
	}
	p, err := Find(list, 4)
	if err != nil || p.Size != 512 {
		t.Errorf("fourth %+v, %v", p, err)
	}
	if _, err := Find(list, 2); err == nil {
		t.Error("an unused entry was found")
	}
	for name, b := range map[string][]byte{
		"none":      make([]byte, 34*sector),
		"backwards": gpt(map[int][2]uint64{1: {9, 8}}),
	} {
		if _, err := Partitions(bytes.NewReader(b)); !errors.Is(err, ErrNoGPT) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Partitions(bytes.NewReader(nil)); err == nil {
		t.Error("an empty disk has partitions")
	}
}

func TestSquashFSSize(t *testing.T) {
	super := make([]byte, 96)
	copy(super, "hsqs")
	le.PutUint64(super[40:], 12345)
	if n, err := SquashFSSize(bytes.NewReader(super)); n != 12345 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := SquashFSSize(bytes.NewReader(make([]byte, 96))); !errors.Is(err, ErrNoSquashFS) {
		t.Errorf("zeros: %v", err)
	}
}

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
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
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
	image := fatOf(t, map[string][]byte{"cmdline.txt": []byte("ro init=/gokrazy/init"), "vmlinuz": kernel, "empty.txt": nil})
	for name, want := range map[string][]byte{"vmlinuz": kernel, "CMDLINE.TXT": []byte("ro init=/gokrazy/init"), "empty.txt": nil} {
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

func FuzzDisk(f *testing.F) {
	f.Add(smallFAT())
	f.Add(gpt(map[int][2]uint64{1: {1, 2}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		if _, err := SquashFSSize(r); err == nil && len(b) < 96 {
			t.Error("a size from less than a superblock")
		}
		if data, err := ReadFile(r, "cmdline.txt"); err == nil && len(data) > 64*len(b) {
			t.Errorf("%d bytes from %d", len(data), len(b))
		}
		list, err := Partitions(r)
		for _, p := range list {
			if err != nil || p.Size <= 0 {
				t.Errorf("%+v with %v", p, err)
			}
		}
	})
}
