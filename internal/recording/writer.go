package recording

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/internal/mpegts"
)

const (
	spaceInterval = 2 * time.Second // between looks at the free space
	retryAfter    = 5 * time.Second // a disk that failed is tried again
	rateWeight    = 0.3             // of the newest look in the rate
	maxNames      = 10000           // tried before the directory counts as broken
)

// writer is the only one who touches the stream's files. Everything that can
// wait for the disk happens in its goroutine.
type writer struct {
	cfg   Config
	dir   string
	queue *queue
	index *indexer
	done  chan struct{}
	// choose is the policy's.
	choose func(files []candidate, free, want uint64, now time.Time) string

	file      File // nil between files
	name      string
	seq       int
	size      int64     // whole packets that were written
	sum       hash.Hash // nil when the file began in an earlier run
	dirty     bool
	last      mark   // the newest frame in what was written
	gaps      []Gap  // before the file
	boot      int64  // of the opening
	corrected bool   // files of this boot have been looked through
	unclear   bool   // files of this run wait for the clock to be right
	counted   uint64 // bytes written at the last look at the space
	looked    time.Time
	listed    time.Time // when files were last listed for the policy

	mu    sync.Mutex
	state writerState
}

// writerState is what others may see.
type writerState struct {
	failed  *failure
	full    bool
	retryAt time.Time
	file    string
	size    int64
	bytes   uint64    // written in this run
	lost    uint64    // taken from the queue but not written
	flushed time.Time // when the last flush had ended
	durable mark      // the last whole frame on the disk then
	busy    time.Time // when the operation in hand began; zero when idle
	rate    float64   // bytes a second
	free    uint64
	total   uint64
	spaceOK bool

	releasable uint64 // bytes of acknowledged files
	deleted    uint64 // files, by the policy
}

// failure is why there is no file.
type failure struct {
	seq   int  // of the file
	mark  mark // the newest frame before what is missing
	empty bool // nothing of the file was written
	cause string
}

// errFull is a disk with less room than is to be kept free.
var errFull = errors.New("disk full")

func newWriter(cfg Config, dir string, q *queue) *writer {
	return &writer{cfg: cfg, dir: dir, queue: q, done: make(chan struct{}), index: newIndexer(cfg, dir), choose: cfg.Policy.choose}
}

func (w *writer) start(unindexed []string) {
	w.looked = time.Now()
	go w.index.run(unindexed)
	go w.run()
}

// wait waits for the end of everything that is queued. Once it is on the disk,
// reading files for the index is put off to the next start when it takes long.
func (w *writer) wait() error {
	timer := time.NewTimer(closeDeadline)
	defer timer.Stop()
	var hurry <-chan time.Time
	for done := w.done; ; {
		select {
		case <-done:
			if done == w.index.done {
				return nil
			}
			done, hurry = w.index.done, time.After(scanDeadline)
		case <-hurry:
			close(w.index.stop)
		case <-timer.C:
			bytes, _ := w.queue.fill()
			return fmt.Errorf("recording: the disk has not answered for %v: %d bytes of %s are lost", closeDeadline, bytes, w.cfg.Name)
		}
	}
}

func (w *writer) run() {
	defer close(w.done)
	defer w.index.close()
	w.timed(w.look)
	flush, space := time.NewTimer(w.cfg.Flush), time.NewTimer(spaceInterval)
	defer flush.Stop()
	defer space.Stop()
	for {
		ready := w.queue.ready
		it, ok, done := w.queue.take()
		switch {
		case ok:
			w.timed(func() { w.step(it) })
			ready = alwaysReady
		case done:
			w.timed(func() { w.finish(nil) })
			return
		}
		select { // timers first: a full queue must not put off the flush
		case <-flush.C:
			w.timed(w.flush)
			flush.Reset(w.cfg.Flush)
			continue
		case <-space.C:
			w.timed(w.look)
			space.Reset(spaceInterval)
			continue
		default:
		}
		select {
		case <-ready:
		case <-flush.C:
			w.timed(w.flush)
			flush.Reset(w.cfg.Flush)
		case <-space.C:
			w.timed(w.look)
			space.Reset(spaceInterval)
		}
	}
}

// alwaysReady is closed: there may be more in the queue.
var alwaysReady = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (w *writer) step(it item) {
	switch {
	case it.open != nil:
		w.open(it.open)
	case it.end != nil:
		w.finish(it.end)
	case it.close:
		w.finish(nil)
	case it.index != "":
		w.index.add(Entry{File: it.index})
	default:
		w.write(it)
	}
}

// timed notes since when the disk has been at it.
func (w *writer) timed(f func()) {
	w.setBusy(time.Now())
	f()
	w.setBusy(time.Time{})
}

func (w *writer) setBusy(t time.Time) {
	w.mu.Lock()
	w.state.busy = t
	w.mu.Unlock()
}

// open begins a file. The one before it has ended, or failed.
func (w *writer) open(o *opening) {
	w.finish(nil)
	w.seq, w.size, w.name, w.gaps = o.seq, 0, o.name, o.gaps
	err := w.spaceFor(uint64(w.cfg.Queue))
	if err == nil && o.extend {
		err = w.reopen(o.name)
	} else if err == nil {
		err = w.create(o)
	}
	if err != nil {
		w.fail(err, w.last)
		return
	}
	w.cfg.Log.Info("recording: file begins", "file", w.name)
	w.noteClock(o)
	w.mu.Lock()
	w.state.failed, w.state.full = nil, false
	w.state.file, w.state.size = w.name, w.size
	w.mu.Unlock()
}

