package recording

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// look measures the free space and the rate, and stops a recording that would
// eat into what is to be kept free.
func (w *writer) look() {
	free, total, err := w.space()
	now := time.Now()
	w.mu.Lock()
	s := &w.state
	if s.spaceOK = err == nil; s.spaceOK {
		s.free, s.total = free, total
	}
	if d := now.Sub(w.looked).Seconds(); d > 0 {
		rate := float64(s.bytes-w.counted) / d
		if s.rate > 0 {
			rate = rateWeight*rate + (1-rateWeight)*s.rate
		}
		s.rate = rate
		w.counted, w.looked = s.bytes, now
	}
	w.mu.Unlock()
	if err == nil && w.file != nil && free < w.cfg.KeepFree {
		w.flush()
		if w.file != nil {
			w.fail(w.tooFull(free), w.last)
		}
	}
}

// space asks the nearest directory that is there.
func (w *writer) space() (free, total uint64, err error) {
	for dir := w.dir; ; dir = filepath.Dir(dir) {
		free, total, err = w.cfg.FS.Space(dir)
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return free, total, err
		}
	}
}

// spaceFor says whether there is room for so many bytes above what is to be
// kept free. A disk that can't tell is tried.
func (w *writer) spaceFor(n uint64) error {
	free, _, err := w.space()
	if err != nil || free >= w.cfg.KeepFree+n {
		return nil
	}
	return w.tooFull(free)
}

func (w *writer) tooFull(free uint64) error {
	return fmt.Errorf("%w: %s free, %s are to be kept", errFull, size(free), size(w.cfg.KeepFree))
}

// size writes a number of bytes for people.
func size(n uint64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MB", n>>20)
	}
	return fmt.Sprintf("%d kB", n>>10)
}
