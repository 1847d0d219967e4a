package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// pinned is a source package of Debian.
type pinned struct{ name, version, pool, snapshot, sha256 string }

// source is what the kernel is built from, with the hash that `apt-get download
// --print-uris linux-source-6.1` prints. Debian takes old versions out of its
// pool; snapshot.debian.org keeps every file, under its SHA-1 (its README,
// "machine-usable interface").
var source = pinned{
	name: "linux-source-6.1", version: "6.1.192-2",
	pool:     "https://deb.debian.org/debian-security/pool/updates/main/l/linux/",
	snapshot: "https://snapshot.debian.org/file/68f40866ca310be49762f0b2552e656eae72a14f",
	sha256:   "ae95fe63d4c553f8d0e6c86cb1ab566f3894a43743eb19ab585cd97d82f26514",
}

func (p pinned) file() string { return p.name + "_" + p.version + "_all.deb" }
func (p pinned) url() string  { return p.pool + p.file() }

// errHash is a source that isn't the pinned one.
var errHash = errors.New("the file is not the one that was pinned")

// fetch brings the package into dir and checks its hash. What is there already
// is only checked.
func (p pinned) fetch(ctx context.Context, dir string) (path string, err error) {
	path = filepath.Join(dir, p.file())
	if err := p.check(path); err == nil {
		return path, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		fmt.Printf("kernel: %v; fetching it again\n", err)
		if err := os.Remove(path); err != nil {
			return "", err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	fmt.Printf("kernel: fetching %s %s, 139 MB\n", p.name, p.version)
	return path, p.fetchBy(ctx, path, ways{run: runIn, client: http.DefaultClient})
}

// check reads the whole file.
func (p pinned) check(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != p.sha256 {
		return fmt.Errorf("%s: %w: sha256 %s, want %s", path, errHash, got, p.sha256)
	}
	return nil
}

// unpack gives the folder of the kernel's source below dir.
func (p pinned) unpack(ctx context.Context, deb, dir string) (tree string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	fmt.Println("kernel: unpacking 1.3 GB of source")
	for _, argv := range [][]string{
		{"dpkg-deb", "-x", deb, dir},
		{"tar", "-C", dir, "-xf", filepath.Join(dir, "usr/src", p.name+".tar.xz")},
	} {
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w: %s", argv[0], err, strings.TrimSpace(string(out)))
		}
	}
	return filepath.Join(dir, p.name), nil
}
