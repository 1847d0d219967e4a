package fat

import (
	"fmt"
	"io"
)

// ReadWriterAt is a disk or partition that can be written to.
type ReadWriterAt interface {
	io.ReaderAt
	io.WriterAt
}

// ExtendFAT16 makes a FAT16 file system as large as its table and its partition
// allow, and says how many bytes that adds. gok makes it exactly as large as
// the files in it, so that nobody could put one more there; its table, whole
// sectors of 256 clusters, has room for some. Only one sector is written: the
// one with the size.
//
//	19 sectors u16, 0 if too many for it | 32 sectors u32
func ExtendFAT16(p ReadWriterAt, bytes int64) (added int64, err error) {
	f, err := openFAT16(p)
	if err != nil {
		return 0, err
	}
	var b [sector]byte
	if _, err := p.ReadAt(b[:], 0); err != nil {
		return 0, err
	}
	unit := int64(le.Uint16(b[11:]))
	now := int64(le.Uint16(b[19:]))
	if now == 0 {
		now = int64(le.Uint32(b[32:]))
	}
	const most = 65524 // clusters; from one more on it would be FAT32
	clusters := min(int64(len(f.table)/2)-2, most, (bytes-f.data)/f.cluster)
	want := (f.data + clusters*f.cluster) / unit
	if want <= now {
		return 0, nil
	}
	if want > 1<<32-1 {
		return 0, fmt.Errorf("a FAT16 of %d sectors", want)
	}
	le.PutUint16(b[19:], 0)
	le.PutUint32(b[32:], uint32(want))
	if want < 1<<16 {
		le.PutUint16(b[19:], uint16(want))
		le.PutUint32(b[32:], 0)
	}
	if _, err := p.WriteAt(b[:], 0); err != nil {
		return 0, err
	}
	return (want - now) * unit, nil
}
