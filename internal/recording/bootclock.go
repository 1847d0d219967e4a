package recording

import (
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Before a clock is in sync the times in a recording are wrong by one unknown
// amount. The kernel's CLOCK_BOOTTIME runs on regardless, so its distance to the
// stream's clock is noted with each such file; when the clock is right, the
// distance is known anew, and the difference of both corrects the index. It
// works across restarts of the recorder, but not of the host.

// bootTime is ns since the host was started.
func bootTime() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return t.Nano()
}

// unsyncedName says whether a file was named before the clock was in sync, in
// this boot.
func unsyncedName(file string) bool { return strings.Contains(file, "-boot"+bootID()+"-") }

// correct appends corrected entries for what this boot recorded before its clock
// was right. Offset is the stream's clock minus bootTime, now.
func (x *indexer) correct(offset int64) error {
	indexed, err := loadIndex(x.cfg.FS, x.dir, x.cfg.Name)
	if err != nil {
		return err
	}
	for _, e := range indexed {
		if !unsyncedName(e.File) || e.BootClock == 0 || e.Renamed != "" || e.Bytes == 0 {
			continue
		}
		e.shift(time.Duration(offset - e.BootClock))
		e.Renamed = x.cfg.Name + "-" + e.Start.Format(stampLayout) + ".ts"
		if err := x.append(e); err != nil {
			return err
		}
		x.cfg.Log.Info("recording: the clock is right now", "file", e.File, "is", e.Renamed)
	}
	return nil
}

// shift moves all times of an entry.
func (e *Entry) shift(d time.Duration) {
	e.Start, e.End = e.Start.Add(d), e.End.Add(d)
	for i := range e.Gaps {
		e.Gaps[i].Start, e.Gaps[i].End = e.Gaps[i].Start.Add(d), e.Gaps[i].End.Add(d)
	}
	for i := range e.Spans {
		e.Spans[i].Start, e.Spans[i].End = e.Spans[i].Start.Add(d), e.Spans[i].End.Add(d)
	}
}

// noteBeginning writes down, when a file begins, what it does not tell itself: the
// gaps before it, and if its time is unknown, what will tell that later. The
// recorder may be killed before the file ends.
func (x *indexer) noteBeginning(e Entry) {
	if err := x.append(e); err != nil {
		x.cfg.Log.Warn("recording: the file's beginning is not noted", "file", e.File, "error", err)
	}
}

// notedOf is what was noted at a file's beginning.
func (x *indexer) notedOf(file string) Entry {
	indexed, err := loadIndex(x.cfg.FS, filepath.Clean(x.dir), x.cfg.Name)
	if err != nil || indexed[file].Bytes > 0 {
		return Entry{BootClock: indexed[file].BootClock}
	}
	return indexed[file]
}
