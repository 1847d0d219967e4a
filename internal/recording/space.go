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
	if err == nil {
		free = w.tidy(free, now)
	}
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
	if err == nil && w.file != nil && free < w.cfg.Policy.KeepFree {
		w.flush()
		if w.file != nil {
			w.fail(w.tooFull(free), w.last)
		}
	}
}

// tidyInterval is how often files are listed for the policy while there is room.
const tidyInterval = time.Minute

// tidy lets the policy delete: as soon as room gets short, and now and then for
// what has been kept for long enough. It returns what is free then.
func (w *writer) tidy(free uint64, now time.Time) uint64 {
	want := w.reserve()
	if free >= w.cfg.Policy.KeepFree+want && now.Sub(w.listed) < tidyInterval {
		return free
	}
	w.listed = now
	after, err := w.makeRoom(free, want, now)
	if err != nil {
		w.cfg.Log.Warn("recording: making room", "error", err)
	}
	return after
}

// reserve is how much room there should be: what can come before the next look,
// and what waits in memory.
func (w *writer) reserve() uint64 { return 2 * uint64(w.cfg.Queue) }

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
	if err == nil && free < w.cfg.Policy.KeepFree+n {
		if free, err = w.makeRoom(free, n, time.Now()); err != nil {
			w.cfg.Log.Warn("recording: making room", "error", err)
			return nil
		}
	}
	if err != nil || free >= w.cfg.Policy.KeepFree+n {
		return nil
	}
	return w.tooFull(free)
}

func (w *writer) tooFull(free uint64) error {
	return fmt.Errorf("%w: %s free, %s are to be kept", errFull, size(free), size(w.cfg.Policy.KeepFree))
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
