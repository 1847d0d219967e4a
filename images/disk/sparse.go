package disk

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// CopySparse copies size bytes of a file from start on to the start of another,
// which ought to be empty: only what isn't a hole, so that a card's image costs
// what is on it.
func CopySparse(to, from *os.File, start, size int64) error {
	for at := start; at < start+size; {
		data, err := unix.Seek(int(from.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) || err == nil && data >= start+size {
			break // only a hole is left
		}
		if err != nil {
			return fmt.Errorf("%s: %w", from.Name(), err)
		}
		hole, err := unix.Seek(int(from.Fd()), data, unix.SEEK_HOLE)
		if err != nil {
			return fmt.Errorf("%s: %w", from.Name(), err)
		}
		at = min(hole, start+size)
		if _, err := io.Copy(io.NewOffsetWriter(to, data-start), io.NewSectionReader(from, data, at-data)); err != nil {
			return err
		}
	}
	return to.Truncate(size)
}
