package e2fs

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMkfsOfAnOrdinaryUser(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if got := Mkfs(); got != "/sbin/mkfs.ext4" {
		t.Errorf("not in PATH: %s", got)
	}
	own := filepath.Join(dir, "mkfs.ext4")
	if err := os.WriteFile(own, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := Mkfs(); got != own {
		t.Errorf("in PATH: %s, want %s", got, own)
	}
}
