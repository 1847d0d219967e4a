// Package ext4 reads the superblock of an ext4 file system, makes a small new
// one from an embedded seed, and lets the kernel grow a mounted one.
//
// Layout: Linux, Documentation/filesystems/ext4/super.rst. A box has no
// mkfs.ext4: the seed is one, made by Debian 12's e2fsprogs 1.47 (seed_test.go
// says how), and becomes as large as the disk by EXT4_IOC_RESIZE_FS.
// Tested against e2fsck and resize2fs 1.47, and on kernel 6.12 in a virtual
// machine.
package ext4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	superOffset = 1024
	superBytes  = 1024
	magic       = 0xef53
	// Behind the first block group lies the first copy of the superblock: with
	// blocks of 4 KiB, which every file system of more than 512 MB has.
	backupBlock = 32768
	commonBlock = 4096
	stateErrors = 2
	maxLogBlock = 6 // 64 KiB
	labelOffset = 0x78
	labelBytes  = 16
	uuidOffset  = 0x68

	csumOffset   = 0x3fc
	featIncompat = 0x60
	feat64Bit    = 0x80

	featCsum     = 0x400 // of the features that a reader may ignore for reading
	featROCompat = 0x64
)

// Errors that callers branch on.
var (
	// ErrNone: there is no ext4 superblock here.
	ErrNone = errors.New("no ext4 file system")
	// ErrTorn: there is one, but its checksum is wrong. The superblock spans two
	// sectors of 512 bytes, of which a power cut can leave one new and one old;
	// neither kernel nor e2fsck take it then, so that not even the journal is
	// replayed. See Reseal.
	ErrTorn = errors.New("torn ext4 superblock")
	// ErrTooSmall: the disk doesn't hold the seed.
	ErrTooSmall = errors.New("too small for a file system")
)

var le = binary.LittleEndian

// Super is what a superblock says.
type Super struct {
	Blocks    uint64
	BlockSize int64 // bytes
	Label     string
	// Errors is set once the kernel has met something wrong in the file system:
	// it needs a check, which its journal can't do.
	Errors bool
	Group  uint16 // block group of this copy of the superblock; 0 is the first
}

// Bytes is the file system's size.
func (s Super) Bytes() int64 { return int64(s.Blocks) * s.BlockSize }

// ReadSuper reads the first superblock of the file system that starts at 0. It
// is ErrNone where there is none, and ErrTorn with a wrong checksum.
func ReadSuper(r io.ReaderAt) (Super, error) { return readSuper(r, superOffset, 0) }

// ReadBackup reads the copy in the second block group, for a file system whose
// first block is lost.
func ReadBackup(r io.ReaderAt) (Super, error) { return readSuper(r, backupBlock*commonBlock, 1) }

// BackupArgs tell e2fsck to use that copy.
func BackupArgs() []string {
	return []string{"-b", fmt.Sprint(backupBlock), "-B", fmt.Sprint(commonBlock)}
}

func readSuper(r io.ReaderAt, at int64, group uint16) (Super, error) {
	var b [superBytes]byte
	if _, err := r.ReadAt(b[:], at); errors.Is(err, io.EOF) {
		return Super{}, ErrNone
	} else if err != nil {
		return Super{}, fmt.Errorf("superblock at %d: %w", at, err)
	}
	s, err := parseSuper(b[:])
	if err != nil {
		return Super{}, err
	}
	if s.Group != group {
		return Super{}, fmt.Errorf("%w: a superblock of block group %d, want %d", ErrNone, s.Group, group)
	}
	return s, nil
}

func parseSuper(b []byte) (Super, error) {
	logBlock := le.Uint32(b[0x18:])
	if le.Uint16(b[0x38:]) != magic || logBlock > maxLogBlock {
		return Super{}, ErrNone
	}
	s := Super{
		Blocks:    uint64(le.Uint32(b[0x04:])),
		BlockSize: 1024 << logBlock,
		Label:     string(bytes.TrimRight(b[labelOffset:labelOffset+labelBytes], "\x00")),
		Errors:    le.Uint16(b[0x3a:])&stateErrors != 0,
		Group:     le.Uint16(b[0x5a:]),
	}
	if le.Uint32(b[featIncompat:])&feat64Bit != 0 {
		s.Blocks |= uint64(le.Uint32(b[0x150:])) << 32
	}
	if s.Blocks == 0 || s.Blocks > 1<<48 {
		return Super{}, fmt.Errorf("%w: %d blocks", ErrNone, s.Blocks)
	}
	if le.Uint32(b[featROCompat:])&featCsum != 0 && le.Uint32(b[csumOffset:]) != superSum(b) {
		return Super{}, ErrTorn
	}
	return s, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// superSum is the checksum over all before it: CRC-32C without the last
// inversion.
func superSum(b []byte) uint32 { return ^crc32.Checksum(b[:csumOffset], castagnoli) }

// Reseal gives a torn first superblock the checksum of what it holds. It is good
// enough for e2fsck, which must run next: both halves were right once, the
// journal brings most of the newer one, and counts are counted anew.
func Reseal(d interface {
	io.ReaderAt
	Device
}) error {
	b := make([]byte, commonBlock) // the least that may be written to any disk
	if _, err := d.ReadAt(b, 0); err != nil {
		return err
	}
	super := b[superOffset:][:superBytes]
	if _, err := parseSuper(super); !errors.Is(err, ErrTorn) {
		return err
	}
	le.PutUint32(super[csumOffset:], superSum(super))
	if _, err := d.WriteAt(b, 0); err != nil {
		return err
	}
	return d.Sync()
}
