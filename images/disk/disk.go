// Package disk reads disk images as gokrazy makes them: the partition table
// (GPT, UEFI specification 2.10, 5.3), and the size of a root file system
// (SquashFS 4.0).
//
// It needs no mount and so no root, and writes nothing but files of the boot
// partition (Boot). Tested on images made by gokrazy/tools.
package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const sector = 512

var le = binary.LittleEndian

// Partition is one entry of the table.
type Partition struct {
	Number      int // as in /dev/sda1
	Start, Size int64
}

// Reader reads the partition alone.
func (p Partition) Reader(disk io.ReaderAt) *io.SectionReader {
	return io.NewSectionReader(disk, p.Start, p.Size)
}

// Errors that say that something isn't what it is taken for.
var (
	ErrNoGPT      = errors.New("no GPT partition table")
	ErrNoSquashFS = errors.New("no SquashFS")
)

// Partitions reads the table at the disk's start.
func Partitions(disk io.ReaderAt) ([]Partition, error) {
	var head [92]byte
	if _, err := disk.ReadAt(head[:], sector); err != nil {
		return nil, fmt.Errorf("partition table: %w", err)
	}
	if !bytes.HasPrefix(head[:], []byte("EFI PART")) {
		return nil, ErrNoGPT
	}
	at, n, size := le.Uint64(head[72:]), le.Uint32(head[80:]), le.Uint32(head[84:])
	if n > 128 || size < 128 || size > 4096 || at > 1<<40 {
		return nil, fmt.Errorf("%w: %d entries of %d bytes", ErrNoGPT, n, size)
	}
	table := make([]byte, n*size)
	if _, err := disk.ReadAt(table, int64(at)*sector); err != nil {
		return nil, fmt.Errorf("partition table: %w", err)
	}
	var list []Partition
	for i := range int(n) {
		e := table[i*int(size):]
		first, last := le.Uint64(e[32:]), le.Uint64(e[40:])
		if bytes.Equal(e[:16], make([]byte, 16)) {
			continue // unused
		}
		if last < first || last > 1<<40 {
			return nil, fmt.Errorf("%w: partition %d from %d to %d", ErrNoGPT, i+1, first, last)
		}
		list = append(list, Partition{i + 1, int64(first) * sector, int64(last-first+1) * sector})
	}
	return list, nil
}

// Find is the partition of that number on a disk.
func Find(disk io.ReaderAt, number int) (Partition, error) {
	list, err := Partitions(disk)
	if err != nil {
		return Partition{}, err
	}
	for _, p := range list {
		if p.Number == number {
			return p, nil
		}
	}
	return Partition{}, fmt.Errorf("no partition %d", number)
}

// SquashFSSize is how many bytes of the partition a SquashFS fills.
func SquashFSSize(r io.ReaderAt) (int64, error) {
	var super [96]byte
	if _, err := r.ReadAt(super[:], 0); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNoSquashFS, err)
	}
	if string(super[:4]) != "hsqs" {
		return 0, ErrNoSquashFS
	}
	return int64(le.Uint64(super[40:])), nil
}
