package recording

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/openvideobox/videobox/internal/mpegts"
)

// indexQueue bounds what waits for the indexer. What does not fit is found at
// the next start, since it is not in the index then.
const indexQueue = 64

// indexer appends to the index, one file after the other. It reads whole files
// where nobody has seen all their packets pass, so it has a goroutine of its
// own, beside the writer's.
type indexer struct {
	cfg  Config
	dir  string
	jobs chan job
	stop chan struct{} // what takes long is left to the next start
	done chan struct{}

	again []Entry // what failed

	mu       sync.Mutex
	err      error // of the newest file
	readback *ReadBack
}

func newIndexer(cfg Config, dir string) *indexer {
	return &indexer{
		cfg: cfg, dir: dir,
		jobs: make(chan job, indexQueue), stop: make(chan struct{}), done: make(chan struct{}),
	}
}

// job is a closed file, or the offset of a clock that is right now.
type job struct {
	entry  Entry
	offset int64
	began  bool // the file has only begun; the entry says what it doesn't tell itself
}

// add takes a closed file; without a checksum its facts are read from it.
func (x *indexer) add(e Entry) { x.send(job{entry: e}) }

func (x *indexer) send(j job) {
	e := j.entry
	select {
	case x.jobs <- j:
	default:
		x.mu.Lock()
		x.err = errors.New("the index does not keep up")
		x.mu.Unlock()
		x.cfg.Log.Warn("recording: the index does not keep up", "file", e.File)
	}
}

// close ends the indexer after what is queued. Only the writer calls it, once.
func (x *indexer) close() { close(x.jobs) }

func (x *indexer) run(unindexed []string) {
	defer close(x.done)
	for _, name := range unindexed {
		x.drain()
		x.index(Entry{File: name})
	}
	for j := range x.jobs {
		x.do(j)
	}
}

// drain indexes what has just been recorded before what lies there anyway.
func (x *indexer) drain() {
	for {
		select {
		case j, ok := <-x.jobs:
			if !ok {
				return
			}
			x.do(j)
		default:
			return
		}
	}
}

func (x *indexer) do(j job) {
	switch {
	case j.began:
		x.noteBeginning(j.entry)
	case j.offset != 0:
		if err := x.correct(j.offset); err != nil {
			x.cfg.Log.Error("recording: times are not corrected", "error", err)
		}
	default:
		x.index(j.entry)
		if x.cfg.ReadBack && j.entry.SHA256 != "" {
			x.verify(j.entry)
		}
	}
}

// index does a job, after those that a full disk, say, has kept from being
// done.
func (x *indexer) index(e Entry) {
	jobs := append(x.again, e)
	x.again = nil
	var last error
	for _, e := range jobs {
		err := x.one(e)
		if err == nil || errors.Is(err, fs.ErrNotExist) && e.SHA256 == "" {
			continue // done, or somebody removed the file
		}
		if !errors.Is(err, errStopped) {
			last = err
			x.cfg.Log.Error("recording: a file is not indexed", "file", e.File, "error", err)
		}
		if len(x.again) < indexQueue {
			x.again = append(x.again, e)
		}
	}
	x.mu.Lock()
	x.err = last
	x.mu.Unlock()
}

var errStopped = errors.New("stopped")

func (x *indexer) one(e Entry) error {
	if e.SHA256 == "" {
		before := e.Gaps
		noted := x.notedOf(e.File)
		if len(before) == 0 {
			before = noted.Gaps
		}
		var err error
		if e, err = scanFile(x.cfg.FS, x.dir, e.File, x.stop); err != nil {
			return err
		}
		e.Gaps = append(before, e.Gaps...)
		e.BootClock = noted.BootClock
	}
	return x.append(e)
}

// append writes one line and flushes it.
func (x *indexer) append(e Entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return appendLines(x.cfg.FS, x.dir, IndexName(x.cfg.Name), append(line, '\n'))
}

// scanFile reads a whole file for its facts and its checksum.
func scanFile(fsys FS, dir, name string, stop <-chan struct{}) (Entry, error) {
	f, err := fsys.OpenFile(filepath.Join(dir, name), os.O_RDONLY)
	if err != nil {
		return Entry{}, err
	}
	defer f.Close()
	var facts facts
	g := newGrouper(nil)
	at := file{name: name}.nameTime()
	g.handle = func(gr *group) { facts.add(gr, at) }
	var scan mpegts.Scanner
	sum, size := sha256.New(), int64(0)
	buf := make([]byte, 1<<20)
	for err == nil {
		select {
		case <-stop:
			return Entry{}, errStopped
		default:
		}
		var n int
		n, err = f.Read(buf)
		sum.Write(buf[:n])
		scan.Scan(buf[:n], g.packet)
		size += int64(n)
	}
	if err != io.EOF {
		return Entry{}, fmt.Errorf("reading %s: %w", name, err)
	}
	g.flush()
	e := facts.entry()
	e.File, e.Bytes, e.SHA256 = name, size, fmt.Sprintf("%x", sum.Sum(nil))
	return e, nil
}

// trailingSync is how many whole packets from the start of b begin with a sync
// byte.
func trailingSync(b []byte) int {
	n := 0
	for len(b) >= mpegts.PacketSize && bytes.HasPrefix(b, []byte{0x47}) {
		b = b[mpegts.PacketSize:]
		n++
	}
	return n
}
