package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/openvideobox/videobox/images/disk"
	"github.com/openvideobox/videobox/internal/fat"
)

// newEntries are what the root folder needs: 5 for the two files below, 4 for
// what images/fleet or a person puts there, and some to spare.
const newEntries = 12

// openBoot makes room on the boot partition, which gok leaves full, and puts the
// commented example of videobox.yaml there: a person shall be able to write one
// on any laptop. Also which version the image is, for people and for bundles.
func openBoot(ctx context.Context, path string, v version) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	boot, err := disk.Find(f, 1)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if _, err := fat.ExtendFAT16(partition{f, boot.Start}, boot.Size); err != nil {
		return fmt.Errorf("%s: boot partition: %w", path, err)
	}
	if err := fat.WidenRoot(partition{f, boot.Start}, newEntries); err != nil {
		return fmt.Errorf("%s: boot partition: %w", path, err)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	example := filepath.Join("images", "videobox", "videobox.yaml.example") // one for all instances
	if err := copyToBoot(ctx, path, boot.Start, example, ""); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "version-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, versionFile)
	if err := v.write(file); err != nil {
		return err
	}
	return copyToBoot(ctx, path, boot.Start, file, bootVersionFile)
}

// copyToBoot puts a file onto the boot partition that begins at that byte.
func copyToBoot(ctx context.Context, path string, start int64, file, as string) error {
	cmd := exec.CommandContext(ctx, "mcopy", "-o", "-i", fmt.Sprintf("%s@@%d", path, start), file, "::"+as)
	cmd.Env = append(os.Environ(), "MTOOLS_SKIP_CHECK=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mcopy: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// partition is a part of a disk.
type partition struct {
	disk interface {
		io.ReaderAt
		io.WriterAt
	}
	start int64
}

func (p partition) ReadAt(b []byte, at int64) (int, error)  { return p.disk.ReadAt(b, p.start+at) }
func (p partition) WriteAt(b []byte, at int64) (int, error) { return p.disk.WriteAt(b, p.start+at) }
