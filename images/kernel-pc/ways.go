package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// patience is how long one download may take: 139 MB at a megabit a second.
const patience = 20 * time.Minute

// ways are what a package is fetched with; tests have their own.
type ways struct {
	run    func(ctx context.Context, dir string, argv ...string) error
	client *http.Client
}

// way is one way to get the package to path.
type way struct {
	name string
	get  func(ctx context.Context, path string) error
}

// of lists the ways, the nearest first: apt-get knows the machine's mirror, but
// only what was in its lists when they were fetched; the pool has what isn't
// superseded yet; snapshot.debian.org has all, slowly.
func (w ways) of(p pinned) []way {
	download := func(ctx context.Context, path string) error {
		return w.run(ctx, filepath.Dir(path), "apt-get", "download", "-q", p.name+"="+p.version)
	}
	return []way{
		{"apt-get download", download},
		{"apt-get update, apt-get download", func(ctx context.Context, path string) error {
			if err := w.run(ctx, filepath.Dir(path), asRoot("apt-get", "update", "-q")...); err != nil {
				return err
			}
			return download(ctx, path)
		}},
		{p.url(), func(ctx context.Context, path string) error { return w.download(ctx, p.url(), path) }},
		{p.snapshot, func(ctx context.Context, path string) error { return w.download(ctx, p.snapshot, path) }},
	}
}

// fetchBy tries one way after the other until one brings the file that was
// pinned. What is brought and isn't that file is removed.
func (p pinned) fetchBy(ctx context.Context, path string, w ways) error {
	var tried []error
	for _, way := range w.of(p) {
		err := way.get(ctx, path)
		if err == nil {
			err = p.check(path)
		}
		if err == nil {
			return nil
		}
		os.Remove(path) // mostly there is none
		if ctx.Err() != nil {
			return ctx.Err()
		}
		fmt.Printf("kernel: %s: %v\n", way.name, err)
		tried = append(tried, fmt.Errorf("%s: %w", way.name, err))
	}
	return fmt.Errorf("%s could not be had; put it into %s by hand, or pin a newer one in images/kernel-pc/source.go (`apt-cache madison %s` lists them). Tried:\n%w",
		p.file(), filepath.Dir(path), p.name, errors.Join(tried...))
}

// download gets one file by HTTP, whole or not at all.
func (w ways) download(ctx context.Context, url, path string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP status %s", resp.Status)
	}
	part := path + ".part"
	defer os.Remove(part) // after the rename there is none
	f, err := os.Create(part)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// asRoot is a command, by sudo where we aren't root.
func asRoot(argv ...string) []string {
	if os.Geteuid() != 0 {
		return append([]string{"sudo"}, argv...)
	}
	return argv
}

func runIn(ctx context.Context, dir string, argv ...string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
