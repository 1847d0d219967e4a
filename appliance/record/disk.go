package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
)

// errMoved ends record when a disk comes or goes: whoever starts it does so
// again, and it goes on in the other place from the box's buffered port.
var errMoved = errors.New("recordings go to another disk now: record starts again")

// place is where recordings go: onto the disk, if one is mounted.
func place(disk, dir string) string {
	if disk != "" && mounted(disk) {
		return filepath.Join(disk, "recordings")
	}
	return dir
}

// mounted says whether a directory is where a file system is mounted: it is on
// another device than what it lies in.
func mounted(dir string) bool {
	inside, err := os.Stat(dir)
	if err != nil {
		return false
	}
	outside, err := os.Stat(filepath.Dir(dir))
	if err != nil {
		return false
	}
	a, ok := inside.Sys().(*syscall.Stat_t)
	b, also := outside.Sys().(*syscall.Stat_t)
	return ok && also && a.Dev != b.Dev
}

// placeInterval is how often it is looked: what a box's buffered port repeats is
// all the time there is to move without a gap.
const placeInterval = 250 * time.Millisecond

// watchDisk ends when recordings would go elsewhere by now.
func watchDisk(ctx context.Context, clk clock.Clock, disk, dir string) error {
	began := place(disk, dir)
	for {
		if err := clock.Sleep(ctx, clk, placeInterval); err != nil {
			return err
		}
		if place(disk, dir) != began {
			return errMoved
		}
	}
}
