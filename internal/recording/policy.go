package recording

import (
	"path/filepath"
	"slices"
	"time"
)

// Policy says what may be deleted so that recording can go on.
//
// The oldest file that somebody has acknowledged goes first. One that nobody
// has acknowledged goes only if Overwrite is set, and only when there is none
// with an acknowledgement. The file in hand never goes. If nothing may go,
// recording stops and says so.
type Policy struct {
	KeepFree  uint64        // bytes of disk to leave free
	Overwrite bool          // files without acknowledgement may go, too
	Retention time.Duration // acknowledged files older than this go, whatever is free; 0: they stay
}

// candidate is a closed file.
type candidate struct {
	name  string
	end   time.Time // of what is in it
	bytes int64
	acked bool
}

// choose says which file is to go next, or "" for none. Files are oldest first;
// want is how much room there should be above KeepFree.
func (p Policy) choose(files []candidate, free, want uint64, now time.Time) string {
	short := free < p.KeepFree+want
	for _, f := range files {
		if f.acked && (short || p.Retention > 0 && now.Sub(f.end) > p.Retention) {
			return f.name
		}
	}
	if short && p.Overwrite && len(files) > 0 {
		return files[0].name
	}
	return ""
}

// releasable is how much acknowledged files hold.
func releasable(files []candidate) (n uint64) {
	for _, f := range files {
		if f.acked {
			n += uint64(f.bytes)
		}
	}
	return n
}

// candidates are the closed files of the stream, but for the one in hand.
func (w *writer) candidates() ([]candidate, error) {
	list, err := List(w.cfg.FS, w.cfg.Dir, w.cfg.Name)
	if err != nil {
		return nil, err
	}
	var files []candidate
	for _, e := range list {
		if !e.Open && e.File != w.name {
			files = append(files, candidate{e.File, e.End, e.Bytes, !e.Acknowledged.IsZero()})
		}
	}
	return files, nil
}

// makeRoom deletes what the policy lets go, until there is room for so many
// bytes, and returns what is free then. Files are listed again each time, since
// others delete, too.
func (w *writer) makeRoom(free, want uint64, now time.Time) (uint64, error) {
	// A file that somebody still reads gives its room back later: no more goes
	// at once than is missing.
	for missing := int64(w.cfg.Policy.KeepFree+want) - int64(free); ; {
		files, err := w.candidates()
		if err != nil {
			return free, err
		}
		w.mu.Lock()
		w.state.releasable = releasable(files)
		w.mu.Unlock()
		name := w.choose(files, free, want, now)
		if name == "" {
			return free, nil
		}
		i := slices.IndexFunc(files, func(c candidate) bool { return c.name == name })
		if err := w.cfg.FS.Remove(filepath.Join(w.dir, name)); err != nil {
			return free, err
		}
		w.cfg.Log.Info("recording: deleted by the disk policy", "file", name, "free", free)
		w.mu.Lock()
		w.state.deleted++
		w.mu.Unlock()
		if free, _, err = w.space(); err != nil {
			return free, err
		}
		if missing -= files[i].bytes; missing <= 0 {
			return free, nil
		}
	}
}
