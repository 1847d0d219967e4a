package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// unpackPackages downloads Debian packages, which apt checks, and unpacks them
// into a folder. A package that is there already stays.
func unpackPackages(ctx context.Context, names []string, to string) error {
	for _, name := range names {
		if err := unpackPackage(ctx, name, to); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func unpackPackage(ctx context.Context, name, to string) error {
	base, _, _ := strings.Cut(name, ":")
	if _, err := os.Stat(filepath.Join(to, "usr/share/doc", base, "copyright")); err == nil {
		return nil
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	fmt.Println("deps: unpacking", name)
	dir, err := os.MkdirTemp(to, "deb-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := download(ctx, name, dir); err != nil { // apt doesn't know that architecture yet
		if err := addArchitecture(ctx); err != nil {
			return err
		}
		if err := apt(ctx, "update", "-qq"); err != nil {
			return err
		}
		if err := download(ctx, name, dir); err != nil {
			return err
		}
	}
	deb, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(deb) != 1 {
		return errors.Join(fmt.Errorf("apt-get brought %d packages, want 1", len(deb)), err)
	}
	return said(exec.CommandContext(ctx, "dpkg-deb", "-x", deb[0], to))
}

func download(ctx context.Context, name, dir string) error {
	cmd := exec.CommandContext(ctx, "apt-get", "download", "-q", "-o", "Acquire::Retries=3", "-o", "APT::Sandbox::User=root", name)
	cmd.Dir = dir
	return said(cmd)
}

// said runs a command; its error holds what the command said.
func said(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", cmd.Args[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}
