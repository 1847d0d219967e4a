package perm

import (
	"bytes"
	"slices"
	"testing"
)

func FuzzReadTable(f *testing.F) {
	was := gokrazyTable(oldSectors)
	good := slices.Concat(make([]byte, sector), was.sealed(1, oldSectors-1, entriesLBA), was.entries)
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newLayered(append(b, make([]byte, (sector-len(b)%sector)%sector)...))
		table, err := readTable(d, 1)
		if err != nil {
			return
		}
		if back := table.sealed(1, table.other(), table.entriesAt()); !bytes.Equal(back[:headerBytes], table.header[:]) {
			t.Error("the header changes when it is written again")
		}
		_, _, _ = growTable(d, uint64(len(d.base))/sector, 4)
	})
}
