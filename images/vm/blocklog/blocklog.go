// Package blocklog reads logs of what was written to a disk, and makes the disk
// as a power cut at any point can have left it.
//
// The format is that of Linux' dm-log-writes (drivers/md/dm-log-writes.c, struct
// log_write_super and log_write_entry), which QEMU's block driver blklogwrites
// writes too: see vm.Config.Log. All numbers are little-endian:
//
//	super block, one sector:  0 magic u64 | 8 version u64 | 16 entries u64 | 24 sector size u32
//	entry, one sector:        0 sector u64 | 8 sectors u64 | 16 flags u64 | 24 bytes of text u64 | text
//	its data                  sectors, unless it is a discard
//
// A disk keeps what was written before a completed flush. Of what came after it
// any part may be there, in pieces of 512 bytes, in any order. That is harsher
// than most cards and exact for none: a card whose own tables are torn by a
// power cut loses what was written long before.
//
// Tested on logs of QEMU 7.2.
package blocklog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

const (
	magic   = 0x6a736677736872
	version = 1
	// maxWrite is more than QEMU and Linux write at once.
	maxWrite = 64 << 20
	// piece is what a disk writes as a whole or not at all.
	piece = 512
)

// Flags of an entry.
const (
	flush   = 1 // all before it is on the disk, and then it is written
	fua     = 2 // on the disk when it is completed
	discard = 4
	mark    = 8 // text for the reader
)

var le = binary.LittleEndian

// ErrFormat: it is no log of writes.
var ErrFormat = errors.New("no log of writes")

// Entry is one request to the disk.
type Entry struct {
	Offset, Length int64 // on the disk, in bytes; 0, 0 for a flush alone
	Flush          bool  // what came before was on the disk before it
	FUA            bool  // is on the disk when completed
	Discard        bool  // without data

	data int64 // where in the log its data is
	end  int64 // where in the log it ends
}

// Log is a log that has been read.
type Log struct {
	Entries []Entry
	r       io.ReaderAt
}

// Read reads a log. Entries that come after the last one counted in the super
// block, which is written at each flush, are left out; so is one that is cut
// off at the end.
func Read(r io.ReaderAt) (*Log, error) {
	var super [28]byte
	if _, err := r.ReadAt(super[:], 0); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	size := int64(le.Uint32(super[24:]))
	switch {
	case le.Uint64(super[0:]) != magic:
		return nil, fmt.Errorf("%w: starts with %#x, want %#x", ErrFormat, le.Uint64(super[0:]), uint64(magic))
	case le.Uint64(super[8:]) != version:
		return nil, fmt.Errorf("%w: version %d, want %d", ErrFormat, le.Uint64(super[8:]), version)
	case size < piece || size > 4096 || size%piece != 0:
		return nil, fmt.Errorf("%w: sectors of %d bytes", ErrFormat, size)
	}
	l := &Log{r: r}
	at := size
	for n := le.Uint64(super[16:]); n > 0; n-- {
		e, err := readEntry(r, at, size)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", len(l.Entries), err)
		}
		l.Entries = append(l.Entries, e)
		at = e.end
	}
	return l, nil
}

func readEntry(r io.ReaderAt, at, size int64) (Entry, error) {
	var b [32]byte
	if _, err := r.ReadAt(b[:], at); err != nil {
		return Entry{}, err
	}
	sector, sectors, flags := le.Uint64(b[0:]), le.Uint64(b[8:]), le.Uint64(b[16:])
	if sector > math.MaxInt64/4096-1<<40 || sectors > 1<<40 || sectors*uint64(size) > maxWrite && flags&discard == 0 {
		return Entry{}, fmt.Errorf("%w: %d sectors at %d", ErrFormat, sectors, sector)
	}
	e := Entry{
		Offset: int64(sector) * size, Length: int64(sectors) * size,
		Flush: flags&flush != 0, FUA: flags&fua != 0, Discard: flags&discard != 0,
		data: at + size, end: at + size,
	}
	if flags&mark != 0 {
		e.Length = 0
	}
	if e.Discard || e.Length == 0 {
		return e, nil
	}
	e.end += e.Length
	var last [1]byte
	if _, err := r.ReadAt(last[:], e.end-1); err != nil {
		return Entry{}, err // cut off
	}
	return e, nil
}

// At is how many entries a log had when its file was that long.
func (l *Log) At(bytes int64) int {
	low, high := 0, len(l.Entries)
	for low < high {
		if mid := (low + high) / 2; l.Entries[mid].end <= bytes {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// Flushed is how many of the first n entries are on the disk for certain, if
// power is cut after n.
func (l *Log) Flushed(n int) int {
	for i := n - 1; i >= 0; i-- {
		if l.Entries[i].Flush {
			return i
		}
	}
	return 0
}

// End is how long the log's file was after the first n entries.
func (l *Log) End(n int) int64 {
	if n == 0 {
		return piece
	}
	return l.Entries[n-1].end
}
