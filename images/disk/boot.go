package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"

	"github.com/openvideobox/videobox/internal/fat"
)

// Boot is the boot partition of an image or card, a FAT16, whose root folder
// can be read and written without mounting it.
type Boot struct {
	path string
	part Partition
}

// OpenBoot finds it and makes room on it, of which gok leaves none: for files,
// and for that many entries of the root folder. A file takes one for each
// begun 13 characters of its name, and one more.
func OpenBoot(path string, entries int) (b Boot, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	p, err := Find(f, 1)
	if err != nil {
		return b, fmt.Errorf("%s: %w", path, err)
	}
	part := struct {
		*io.SectionReader
		*io.OffsetWriter
	}{p.Reader(f), io.NewOffsetWriter(f, p.Start)}
	if _, err := fat.ExtendFAT16(part, p.Size); err != nil {
		return b, fmt.Errorf("%s: boot partition: %w", path, err)
	}
	if err := fat.WidenRoot(part, entries); err != nil {
		return b, fmt.Errorf("%s: boot partition: %w", path, err)
	}
	return Boot{path, p}, f.Sync()
}

// Read gives a file of the root folder, nil if there is none.
func (b Boot) Read(name string) ([]byte, error) {
	f, err := os.Open(b.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := fat.ReadFile(b.part.Reader(f), name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Write puts a file into the root folder, over one of that name, and reads it
// back: mcopy ends well when the disk is full.
func (b Boot) Write(ctx context.Context, name string, data []byte) error {
	if err := b.copy(ctx, data, name); err != nil {
		return err
	}
	got, err := b.Read(name)
	if err == nil && !bytes.Equal(got, data) {
		err = errors.New("what was written isn't what can be read")
	}
	if err != nil {
		return fmt.Errorf("%s of %s: %w", name, b.path, err)
	}
	return nil
}

// copy is mtools' work.
func (b Boot) copy(ctx context.Context, data []byte, name string) error {
	cmd := exec.CommandContext(ctx, "mcopy", "-o", "-i", fmt.Sprintf("%s@@%d", b.path, b.part.Start), "-", "::"+name)
	cmd.Env = append(os.Environ(), "MTOOLS_SKIP_CHECK=1")
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w; it is in Debian's package mtools", err)
	case err != nil:
		return fmt.Errorf("%s onto the boot partition of %s: mcopy: %w: %s", name, b.path, err, bytes.TrimSpace(out))
	}
	return nil
}
