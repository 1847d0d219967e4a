package board

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/internal/metrics"
)

// Space is the room on the file system of a folder, in bytes.
type Space struct{ Free, Total uint64 }

// statfs is unix.Statfs; tests have disks of their own.
type statfs func(path string, s *unix.Statfs_t) error

// SpaceOf asks the file system of a folder, or of the nearest one above it that
// is there.
func SpaceOf(dir string) (Space, error) { return spaceOf(dir, unix.Statfs) }

func spaceOf(dir string, ask statfs) (Space, error) {
	for {
		var s unix.Statfs_t
		err := ask(dir, &s)
		up := filepath.Dir(dir)
		if err == nil {
			return Space{s.Bavail * uint64(s.Bsize), s.Blocks * uint64(s.Bsize)}, nil
		}
		if !errors.Is(err, fs.ErrNotExist) || up == dir {
			return Space{}, fmt.Errorf("statfs %s: %w", dir, err)
		}
		dir = up
	}
}

// Recording is what a recorder wants of a disk.
type Recording struct {
	Keep uint64  // bytes to leave free: it stops there
	Rate float64 // bytes a second
}

// Disk judges the room for recordings.
func Disk(s Space, err error, r Recording) metrics.Finding {
	switch {
	case err != nil:
		return unknown(err)
	case s.Total == 0:
		return metrics.Finding{State: metrics.Unknown, Cause: "unknown: the file system says that it has no blocks"}
	}
	room := float64(s.Free - min(s.Free, r.Keep))
	f := metrics.Finding{State: metrics.OK, Value: fmt.Sprintf("%s free of %s", Bytes(s.Free), Bytes(s.Total))}
	if s.Free <= r.Keep {
		f.State = metrics.Failed
		f.Cause = fmt.Sprintf("full: %s, and recording stops at %s; fetch and delete recordings", f.Value, Bytes(r.Keep))
		return f
	}
	share := 100 * float64(s.Free) / float64(s.Total)
	hours := room / max(r.Rate, 1) / 3600
	if r.Rate > 0 {
		f.Value += fmt.Sprintf(", enough for %.1f hours", hours)
	}
	if share < 5 || share < 20 && r.Rate > 0 && hours < 24 {
		f.State, f.Cause = metrics.Degraded, "nearly full: "+f.Value
	}
	return f
}

// Bytes writes a number of bytes for people.
func Bytes(n uint64) string {
	f := float64(n)
	switch {
	case n >= 1e10:
		return fmt.Sprintf("%.0f GB", f/1e9)
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", f/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", f/1e6)
	}
	return fmt.Sprintf("%.0f kB", f/1e3)
}
