package main

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/openvideobox/videobox/internal/recording"
)

// whereabouts is a file of this boot that says up to where which disk has the
// stream: when recordings move, the index tells what is on the other disk from
// what is nowhere.
type whereabouts struct {
	file string
	said recording.Elsewhere
}

// note says what is safe now.
func (w *whereabouts) note(r *recording.Recorder) error {
	now, ok := r.Flushed()
	if !ok || now == w.said {
		return nil
	}
	data, err := json.Marshal(now)
	if err != nil {
		return err
	}
	if err := os.WriteFile(w.file+".new", data, 0o644); err != nil {
		return err
	}
	w.said = now
	return os.Rename(w.file+".new", w.file)
}

// before is where the stream was recorded until now, if that is not dir.
func (w *whereabouts) before(dir, disk string) *recording.Elsewhere {
	data, err := os.ReadFile(w.file)
	var e recording.Elsewhere
	if err != nil || json.Unmarshal(data, &e) != nil || filepath.Dir(e.Dir) == filepath.Clean(dir) {
		return nil
	}
	e.Cause = "recording moved to a disk of its own"
	if filepath.Dir(filepath.Dir(e.Dir)) == filepath.Clean(disk) {
		e.Cause = "the disk for recordings is gone"
	}
	return &e
}
