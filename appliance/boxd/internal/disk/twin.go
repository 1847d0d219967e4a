package disk

import (
	"io"
	"os"
	"path/filepath"
)

// partitionID is the unique GUID of a disk's first partition, which Linux calls
// its PARTUUID.
type partitionID [16]byte

// firstPartition reads it: the header, which begins with "EFI PART", is in
// sector 1, and the first entry, of which it is bytes 16 to 31, in sector 2
// (UEFI specification 2.10, 5.3.2 and 5.3.3), where gok puts it. Ok is false for
// a disk without such a table, or one that can't be read.
func (h host) firstPartition(name string) (id partitionID, ok bool) {
	const sector = 512
	f, err := os.Open(filepath.Join(h.dev, name))
	if err != nil {
		return id, false
	}
	defer f.Close()
	var table [2 * sector]byte
	if _, err := io.ReadFull(io.NewSectionReader(f, sector, int64(len(table))), table[:]); err != nil {
		return id, false
	}
	copy(id[:], table[sector+16:])
	return id, string(table[:8]) == "EFI PART" && id != partitionID{}
}

// twin says whether a disk was flashed from the same image as the box's own. gok
// makes the ids of the host name in the image, so both have the same, and the
// kernel takes its root from either.
func (h host) twin(name string) bool {
	own, ok := h.firstPartition(h.own())
	other, too := h.firstPartition(name)
	return ok && too && own == other
}

// Twin is a disk that was flashed from the same image as the box's own; "" if
// there is none.
func Twin(disks []Disk) string {
	for _, d := range disks {
		if d.Twin {
			return d.Name
		}
	}
	return ""
}
