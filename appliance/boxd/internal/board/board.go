// Package board reads how the machine under a box is, from what Linux shows in
// /sys and /proc: temperature, supply voltage, network link, room on a disk.
//
// What can't be read is unknown and says why; what this machine has nothing of
// is not applicable. Nothing is well only because nobody could tell.
//
// Tested on made-up trees; read on QEMU's virt machine with kernel.rpi 6.12,
// where there is neither a thermal zone nor a voltage sensor.
package board

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/openvideobox/videobox/appliance/internal/restart"
	"github.com/openvideobox/videobox/internal/metrics"
)

// Board is a machine, by the folder where its /sys and /proc are.
type Board struct{ Root string }

// System is this machine.
var System = Board{"/"}

// IsBox says whether this is a videobox image.
func (b Board) IsBox() bool {
	return restart.IsBox(b.Root)
}

func (b Board) path(name string) string { return filepath.Join(b.Root, name) }

// glob lists files below the root, sorted.
func (b Board) glob(pattern string) []string {
	list, _ := filepath.Glob(b.path(pattern)) // the only error is a bad pattern
	return list
}

// attribute is a file of sysfs: one line of text. A real one has at most a
// page; more is not read.
func attribute(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	buf := make([]byte, 4096)
	n, err := f.Read(buf)
	if n == 0 && err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if n == 0 {
		return "", fmt.Errorf("%s is empty", path)
	}
	return strings.TrimSpace(string(buf[:n])), nil
}

// number reads an attribute that is a decimal number from low to high.
func number(path string, low, high int64) (int64, error) {
	text, err := attribute(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%s says %.40q, a number from %d to %d is expected", path, text, low, high)
	}
	return n, nil
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

func unknown(err error) metrics.Finding {
	return metrics.Finding{State: metrics.Unknown, Cause: "unknown: " + err.Error()}
}

func notApplicable(why string) metrics.Finding {
	return metrics.Finding{State: metrics.NotApplicable, Cause: "not applicable: " + why}
}
