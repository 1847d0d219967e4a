package recording

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// memFS is a disk in memory that stalls and fails on command.
type memFS struct {
	mu       sync.Mutex
	files    map[string]*memFile
	capacity int64 // bytes; 0 is without end
	syncs    int

	// before is asked without the lock; it may block, which is a stall.
	before func(op, name string) error
}

type memFile struct {
	data    []byte
	pretend int64 // bytes more, of which only the number is kept
	changed time.Time
}

func newMemFS() *memFS { return &memFS{files: map[string]*memFile{}} }

// copy is the disk as a killed program leaves it.
func (m *memFS) copy() *memFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := newMemFS()
	for name, f := range m.files {
		c.files[name] = &memFile{bytes.Clone(f.data), f.pretend, f.changed}
	}
	return c
}

func (m *memFS) ask(op, name string) error {
	m.mu.Lock()
	before := m.before
	m.mu.Unlock()
	if before == nil {
		return nil
	}
	if err := before(op, name); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

func (m *memFS) fault(f func(op, name string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before = f
}

func (m *memFS) resize(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = n
}

func (m *memFS) used() (n int64) {
	for _, f := range m.files {
		n += int64(len(f.data)) + f.pretend
	}
	return n
}

// recorded are the names of the recordings, sorted, and their bytes.
func (m *memFS) recorded() (names []string, data [][]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.files {
		if strings.HasSuffix(name, ".ts") {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, n := range names {
		data = append(data, bytes.Clone(m.files[n].data))
	}
	return names, data
}

func (m *memFS) MkdirAll(dir string) error { return m.ask("mkdir", dir) }
func (m *memFS) SyncDir(dir string) error  { return m.ask("syncdir", dir) }

func (m *memFS) ReadDir(dir string) ([]fs.DirEntry, error) {
	if err := m.ask("readdir", dir); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []fs.DirEntry
	for name, f := range m.files {
		if filepath.Dir(name) == dir {
			list = append(list, fs.FileInfoToDirEntry(f.info(name)))
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name() < list[j].Name() })
	return list, nil
}

func (m *memFS) Remove(name string) error {
	if err := m.ask("remove", name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, name)
	return nil
}

func (m *memFS) Space(dir string) (free, total uint64, err error) {
	if err := m.ask("statfs", dir); err != nil {
		return 0, 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.capacity == 0 {
		return 1 << 40, 1 << 40, nil
	}
	return uint64(max(0, m.capacity-m.used())), uint64(m.capacity), nil
}

func (m *memFS) OpenFile(name string, flag int) (File, error) {
	op := "open"
	if flag&os.O_CREATE != 0 {
		op = "create"
	}
	if err := m.ask(op, name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.files[name]
	switch {
	case ok && flag&os.O_EXCL != 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrExist}
	case !ok && flag&os.O_CREATE == 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case !ok:
		f = &memFile{changed: time.Now()}
		m.files[name] = f
	}
	return &memHandle{fs: m, file: f, name: name}, nil
}

type memHandle struct {
	fs   *memFS
	file *memFile
	name string
	at   int64
}

func (h *memHandle) Read(p []byte) (int, error) {
	n, err := h.ReadAt(p, h.at)
	h.at += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func (h *memHandle) ReadAt(p []byte, at int64) (int, error) {
	if err := h.fs.ask("read", h.name); err != nil {
		return 0, err
	}
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	return bytes.NewReader(h.file.data).ReadAt(p, at)
}

func (h *memHandle) Write(p []byte) (int, error) {
	if err := h.fs.ask("write", h.name); err != nil {
		return 0, err
	}
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	n := int64(len(p))
	if h.fs.capacity > 0 {
		n = min(n, max(0, h.fs.capacity-h.fs.used()))
	}
	h.file.data = append(h.file.data[:h.at], p[:n]...)
	h.file.changed = time.Now()
	h.at += n
	if n < int64(len(p)) {
		return int(n), &fs.PathError{Op: "write", Path: h.name, Err: unix.ENOSPC}
	}
	return len(p), nil
}

func (h *memHandle) Seek(offset int64, whence int) (int64, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if whence == io.SeekEnd {
		offset += int64(len(h.file.data))
	}
	h.at = offset
	return offset, nil
}

func (h *memHandle) Truncate(n int64) error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	h.file.data = h.file.data[:n]
	return nil
}

func (h *memHandle) Sync() error {
	if err := h.fs.ask("sync", h.name); err != nil {
		return err
	}
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	h.fs.syncs++
	return nil
}

func (h *memHandle) Close() error { return h.fs.ask("close", h.name) }

func (h *memHandle) Stat() (fs.FileInfo, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	return h.file.info(h.name), nil
}

type memInfo struct {
	name    string
	size    int64
	changed time.Time
}

func (f *memFile) info(name string) fs.FileInfo {
	return memInfo{filepath.Base(name), int64(len(f.data)) + f.pretend, f.changed}
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) Mode() fs.FileMode  { return 0o644 }
func (i memInfo) ModTime() time.Time { return i.changed }
func (i memInfo) IsDir() bool        { return false }
func (i memInfo) Sys() any           { return nil }
