package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// maxFile is the most that ReadFile reads: a kernel is a quarter of it.
const maxFile = 128 << 20

// fat16 is where things are in a FAT16 file system, in bytes.
type fat16 struct {
	r          io.ReaderAt
	table      []byte // the first FAT: two bytes a cluster
	root, data int64
	entries    int // of the root folder
	cluster    int64
}

// ReadFile reads a file of the root folder, such as "cmdline.txt".
func ReadFile(partition io.ReaderAt, name string) ([]byte, error) {
	f, err := openFAT16(partition)
	if err != nil {
		return nil, err
	}
	first, size, err := f.find(name)
	if err != nil {
		return nil, err
	}
	if size > maxFile {
		return nil, fmt.Errorf("%s: %d bytes, more than the %d allowed", name, size, maxFile)
	}
	data, err := f.read(first, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
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

// find looks a name up in the root folder.
func (f *fat16) find(name string) (first uint16, size int64, err error) {
	root := make([]byte, 32*f.entries)
	if _, err := f.r.ReadAt(root, f.root); err != nil {
		return 0, 0, fmt.Errorf("root folder: %w", err)
	}
	const label, folder, longName = 0x08, 0x10, 0x0f
	for ; len(root) > 0 && root[0] != 0; root = root[32:] {
		e := root[:32]
		if e[0] == 0xe5 || e[11]&0x3f == longName || e[11]&(label|folder) != 0 {
			continue
		}
		if strings.EqualFold(shortName(e), name) {
			return le.Uint16(e[26:]), int64(le.Uint32(e[28:])), nil
		}
	}
	return 0, 0, &fs.PathError{Op: "find on the boot partition", Path: name, Err: fs.ErrNotExist}
}

// shortName is an entry's name of 8.3 characters.
func shortName(e []byte) string {
	name, ext := strings.TrimRight(string(e[:8]), " "), strings.TrimRight(string(e[8:11]), " ")
	if ext == "" {
		return name
	}
	return name + "." + ext
}

// read follows a file's chain of clusters.
func (f *fat16) read(first uint16, size int64) ([]byte, error) {
	if most := int64(len(f.table)/2) * f.cluster; size > most {
		return nil, fmt.Errorf("%d bytes, more than the %d of the file system", size, most)
	}
	out := make([]byte, 0, size)
	for c := int(first); size > 0; {
		if c < 2 || 2*c+2 > len(f.table) {
			return nil, errors.New("its chain of clusters ends too early")
		}
		n := min(size, f.cluster)
		out = out[:len(out)+int(n)]
		if _, err := f.r.ReadAt(out[len(out)-int(n):], f.data+int64(c-2)*f.cluster); err != nil {
			return nil, err
		}
		size -= n
		c = int(le.Uint16(f.table[2*c:]))
	}
	return out, nil
}
