package recording

import (
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// File is what the recorder does with an open file.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.Seeker
	io.Closer
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	Sync() error // the data and what is needed to read it back: fdatasync
}

// FS is the disk under a recording, so that tests can make it stall and fail.
type FS interface {
	MkdirAll(dir string) error
	ReadDir(dir string) ([]fs.DirEntry, error)
	OpenFile(name string, flag int) (File, error)
	Remove(name string) error
	SyncDir(dir string) error // makes the names in it survive a power cut
	// Space is what an unprivileged program may still write below dir, and the
	// size of the whole, in bytes.
	Space(dir string) (free, total uint64, err error)
}

// Disk is the operating system's file system.
type Disk struct{}

var _ FS = Disk{}

// MkdirAll makes the directory and those above it.
func (Disk) MkdirAll(dir string) error { return os.MkdirAll(dir, 0o755) }

// ReadDir lists a directory, sorted by name.
func (Disk) ReadDir(dir string) ([]fs.DirEntry, error) { return os.ReadDir(dir) }

// OpenFile is os.OpenFile with files that everyone may read.
func (Disk) OpenFile(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, 0o644)
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}

// Remove removes a file.
func (Disk) Remove(name string) error { return os.Remove(name) }

// SyncDir flushes a directory.
func (Disk) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Space asks statfs.
func (Disk) Space(dir string) (free, total uint64, err error) {
	var s unix.Statfs_t
	for {
		if err = unix.Statfs(dir, &s); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return 0, 0, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return s.Bavail * uint64(s.Bsize), s.Blocks * uint64(s.Bsize), nil
}

type diskFile struct{ *os.File }

// Uncache makes the next read ask the disk.
func (f diskFile) Uncache() error {
	return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// Sync leaves out what fsync would add: the time of the last change.
func (f diskFile) Sync() error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err != unix.EINTR {
			return err
		}
	}
}
