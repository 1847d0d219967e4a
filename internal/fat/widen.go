package fat

import "fmt"

// WidenRoot makes room for that many more entries in the root folder, which
// gok makes as small as its files allow: a name takes one entry, and one more
// for each 13 characters if it isn't 8.3 in capitals. There are as many if none
// were missing before.
//
// A FAT16's root folder can't grow at its end, where the data begins. So table
// and folder move to the front, over reserved sectors that nobody uses but the
// first. gok keeps more because a Raspberry Pi 3 wants them, so they are taken
// only when there is need. The file system must not be in use: between the two
// writes it is none.
func WidenRoot(p ReadWriterAt, free int) error {
	f, err := openFAT16(p)
	if err != nil {
		return err
	}
	var b [sector]byte
	if _, err := p.ReadAt(b[:], 0); err != nil {
		return err
	}
	unit := int64(le.Uint16(b[11:]))
	moved := make([]byte, f.data-unit) // all between boot sector and data
	start := int64(le.Uint16(b[14:])) * unit
	if start < unit || start > f.root {
		return ErrNoFAT16
	}
	if _, err := p.ReadAt(moved[:f.data-start], start); err != nil {
		return err
	}
	if f.freeEntries(moved[f.root-start:f.data-start]) >= free {
		return nil
	}
	root := f.root - start + unit
	entries := int((f.data - root) / 32)
	if n := f.freeEntries(moved[root-unit:]); n < free || entries > 1<<16-1 {
		return fmt.Errorf("the root folder has room for %d more entries at most; %d are wanted", n, free)
	}
	if _, err := p.WriteAt(moved, unit); err != nil {
		return err
	}
	le.PutUint16(b[14:], 1)
	le.PutUint16(b[17:], uint16(entries))
	_, err = p.WriteAt(b[:], 0)
	return err
}

// freeEntries counts the entries behind the last; those that were deleted stay
// deleted, since a long name wants some side by side.
func (f *fat16) freeEntries(folder []byte) (n int) {
	for i := 0; i+32 <= len(folder); i += 32 {
		if n++; folder[i] != 0 {
			n = 0
		}
	}
	return n
}
