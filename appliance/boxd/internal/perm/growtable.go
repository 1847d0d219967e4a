package perm

import (
	"bytes"
	"fmt"
)

// minGrowth is how many sectors must be won for a partition to be grown.
const minGrowth = 1 << 20 / sector

// span is where a partition is, in bytes.
type span struct{ Start, Size int64 }

// growTable makes a partition reach up to the end of the disk of that many
// sectors, and moves the table's copy there. It also completes what a power cut
// left half done, and writes one of the two tables anew where it is damaged.
// It says where the partition is now, and whether something was written.
//
// Linux reads only the first table (the copy only with the kernel's parameter
// gpt), so that one must be whole at every moment. It is: header and entries
// are never changed together. The copy comes first; then the entries go to a
// free place, the header, a single sector, is pointed at them, the entries go
// to their usual place, and the header back. Each step is flushed before the
// next. Other partitions are never changed.
func growTable(d Disk, sectors uint64, number int) (s span, changed bool, err error) {
	if sectors < 2*firstUsable {
		return s, false, fmt.Errorf("%w: a disk of %d sectors", errLayout, sectors)
	}
	first, now, err := readTables(d, sectors)
	if err != nil {
		return s, false, err
	}
	want, err := grown(now, sectors, number)
	if err != nil {
		return s, false, err
	}
	from, to, _ := want.span(number)
	s = span{int64(from) * sector, int64(to-from+1) * sector}
	steps := []func(Disk, *table, *table, uint64) (bool, error){writeBackup, writeFirst, writeProtective}
	for _, step := range steps {
		wrote, err := step(d, first, want, sectors)
		if err != nil {
			return s, changed, fmt.Errorf("writing the partition table: %w", err)
		}
		changed = changed || wrote
	}
	return s, changed, nil
}

// grown is the table as it ought to be.
func grown(now *table, sectors uint64, number int) (*table, error) {
	_, last, ok := now.span(number)
	if !ok {
		return nil, fmt.Errorf("%w: no partition %d", errLayout, number)
	}
	want := &table{header: now.header, entries: bytes.Clone(now.entries)}
	lastUsable := sectors - entrySpan - 2
	for n := 1; n <= len(now.entries)/entryBytes; n++ {
		from, to, used := now.span(n)
		switch {
		case !used:
		case from < firstUsable:
			return nil, fmt.Errorf("%w: partition %d starts at sector %d, want %d or more", errLayout, n, from, firstUsable)
		case to > lastUsable:
			return nil, fmt.Errorf("%w: partition %d ends at sector %d, behind the disk's end", errLayout, n, to)
		case n != number && from > last:
			lastUsable = min(lastUsable, last) // somebody's partition is in the way
		}
	}
	if lastUsable >= last+minGrowth {
		le.PutUint64(want.entry(number)[40:], lastUsable)
	}
	want.set(40, max(now.u64(40), firstUsable))
	want.set(48, sectors-entrySpan-2)
	return want, nil
}

func writeBackup(d Disk, _, want *table, sectors uint64) (bool, error) {
	entries, header := sectors-1-entrySpan, want.sealed(sectors-1, 1, sectors-1-entrySpan)
	if there, err := readTable(d, sectors-1); err == nil && bytes.Equal(there.header[:], header[:headerBytes]) {
		return false, nil
	}
	if err := writeFlushed(d, entries, want.entries); err != nil {
		return true, err
	}
	return true, writeFlushed(d, sectors-1, header)
}

func writeFirst(d Disk, first, want *table, sectors uint64) (bool, error) {
	header := want.sealed(1, sectors-1, entriesLBA)
	if first != nil && bytes.Equal(first.header[:], header[:headerBytes]) {
		return false, nil
	}
	usual := make([]byte, len(want.entries))
	if _, err := d.ReadAt(usual, entriesLBA*sector); err != nil {
		return false, err
	}
	if !bytes.Equal(usual, want.entries) {
		if first != nil && first.entriesAt() < spareLBA { // the place is in use
			if err := writeFlushed(d, spareLBA, want.entries); err != nil {
				return true, err
			}
			if err := writeFlushed(d, 1, want.sealed(1, sectors-1, spareLBA)); err != nil {
				return true, err
			}
		}
		if err := writeFlushed(d, entriesLBA, want.entries); err != nil {
			return true, err
		}
	}
	return true, writeFlushed(d, 1, header)
}

func writeProtective(d Disk, _, _ *table, sectors uint64) (bool, error) {
	mbr, changed, err := protective(d, sectors)
	if err != nil || !changed {
		return false, err
	}
	return true, writeFlushed(d, 0, mbr)
}

func writeFlushed(d Disk, lba uint64, b []byte) error {
	if _, err := d.WriteAt(b, int64(lba)*sector); err != nil {
		return err
	}
	return d.Sync()
}

// readTables reads the first table, or nil where it is damaged, and the one to
// go by: the first, else its copy.
func readTables(d Disk, sectors uint64) (first, now *table, err error) {
	first, err = readTable(d, 1)
	if err != nil {
		now, berr := readTable(d, sectors-1)
		if berr != nil {
			return nil, nil, fmt.Errorf("%w; its copy: %w", err, berr)
		}
		return nil, now, nil
	}
	if at := first.entriesAt(); at != entriesLBA && at != spareLBA {
		return nil, nil, fmt.Errorf("%w: entries at sector %d, want %d", errLayout, at, entriesLBA)
	}
	return first, first, nil
}
