package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/openvideobox/videobox/appliance/boxd/internal/board"
	"github.com/openvideobox/videobox/appliance/internal/peers"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/recording"
)

// filePatience is for how long recordings may not grow: record flushes twice a
// second.
const filePatience = 5 * time.Second

// fileGrowth is how the recordings on the disk grow.
type fileGrowth struct {
	name  string        // of the file that grew last; "" none did
	bytes int64         // its size
	still time.Duration // since one grew, or since the first look
	err   error         // the folder can't be read
}

// watchedFiles looks at a recorder's folder. It compares sizes, not times: a
// box's clock may be set at any moment.
type watchedFiles struct {
	dirs  []string
	name  string           // of the box: files are in dir/name
	sizes map[string]int64 // by path; nil before the first look
	last  fileGrowth
	grew  time.Time
}

// newWatchedFiles takes a list of directories like PATH.
func newWatchedFiles(dirs, name string) *watchedFiles {
	return &watchedFiles{dirs: filepath.SplitList(dirs), name: name}
}

// look compares with the look before. The files of the first one count as old.
func (w *watchedFiles) look(now time.Time) fileGrowth {
	sizes := map[string]int64{}
	var err error
	for _, dir := range w.dirs {
		err = errors.Join(err, w.lookIn(filepath.Join(dir, w.name), sizes, now))
	}
	if w.grew.IsZero() {
		w.grew = now
	}
	w.sizes = sizes
	w.last.still, w.last.err = now.Sub(w.grew), err
	return w.last
}

// dirIn is where files go now: where record says, else the first place.
func (w *watchedFiles) dirIn(record peers.Peer) string {
	said, _ := detailOf(record)["dir"].(string)
	for _, dir := range w.dirs {
		if record.OK() && filepath.Dir(said) == filepath.Clean(dir) {
			return dir
		}
	}
	return w.dirs[0]
}

// lookIn adds a folder's sizes. One that isn't there holds nothing yet.
func (w *watchedFiles) lookIn(folder string, sizes map[string]int64, now time.Time) error {
	list, err := os.ReadDir(folder)
	for _, e := range list {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || !recording.IsRecording(e.Name()) {
			continue
		}
		size, path := info.Size(), filepath.Join(folder, e.Name())
		sizes[path] = size
		if before, known := w.sizes[path]; w.sizes != nil && size > before && (known || size > 0) {
			w.last.name, w.last.bytes, w.grew = e.Name(), size, now
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// diskSpace also tells of two system disks in one box: what is on either may run.
func diskSpace(s *scene) metrics.Finding {
	f := s.disk
	if f.State == metrics.OK && s.twinDisk != "" {
		f.State = metrics.Degraded
		f.Cause = s.twinDisk + " was flashed from the same image as this box's own disk: after a restart the kernel may come from one and the rest from the other; take one of them out"
	}
	return f
}

// recorderGrowing is decided by the files. What record says of itself explains,
// and tells that somebody switched it off.
func recorderGrowing(s *scene) metrics.Finding {
	said := leafOf(s.record, "recorder growing")
	off, _ := detailOf(s.record)["off"].(bool)
	switch g := s.files; {
	case s.record.OK() && off:
		return metrics.Finding{State: metrics.Degraded, Cause: said.Cause}
	case g.err != nil:
		return metrics.Finding{State: metrics.Unknown, Cause: "unknown: " + g.err.Error()}
	case g.still <= filePatience && g.name == "":
		return metrics.Finding{State: metrics.Starting, Cause: "no file has grown yet"}
	case g.still > filePatience:
		return s.standsStill(said)
	}
	f := metrics.Finding{State: metrics.OK, Value: s.files.name + ", " + board.Bytes(uint64(s.files.bytes))}
	if said.State == metrics.Degraded || said.State == metrics.Failed { // it goes on, and something is lost or broken
		f.State, f.Cause = said.State, said.Cause
	}
	if f.State == metrics.OK && s.lostDisk != "" {
		f.State, f.Cause = metrics.Degraded, "the disk for recordings ("+s.lostDisk+") is gone, recordings go to the box's card: "+f.Value
	}
	if why := s.follows(); f.State == metrics.Failed && (why != "" || s.excused) {
		f.State = metrics.Degraded
	}
	return f
}

// standsStill says why, as far as anybody knows.
func (s *scene) standsStill(said metrics.Finding) metrics.Finding {
	f := metrics.Finding{State: metrics.Failed, Cause: fmt.Sprintf("no recording has grown for %.0f s", s.files.still.Seconds())}
	if s.files.name != "" {
		f.Cause = fmt.Sprintf("%s has not grown for %.0f s", s.files.name, s.files.still.Seconds())
	}
	switch why := s.follows(); {
	case why != "":
		f.State = metrics.Degraded
		f.Cause += ": follows from " + why
	case s.excused: // what held it up is over
		f.State = metrics.Degraded
		f.Cause += ": it is to go on now"
	case said.State != metrics.OK && said.Cause != "":
		f.Cause += ": " + said.Cause
	}
	return f
}

// follows is the leaf whose fault it is that nothing is recorded, if any.
func (s *scene) follows() string {
	if f := streamGrowing(s); f.State != metrics.OK {
		return "stream growing"
	}
	if s.disk.State == metrics.Failed {
		return "disk space"
	}
	return ""
}
