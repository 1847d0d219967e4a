package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// wear is how worn a card says it is: of e.MMC devices, EXT_CSD's
// DEVICE_LIFE_TIME_EST and PRE_EOL_INFO (JEDEC JESD84-B51, 7.4.32 to 7.4.34), as
// Linux shows them (drivers/mmc/core/mmc.c). SD cards and most disks don't tell.
type wear struct {
	Device      string `json:"device"`       // mmcblk0
	UsedPercent int    `json:"used_percent"` // of its life, rounded up to ten; over 100 is past it
	Reserve     string `json:"reserve"`      // normal, warning (80 % used up), urgent
}

var reserves = map[int64]string{1: "normal", 2: "warning", 3: "urgent"}

// wearOf asks for the device below a directory. It is nil where none tells.
func wearOf(sys, dir string) *wear {
	return readWear(deviceOf(sys, dir))
}

// deviceOf is the block device, maybe a partition, below a directory, in sysfs;
// "" where there is none. The directory need not be there yet.
func deviceOf(sys, dir string) string {
	for ; dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		var s unix.Stat_t
		if unix.Stat(dir, &s) != nil {
			continue
		}
		path, err := filepath.EvalSymlinks(filepath.Join(sys, "dev/block", fmt.Sprintf("%d:%d", unix.Major(s.Dev), unix.Minor(s.Dev))))
		if err != nil {
			return ""
		}
		return path
	}
	return ""
}

// readWear reads it of a device in sysfs.
func readWear(path string) *wear {
	if _, err := os.Stat(filepath.Join(path, "partition")); err == nil {
		path = filepath.Dir(path)
	}
	life, err := os.ReadFile(filepath.Join(path, "device/life_time"))
	if err != nil {
		return nil
	}
	w := &wear{Device: filepath.Base(path)}
	for _, f := range strings.Fields(string(life)) { // of the two kinds of cells the one more worn
		n, err := strconv.ParseInt(f, 0, 16)
		if err != nil || n < 1 || n > 11 {
			continue // 0: not defined
		}
		w.UsedPercent = max(w.UsedPercent, int(n)*10)
	}
	eol, _ := os.ReadFile(filepath.Join(path, "device/pre_eol_info"))
	n, _ := strconv.ParseInt(strings.TrimSpace(string(eol)), 0, 16)
	if w.Reserve = reserves[n]; w.Reserve == "" && w.UsedPercent == 0 {
		return nil
	}
	return w
}

// worn says what is to be done about it, if anything.
func (w *wear) worn() string {
	switch {
	case w == nil:
		return ""
	case w.Reserve == "urgent" || w.UsedPercent > 100:
		return w.Device + " is worn out: replace it before the next event"
	case w.Reserve == "warning":
		return w.Device + " has used up 80 % of its spare blocks"
	}
	return ""
}