// noteClock remembers what will tell the time of a file that has none yet, and
// has those before it corrected once that is known. A run's first file with a
// time does the same for runs before it.
func (w *writer) noteClock(o *opening) {
	w.boot = o.boot
	if (o.boot != 0 || len(o.gaps) > 0) && !o.extend {
		w.index.send(job{entry: Entry{File: w.name, BootClock: o.boot, Gaps: o.gaps}, began: true})
	}
	switch {
	case o.boot != 0:
		w.unclear = true
	case o.right != 0 && (w.unclear || !w.corrected):
		w.unclear, w.corrected = false, true
		w.index.send(job{offset: o.right})
	}
}

// create makes a file that was not there. Two starts within a second must not
// overwrite each other.
func (w *writer) create(o *opening) error {
	if err := w.cfg.FS.MkdirAll(w.dir); err != nil {
		return err
	}
	for n := range maxNames {
		w.name = fileName(o, n)
		f, err := w.cfg.FS.OpenFile(filepath.Join(w.dir, w.name), os.O_RDWR|os.O_CREATE|os.O_EXCL)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		w.file, w.sum = f, sha256.New()
		return w.cfg.FS.SyncDir(w.dir)
	}
	return fmt.Errorf("%d files like %s are there already", maxNames, w.name)
}

func fileName(o *opening, n int) string {
	if o.stamp.IsZero() {
		return fmt.Sprintf("%s-%d.ts", o.name, n+1)
	}
	return o.name + "-" + o.stamp.Add(time.Duration(n)*time.Second).Format(stampLayout) + ".ts"
}

// reopen goes on with a file of an earlier run.
func (w *writer) reopen(name string) error {
	f, err := w.cfg.FS.OpenFile(filepath.Join(w.dir, name), os.O_RDWR)
	if err != nil {
		return err
	}
	w.file, w.sum = f, nil
	w.size, err = f.Seek(0, io.SeekEnd)
	return err
}

func (w *writer) write(it item) {
	if w.file == nil {
		w.mu.Lock()
		w.state.lost += uint64(len(it.data))
		w.mu.Unlock()
		return
	}
	n, err := w.file.Write(it.data)
	n -= n % mpegts.PacketSize
	w.size += int64(n)
	if w.sum != nil {
		w.sum.Write(it.data[:n])
	}
	w.dirty = w.dirty || n > 0
	w.mu.Lock()
	w.state.bytes += uint64(n)
	w.state.lost += uint64(len(it.data) - n)
	w.state.size = w.size
	w.mu.Unlock()
	if err != nil {
		w.fail(err, it.before)
		return
	}
	w.last = it.last
}

// flush brings what was written onto the disk.
func (w *writer) flush() {
	if w.file == nil || !w.dirty {
		return
	}
	if err := w.file.Sync(); err != nil {
		w.fail(err, w.last)
		return
	}
	w.dirty = false
	w.mu.Lock()
	w.state.flushed, w.state.durable = time.Now(), w.last
	w.mu.Unlock()
}

// finish closes the file in hand and has it indexed; without facts they are
// read from the file.
func (w *writer) finish(f *facts) {
	w.flush()
	if w.file == nil {
		return
	}
	e := Entry{File: w.name, Gaps: w.gaps, BootClock: w.boot}
	if f != nil && w.sum != nil {
		e = f.entry()
		e.BootClock = w.boot
		e.File, e.Bytes, e.SHA256 = w.name, w.size, fmt.Sprintf("%x", w.sum.Sum(nil))
	}
	err := w.file.Close()
	w.file = nil
	w.settle(e)
	if err != nil {
		w.cfg.Log.Warn("recording: closing", "file", w.name, "error", err)
	}
	w.mu.Lock()
	w.state.file, w.state.size = "", 0
	w.mu.Unlock()
}

// settle has a closed file indexed, or removes it when nothing is in it.
func (w *writer) settle(e Entry) {
	if w.size > 0 {
		w.index.add(e)
		return
	}
	if err := w.cfg.FS.Remove(filepath.Join(w.dir, w.name)); err != nil {
		w.cfg.Log.Warn("recording: removing an empty file", "file", w.name, "error", err)
	}
}

// fail gives the file up. What was written of it stays, to the packet.
func (w *writer) fail(err error, m mark) {
	full := errors.Is(err, errFull) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
	f := &failure{seq: w.seq, mark: m, empty: w.size == 0, cause: err.Error()}
	if full && !errors.Is(err, errFull) {
		f.cause = "disk full: " + f.cause
	}
	if w.file != nil {
		if err := w.file.Truncate(w.size); err != nil {
			w.cfg.Log.Warn("recording: cutting to the last whole packet", "file", w.name, "error", err)
		}
		w.file.Close()
		w.file, w.dirty = nil, false
		w.settle(Entry{File: w.name, Gaps: w.gaps})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state.failed == nil || w.state.failed.cause != f.cause {
		w.cfg.Log.Error("recording: the disk failed", "file", w.name, "cause", f.cause)
	}
	w.state.failed, w.state.full = f, full
	w.state.retryAt = time.Now().Add(retryAfter)
	w.state.file, w.state.size = "", 0
}

// failure is why there is no file, or nil.
func (w *writer) failure() *failure {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state.failed
}

// ready says whether a file may be begun.
func (w *writer) ready() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &w.state
	if s.failed == nil {
		return true
	}
	if s.full && s.spaceOK && s.free < w.cfg.Policy.KeepFree+uint64(w.cfg.Queue) {
		return false
	}
	return !time.Now().Before(s.retryAt)
}

func (w *writer) snapshot() writerState {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}
