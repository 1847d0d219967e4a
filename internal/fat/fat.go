// Package fat reads files of a FAT16 file system (Microsoft's FAT specification
// of 2000, with long names), overwrites small ones in place, and makes a file
// system as large as its table allows. That is what is needed of boot
// partitions: no mount and so no root, and nothing that others who know where a
// file lies, as gokrazy's init does, would not find again.
//
// Tested on file systems made by gokrazy/tools and by mkfs.vfat.
package fat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode/utf16"
)

const (
	sector = 512
	// maxFile is the most that ReadFile reads: a kernel is less than half of it.
	maxFile = 128 << 20
	// maxFolder bounds a folder's entries, as bytes.
	maxFolder = 2 << 20
)

var le = binary.LittleEndian

// ErrNoFAT16 says that a partition holds something else.
var ErrNoFAT16 = errors.New("no FAT16 file system")

// fat16 is where things are in a FAT16 file system, in bytes.
type fat16 struct {
	r          io.ReaderAt
	table      []byte // the first FAT: two bytes a cluster
	root, data int64
	entries    int // of the root folder
	cluster    int64
}

// File is where a file is: from an offset of the partition on, if it lies in
// one piece.
type File struct {
	Size  int64 // bytes
	first uint16
	fs    *fat16
}

// ReadFile reads a file whole, such as "cmdline.txt" or "loader/entries/gokrazy.conf".
func ReadFile(partition io.ReaderAt, path string) ([]byte, error) {
	f, err := Find(partition, path)
	if err != nil {
		return nil, err
	}
	if f.Size > maxFile {
		return nil, fmt.Errorf("%s: %d bytes, more than the %d allowed", path, f.Size, maxFile)
	}
	data := make([]byte, 0, min(f.Size, 64<<20))
	err = f.pieces(func(at, n int64) error {
		data = append(data, make([]byte, n)...)
		_, err := partition.ReadAt(data[int64(len(data))-n:], at)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// Find looks a file up.
func Find(partition io.ReaderAt, path string) (File, error) {
	f, err := openFAT16(partition)
	if err != nil {
		return File{}, err
	}
	folder := make([]byte, 32*f.entries)
	if _, err := f.r.ReadAt(folder, f.root); err != nil {
		return File{}, fmt.Errorf("root folder: %w", err)
	}
	for {
		name, rest, more := strings.Cut(path, "/")
		first, size, ok := lookUp(folder, name, more)
		if !ok {
			return File{}, &fs.PathError{Op: "find on the boot partition", Path: path, Err: fs.ErrNotExist}
		}
		if !more {
			return File{size, first, f}, nil
		}
		if folder, err = f.folder(first); err != nil {
			return File{}, fmt.Errorf("folder %s: %w", name, err)
		}
		path = rest
	}
}

// Write copies the file's bytes, without holding all of them.
func (f File) Write(to io.Writer) error {
	return f.pieces(func(at, n int64) error {
		_, err := io.Copy(to, io.NewSectionReader(f.fs.r, at, n))
		return err
	})
}

// Offset is where in the partition a file begins that lies in one cluster, so
// that it may be overwritten there.
func (f File) Offset() (int64, error) {
	if f.Size <= 0 || f.Size > f.fs.cluster || f.first < 2 {
		return 0, fmt.Errorf("%d bytes don't lie in one cluster of %d", f.Size, f.fs.cluster)
	}
	return f.fs.data + int64(f.first-2)*f.fs.cluster, nil
}

// openFAT16 reads the BIOS parameter block.
//
//	11 bytes a sector u16 | 13 sectors a cluster u8 | 14 reserved sectors u16
//	16 tables u8 | 17 root entries u16 | 22 sectors a table u16
func openFAT16(r io.ReaderAt) (*fat16, error) {
	var b [sector]byte
	if _, err := r.ReadAt(b[:], 0); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoFAT16, err)
	}
	bytes, perCluster := int64(le.Uint16(b[11:])), int64(b[13])
	reserved, tables, perTable := int64(le.Uint16(b[14:])), int64(b[16]), int64(le.Uint16(b[22:]))
	f := &fat16{r: r, entries: int(le.Uint16(b[17:])), cluster: bytes * perCluster}
	if le.Uint16(b[510:]) != 0xaa55 || bytes < sector || bytes > 4096 || perCluster == 0 || tables == 0 || perTable == 0 || f.entries == 0 {
		return nil, ErrNoFAT16
	}
	f.root = (reserved + tables*perTable) * bytes
	f.data = f.root + (int64(f.entries)*32+bytes-1)/bytes*bytes
	f.table = make([]byte, perTable*bytes)
	if _, err := r.ReadAt(f.table, reserved*bytes); err != nil {
		return nil, fmt.Errorf("%w: its table: %w", ErrNoFAT16, err)
	}
	return f, nil
}

// lookUp looks a name up in a folder's entries.
func lookUp(entries []byte, name string, folder bool) (first uint16, size int64, ok bool) {
	const label, isFolder, longName = 0x08, 0x10, 0x0f
	var long string
	for ; len(entries) >= 32 && entries[0] != 0; entries = entries[32:] {
		e := entries[:32]
		switch {
		case e[0] == 0xe5:
			long = ""
		case e[11]&0x3f == longName:
			long = longPart(e) + long // the last part comes first
		case e[11]&label == 0 && (e[11]&isFolder != 0) == folder && (strings.EqualFold(shortName(e), name) || strings.EqualFold(long, name)):
			return le.Uint16(e[26:]), int64(le.Uint32(e[28:])), true
		default:
			long = ""
		}
	}
	return 0, 0, false
}

// shortName is an entry's name of 8.3 characters.
func shortName(e []byte) string {
	name, ext := strings.TrimRight(string(e[:8]), " "), strings.TrimRight(string(e[8:11]), " ")
	if ext == "" {
		return name
	}
	return name + "." + ext
}

// longPart are the thirteen characters of a long name that an entry holds.
func longPart(e []byte) string {
	var units []uint16
	for _, span := range [][2]int{{1, 11}, {14, 26}, {28, 32}} {
		for i := span[0]; i < span[1]; i += 2 {
			if u := le.Uint16(e[i:]); u != 0 && u != 0xffff {
				units = append(units, u)
			}
		}
	}
	return string(utf16.Decode(units))
}

// folder reads the entries of a folder, whose size nothing says.
func (f *fat16) folder(first uint16) ([]byte, error) {
	size := int64(0)
	for c := int(first); f.follows(c) && size < maxFolder; c = f.next(c) {
		size += f.cluster
	}
	entries := make([]byte, 0, size)
	err := File{size, first, f}.pieces(func(at, n int64) error {
		entries = append(entries, make([]byte, n)...)
		_, err := f.r.ReadAt(entries[int64(len(entries))-n:], at)
		return err
	})
	return entries, err
}

func (f *fat16) follows(cluster int) bool { return cluster >= 2 && 2*cluster+2 <= len(f.table) }
func (f *fat16) next(cluster int) int     { return int(le.Uint16(f.table[2*cluster:])) }

// pieces goes along a file's chain of clusters; those that lie side by side are
// one piece.
func (f File) pieces(each func(at, n int64) error) error {
	if most := int64(len(f.fs.table)/2) * f.fs.cluster; f.Size > most {
		return fmt.Errorf("%d bytes, more than the %d of the file system", f.Size, most)
	}
	for left, c := f.Size, int(f.first); left > 0; {
		if !f.fs.follows(c) {
			return errors.New("its chain of clusters ends too early")
		}
		at, n := f.fs.data+int64(c-2)*f.fs.cluster, min(left, f.fs.cluster)
		next := f.fs.next(c)
		for ; n < left && next == c+1 && f.fs.follows(next); next = f.fs.next(next) {
			n, c = min(left, n+f.fs.cluster), next
		}
		if err := each(at, n); err != nil {
			return err
		}
		left, c = left-n, next
	}
	return nil
}
