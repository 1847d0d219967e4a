package perm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

const (
	sector      = 512
	headerBytes = 92
	entryBytes  = 128
	maxEntries  = 128
	// The entries lie right behind the header. While they are written anew they
	// are read from the place behind that one.
	entriesLBA  = 2
	entrySpan   = maxEntries * entryBytes / sector
	spareLBA    = entriesLBA + entrySpan
	firstUsable = spareLBA + entrySpan
)

var le = binary.LittleEndian

// Errors that callers branch on.
var (
	ErrNoGPT  = errors.New("no GPT partition table")
	errLayout = errors.New("the partition table is none that can be grown")
)

// Disk is a whole disk, in sectors of 512 bytes. Sync must reach the medium.
type Disk interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// table is a GUID partition table: UEFI specification 2.10, 5.3.2, table 5-5.
//
//	 0 "EFI PART" | 8 revision u32 | 12 header size u32 | 16 header CRC-32 u32
//	24 own LBA u64 | 32 other header's LBA u64 | 40 first, 48 last usable LBA u64
//	56 disk GUID | 72 entries' LBA u64 | 80 their number u32 | 84 size of one u32
//	88 their CRC-32 u32
type table struct {
	header  [headerBytes]byte
	entries []byte
}

func (t *table) u64(at int) uint64       { return le.Uint64(t.header[at:]) }
func (t *table) set(at int, v uint64)    { le.PutUint64(t.header[at:], v) }
func (t *table) other() uint64           { return t.u64(32) }
func (t *table) entriesAt() uint64       { return t.u64(72) }
func (t *table) entry(number int) []byte { return t.entries[(number-1)*entryBytes:][:entryBytes] }

// span is a partition's first and last sector; ok says whether it is there.
func (t *table) span(number int) (first, last uint64, ok bool) {
	if number < 1 || number > len(t.entries)/entryBytes {
		return 0, 0, false
	}
	e := t.entry(number)
	first, last = le.Uint64(e[32:]), le.Uint64(e[40:])
	return first, last, !bytes.Equal(e[:16], make([]byte, 16)) && first <= last
}

// sealed is the header's sector for a place, with its checksums.
func (t *table) sealed(own, other, entries uint64) []byte {
	b := make([]byte, sector)
	copy(b, t.header[:])
	le.PutUint64(b[24:], own)
	le.PutUint64(b[32:], other)
	le.PutUint64(b[72:], entries)
	le.PutUint32(b[88:], crc32.ChecksumIEEE(t.entries))
	le.PutUint32(b[16:], 0)
	le.PutUint32(b[16:], crc32.ChecksumIEEE(b[:headerBytes]))
	return b
}

// readTable reads the table whose header is at that sector, and checks what
// Linux does (block/partitions/efi.c, is_gpt_valid).
func readTable(d io.ReaderAt, lba uint64) (*table, error) {
	t := &table{}
	if _, err := d.ReadAt(t.header[:], int64(lba)*sector); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: nothing at sector %d", ErrNoGPT, lba)
	} else if err != nil {
		return nil, fmt.Errorf("partition table at sector %d: %w", lba, err)
	}
	n, size := le.Uint32(t.header[80:]), le.Uint32(t.header[84:])
	blank := t.header
	clear(blank[16:20])
	switch {
	case !bytes.HasPrefix(t.header[:], []byte("EFI PART")):
		return nil, fmt.Errorf("%w at sector %d", ErrNoGPT, lba)
	case le.Uint32(t.header[12:]) != headerBytes || size != entryBytes || n == 0 || n > maxEntries:
		return nil, fmt.Errorf("%w: header of %d bytes, %d entries of %d, want %d, at most %d of %d",
			ErrNoGPT, le.Uint32(t.header[12:]), n, size, headerBytes, maxEntries, entryBytes)
	case crc32.ChecksumIEEE(blank[:]) != le.Uint32(t.header[16:]) || t.u64(24) != lba:
		return nil, fmt.Errorf("%w: the header at sector %d is damaged", ErrNoGPT, lba)
	case t.entriesAt() > math.MaxInt64/sector-1:
		return nil, fmt.Errorf("%w: entries at sector %d", ErrNoGPT, t.entriesAt())
	}
	t.entries = make([]byte, n*size)
	if _, err := d.ReadAt(t.entries, int64(t.entriesAt())*sector); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("partition table's entries: %w", err)
	}
	if crc32.ChecksumIEEE(t.entries) != le.Uint32(t.header[88:]) {
		return nil, fmt.Errorf("%w: the entries of the header at sector %d are damaged", ErrNoGPT, lba)
	}
	return t, nil
}

// protective is the classic table's record of a disk with GPT, 5.2.3. With
// other partitions beside it, as the Raspberry Pi's firmware needs one, it
// covers what lies before them and stays as it is; alone it covers the disk.
func protective(d io.ReaderAt, sectors uint64) (mbr []byte, changed bool, err error) {
	mbr = make([]byte, sector)
	if _, err := d.ReadAt(mbr, 0); err != nil {
		return nil, false, fmt.Errorf("partition table at sector 0: %w", err)
	}
	const at, kind = 446, 4
	alone := mbr[at+kind] == 0xee && bytes.Equal(mbr[at+16:at+64], make([]byte, 48))
	want := uint32(min(sectors-1, math.MaxUint32))
	if !alone || le.Uint32(mbr[at+8:]) != 1 || le.Uint32(mbr[at+12:]) == want {
		return mbr, false, nil
	}
	le.PutUint32(mbr[at+12:], want)
	return mbr, true, nil
}
