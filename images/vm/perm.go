package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/images/disk"
	"github.com/openvideobox/videobox/images/internal/e2fs"
)

// writePerm makes a new file system for /perm, with files in it, in the overlay.
func writePerm(ctx context.Context, c Config, to string) error {
	image, err := os.Open(c.Image)
	if err != nil {
		return err
	}
	defer image.Close()
	perm, err := disk.Find(image, 4)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(c.Dir, "perm-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for name, text := range c.Perm {
		path := filepath.Join(dir, "files", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	made := filepath.Join(dir, "ext4")
	if err := tool(ctx, e2fs.Mkfs(), "-q", "-F", "-L", "perm", "-d", filepath.Join(dir, "files"), made, strconv.FormatInt(perm.Size>>10, 10)); err != nil {
		return err
	}
	return copyData(ctx, made, to, perm.Start)
}

// extent is a part of a file that holds data.
type extent struct{ start, length int64 }

// copyData writes what of a sparse file isn't a hole into an overlay.
func copyData(ctx context.Context, from, to string, offset int64) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	list, err := extents(f)
	if err != nil {
		return err
	}
	args := []string{"-f", "qcow2"}
	for i, e := range list {
		piece := fmt.Sprintf("%s.%d", from, i)
		if err := cut(f, e, piece); err != nil {
			return err
		}
		args = append(args, "-c", fmt.Sprintf("write -q -s %s %d %d", piece, offset+e.start, e.length))
	}
	return tool(ctx, "qemu-io", append(args, to)...)
}

// extents lists a file's data; see lseek(2), SEEK_DATA.
func extents(f *os.File) (list []extent, err error) {
	for at := int64(0); ; {
		start, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return list, nil // only a hole is left
		}
		if err != nil {
			return nil, err
		}
		if at, err = unix.Seek(int(f.Fd()), start, unix.SEEK_HOLE); err != nil {
			return nil, err
		}
		list = append(list, extent{start, at - start})
	}
}

func cut(f *os.File, e extent, to string) error {
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.NewSectionReader(f, e.start, e.length))
	return errors.Join(err, out.Close())
}
