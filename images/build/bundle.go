package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/openvideobox/videobox/images/disk"
	"github.com/openvideobox/videobox/internal/bundle"
	"github.com/openvideobox/videobox/internal/fat"
)

type bundleCmd struct {
	Key   string `required:"" placeholder:"FILE" help:"The event's private update key; images/build key makes one."`
	Image string `placeholder:"FILE" help:"The image to make it of. Default: bin/INSTANCE.img."`
	Out   string `placeholder:"FILE" help:"Where to write instead of bin/INSTANCE.vbox."`
}

// Run makes the bundle whole or not at all.
func (c bundleCmd) Run(ctx context.Context, i instance) error {
	if c.Image == "" {
		c.Image = filepath.Join("bin", i.name()+".img")
	}
	if c.Out == "" {
		c.Out = filepath.Join("bin", i.name()+".vbox")
	}
	key, err := bundle.LoadKey(c.Key)
	if err != nil {
		return err
	}
	image, err := os.Open(c.Image)
	if err != nil {
		return fmt.Errorf("%w; make image builds it", err)
	}
	defer image.Close()
	m, root, err := contents(image)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Image, err)
	}
	part := c.Out + ".part"
	defer os.Remove(part)
	out, err := os.Create(part)
	if err != nil {
		return err
	}
	if err := bundle.Write(out, m, key, root); err != nil {
		out.Close()
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	fmt.Printf("bundle: %s: %s for %s, %.1f MB\n", c.Out, m.Version, m.Board, float64(root.Size)/1e6)
	return os.Rename(part, c.Out)
}

// contents are an image's root, as far as its file system fills it, and what it
// says that it is.
func contents(image *os.File) (m bundle.Manifest, p bundle.Payload, err error) {
	boot, err := disk.Find(image, 1)
	if err != nil {
		return m, p, err
	}
	root, err := disk.Find(image, 2)
	if err != nil {
		return m, p, err
	}
	text, err := fat.ReadFile(boot.Reader(image), bootVersionFile)
	if err != nil {
		return m, p, fmt.Errorf("it doesn't say which version it is; make image builds one that does: %w", err)
	}
	var v version
	if err := json.Unmarshal(text, &v); err != nil {
		return m, p, err
	}
	kernel, err := fat.Find(boot.Reader(image), "vmlinuz")
	if err != nil {
		return m, p, err
	}
	sum := sha256.New()
	if err := kernel.Write(sum); err != nil {
		return m, p, err
	}
	size, err := disk.SquashFSSize(root.Reader(image))
	if err != nil {
		return m, p, err
	}
	m = bundle.Manifest{Board: v.Board, Arch: v.Arch, Version: v.Version, Build: v.Build, Kernel: hex.EncodeToString(sum.Sum(nil))}
	// The kernel reads a file system in whole pages.
	const page = 4096
	return m, bundle.Payload{Name: bundle.Root, ReaderAt: root.Reader(image), Size: min((size+page-1)/page*page, root.Size)}, nil
}

type keyCmd struct {
	File string `arg:"" help:"Gets the private key, which signs bundles; the public one, for boxes, goes into FILE.pub."`
}

// Run makes a pair, and never overwrites one.
func (c keyCmd) Run() error {
	if _, err := bundle.NewKey(c.File); err != nil {
		return err
	}
	fmt.Printf("key: %s signs bundles: keep it, and keep it secret. Boxes get %s.pub (images/fleet image, or as videobox.key on the card)\n", c.File, c.File)
	return nil
}
