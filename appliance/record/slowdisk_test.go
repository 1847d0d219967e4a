package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/openvideobox/videobox/appliance/internal/boxtest"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/recording"
)

// badDisk is a real file system, by FUSE, whose writes and flushes stall or fail
// on command.
type badDisk struct {
	mu    sync.Mutex
	until chan struct{} // closed when a stall ends; nil: none
	errno syscall.Errno // of writes; 0: none
}

// ask is what each write and flush meets.
func (d *badDisk) ask() syscall.Errno {
	d.mu.Lock()
	until, errno := d.until, d.errno
	d.mu.Unlock()
	if until != nil {
		<-until
	}
	return errno
}

func (d *badDisk) stall() (release func()) {
	c := make(chan struct{})
	d.mu.Lock()
	d.until = c
	d.mu.Unlock()
	return func() {
		d.mu.Lock()
		d.until = nil
		d.mu.Unlock()
		close(c)
	}
}

func (d *badDisk) fail(errno syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.errno = errno
}

// node passes everything on to a folder below it.
type node struct {
	fs.LoopbackNode
	disk *badDisk
}

func (n *node) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	h, f, errno := n.LoopbackNode.Open(ctx, flags)
	return n.wrap(h), f, errno
}

func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	if n.disk.failing() {
		return nil, nil, 0, n.disk.ask()
	}
	in, h, f, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	return in, n.wrap(h), f, errno
}

func (d *badDisk) failing() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.errno != 0
}

func (n *node) wrap(h fs.FileHandle) fs.FileHandle {
	if h == nil {
		return nil
	}
	return &handle{h, n.disk}
}

// handle is an open file.
type handle struct {
	fs.FileHandle
	disk *badDisk
}

func (h *handle) Read(ctx context.Context, b []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	return h.FileHandle.(fs.FileReader).Read(ctx, b, off)
}

func (h *handle) Write(ctx context.Context, b []byte, off int64) (uint32, syscall.Errno) {
	if errno := h.disk.ask(); errno != 0 {
		return 0, errno
	}
	return h.FileHandle.(fs.FileWriter).Write(ctx, b, off)
}

func (h *handle) Fsync(ctx context.Context, flags uint32) syscall.Errno {
	if errno := h.disk.ask(); errno != 0 {
		return errno
	}
	return h.FileHandle.(fs.FileFsyncer).Fsync(ctx, flags)
}

func (h *handle) Flush(ctx context.Context) syscall.Errno {
	return h.FileHandle.(fs.FileFlusher).Flush(ctx)
}

func (h *handle) Release(ctx context.Context) syscall.Errno {
	return h.FileHandle.(fs.FileReleaser).Release(ctx)
}

// mountBadDisk needs root and /dev/fuse.
func mountBadDisk(t *testing.T) (*badDisk, string) {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil || os.Geteuid() != 0 {
		t.Skipf("needs root and /dev/fuse: %v", err)
	}
	d, below, dir := &badDisk{}, t.TempDir(), filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	root := &fs.LoopbackRoot{Path: below}
	root.NewNode = func(r *fs.LoopbackRoot, _ *fs.Inode, _ string, _ *syscall.Stat_t) fs.InodeEmbedder {
		return &node{fs.LoopbackNode{RootData: r}, d}
	}
	root.RootNode = root.NewNode(root, nil, "", nil)
	server, err := fs.Mount(dir, root.RootNode, &fs.Options{MountOptions: fuse.MountOptions{DirectMountStrict: true, Name: "baddisk"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.fail(0)
		if err := server.Unmount(); err != nil {
			exec.Command("umount", "-l", dir).Run()
		}
	})
	return d, dir
}

// TestRecordsOntoABadDisk: short stalls cost nothing, a long one and errors cost
// gaps that say when and why, and who reads the stream sees nothing of it all.
func TestRecordsOntoABadDisk(t *testing.T) {
	disk, dir := mountBadDisk(t)
	b := boxtest.Start(t, "")
	src := reader(t, b.Stream)
	read, done := context.WithCancel(t.Context())
	defer done()
	seen := make(chan mpegts.Report, 1)
	go func() { seen <- readUntil(read, src) }()
	status, stop := recordTo(t, b.Stream, dir)
	grown(t, status)
	for _, d := range []time.Duration{100 * time.Millisecond, time.Second, 3 * time.Second} {
		release := disk.stall()
		time.Sleep(d) // a disk that stalls for so long
		release()
		grown(t, status)
	}
	if s := fetch(t, status); s.LostBytes != 0 || s.Gaps != 0 {
		t.Errorf("short stalls cost %d bytes, %d gaps", s.LostBytes, s.Gaps)
	}
	for _, c := range []struct {
		begin func() (end func())
		cause string
		least float64 // seconds of the gap
	}{
		{disk.stall, "the disk took no data", 3},
		{func() func() { disk.fail(syscall.EIO); return func() { disk.fail(0) } }, "input/output error", 7},
		{func() func() { disk.fail(syscall.EROFS); return func() { disk.fail(0) } }, "read-only file system", 7},
	} {
		began := time.Now().UTC()
		end := c.begin()
		time.Sleep(8 * time.Second)
		if s := fetch(t, status); s.State != recording.Failed || !strings.Contains(s.Cause, c.cause) {
			t.Errorf("meanwhile: %s, %q, want %q", s.State, s.Cause, c.cause)
		}
		end()
		over := time.Now().UTC()
		grown(t, status)
		g := fetch(t, status).LastGap
		if g == nil || !strings.Contains(g.Cause, c.cause) || g.Start.Before(began.Add(-2*time.Second)) || g.End.After(over.Add(8*time.Second)) || g.End.Sub(g.Start).Seconds() < c.least {
			t.Errorf("from %v to %v, gap %+v, want %q of at least %.0f s", began, over, g, c.cause, c.least)
		}
	}
	stop()
	done()
	if r := <-seen; r.Continuity != 0 || r.MissingFrames != 0 {
		t.Errorf("a reader of the stream saw: %v", r)
	}
	all, entries := recorded(t, dir)
	p := mpegts.NewProbe()
	p.Write(all)
	gaps, pictures := uint64(0), uint64(0)
	for _, e := range entries {
		pictures += e.Pictures
		for _, g := range e.Gaps {
			gaps += g.LastFrame - g.FirstFrame + 1
		}
	}
	// The index leaves a picture out whose end is missing; the probe sees its start.
	r := p.Report()
	torn := uint64(r.Frames) - pictures
	if torn > uint64(len(entries)) || r.MissingFrames+torn != gaps || r.DuplicateFrames != 0 || gaps < 15*25 {
		t.Errorf("%d frames are missing in the files and %d torn, %d missing by the index", r.MissingFrames, torn, gaps)
	}
}

// recordTo records a stream into a folder with a queue of some four seconds.
func recordTo(t *testing.T, stream, dir string) (status string, stop func()) {
	t.Helper()
	return startedWith(t, options{
		name: "box1", stream: stream, buffered: stream, captureAddr: "127.0.0.1:1",
		recording: recording.Config{Dir: dir, Name: "box1", Segment: time.Minute, Queue: 256 << 10},
	})
}

func fetch(t *testing.T, status string) (s recording.Status) {
	t.Helper()
	until(t, status, "answering", func(m metrics.Status) bool {
		s = statusOf(t, m)
		return true
	})
	return s
}
