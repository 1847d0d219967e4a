package recording

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// readBackPause lies between two pieces of 1 MiB while a file is read back, so
// that the disk is there for what comes: about 10 MB/s.
const readBackPause = 100 * time.Millisecond

// errDiffers is a disk that doesn't give back what it was given.
var errDiffers = errors.New("recording: the file reads back differently from what was written: don't trust this disk")

// ReadBack is the last look at what was written.
type ReadBack struct {
	File  string    `json:"file"`
	At    time.Time `json:"at"`
	Error string    `json:"error,omitempty"`
}

// uncacher is a file whose pages the kernel can be asked to forget, so that
// reading asks the disk and not the memory.
type uncacher interface{ Uncache() error }

// verify reads a closed file back and compares it with the checksum of what was
// written. What was right is noted in the index.
func (x *indexer) verify(e Entry) {
	err := x.readBack(e)
	if errors.Is(err, errStopped) {
		return
	}
	now := time.Now().UTC()
	r := ReadBack{File: e.File, At: now}
	if err != nil {
		r.Error = err.Error()
		x.cfg.Log.Error("recording: read-back", "file", e.File, "error", err)
	} else {
		e.Verified = now
		if err := x.append(e); err != nil {
			x.cfg.Log.Warn("recording: read-back is not noted", "file", e.File, "error", err)
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.readback = &r
}

func (x *indexer) readBack(e Entry) error {
	f, err := x.cfg.FS.OpenFile(filepath.Join(x.dir, e.File), os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	if u, ok := f.(uncacher); ok {
		_ = u.Uncache() // read what there is, then
	}
	sum, buf := sha256.New(), make([]byte, 1<<20)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for err == nil {
		select {
		case <-x.stop:
			return errStopped
		case <-pause.C:
		}
		var n int
		n, err = f.Read(buf)
		sum.Write(buf[:n])
		pause.Reset(readBackPause)
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	if got := fmt.Sprintf("%x", sum.Sum(nil)); got != e.SHA256 {
		return errDiffers
	}
	return nil
}

// lastReadBack is nil before the first.
func (x *indexer) lastReadBack() *ReadBack {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.readback
}
