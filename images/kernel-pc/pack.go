package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// key names a kernel by all that goes into it.
func key(p pinned, fragment []byte, compiler string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n", p.sha256, compiler)
	for _, o := range options(fragment) {
		fmt.Fprintln(h, o)
	}
	return p.version + "-" + hex.EncodeToString(h.Sum(nil))[:12]
}

// options are the lines of a configuration that set something, without
// comments, sorted: a comment more makes no other kernel.
func options(config []byte) (list []string) {
	for line := range bytes.Lines(config) {
		if s := strings.TrimSpace(string(line)); strings.HasPrefix(s, "CONFIG_") {
			list = append(list, s)
		}
	}
	slices.Sort(list)
	return list
}

// missing are the options of the fragment that a complete configuration does
// not hold as they were asked for. Kconfig drops without a word what depends on
// something that isn't set.
func missing(fragment, complete []byte) (list []string) {
	set := map[string]string{}
	for _, o := range options(complete) {
		name, value, _ := strings.Cut(o, "=")
		set[name] = value
	}
	for _, o := range options(fragment) {
		name, value, _ := strings.Cut(o, "=")
		got, ok := set[name]
		switch {
		case value == "n" && !ok, value == got:
		case !ok:
			list = append(list, o+" (is not set)")
		default:
			list = append(list, o+" (is "+got+")")
		}
	}
	return list
}

// maxBoot is the largest vmlinuz that fits the boot partition beside its
// successor.
const maxBoot = 40 << 20

// pack brings vmlinuz to the modules, drops the links to the build's folder, and
// checks that nothing else names it.
func pack(object, out string) error {
	image, err := os.ReadFile(filepath.Join(object, "arch/x86/boot/bzImage"))
	if err != nil {
		return err
	}
	if err := checkImage(image); err != nil {
		return err
	}
	links, err := filepath.Glob(filepath.Join(out, "lib/modules/*/*"))
	if err != nil {
		return err
	}
	for _, l := range links { // build and source, into a folder that goes away
		if info, err := os.Lstat(l); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			if err := os.Remove(l); err != nil {
				return err
			}
		}
	}
	payload := filepath.Join(object, "arch/x86/boot/compressed/vmlinux.bin")
	if err := checkPinned(image, filepath.Dir(object), payload, out); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "vmlinuz"), image, 0o644)
}

// checkImage looks for what firmware and gok want of a kernel: the boot
// sector's mark, the "HdrS" header, and the EFI stub's bit for relocation
// (Linux, Documentation/x86/boot.rst).
func checkImage(image []byte) error {
	switch {
	case len(image) < 0x1000 || len(image) > maxBoot:
		return fmt.Errorf("vmlinuz has %d bytes, want 4 KB to %d MB", len(image), maxBoot>>20)
	case image[0x1fe] != 0x55 || image[0x1ff] != 0xaa:
		return errors.New("vmlinuz: no boot sector's mark at 0x1fe")
	case string(image[0x202:0x206]) != "HdrS":
		return errors.New("vmlinuz: no HdrS at 0x202")
	case image[0x236]&1 == 0:
		return errors.New("vmlinuz: bit 0 at 0x236 (64-bit entry) is not set")
	}
	return nil
}

// install puts vmlinuz and modules into the gokrazy package, in place of those
// of an earlier kernel.
func install(from, to string) error {
	for _, old := range []string{"lib", "vmlinuz"} {
		if err := os.RemoveAll(filepath.Join(to, old)); err != nil {
			return err
		}
	}
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		return copyFile(path, target)
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// digest is one hash of all files of a folder, by name, and their size.
func digest(dir string) (sum string, size int64, err error) {
	files, err := hashes(dir)
	if err != nil {
		return "", 0, err
	}
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%s %s\n", name, files[name])
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return "", 0, err
		}
		size += info.Size()
	}
	return hex.EncodeToString(h.Sum(nil)), size, nil
}

// hashes are the SHA-256 of a folder's files, by their path in it.
func hashes(dir string) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files[rel] = fmt.Sprintf("%x", sha256.Sum256(data))
		return nil
	})
	return files, err
}

// different names the files of two folders that are not the same in both.
func different(one, other string) (names []string, err error) {
	a, err := hashes(one)
	if err != nil {
		return nil, err
	}
	b, err := hashes(other)
	if err != nil {
		return nil, err
	}
	for name, sum := range a {
		if b[name] != sum {
			names = append(names, name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
