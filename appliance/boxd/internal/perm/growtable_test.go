package perm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"testing"
)

// A small card: the first partition starts where gokrazy puts it.
const (
	oldSectors = 40_000
	newSectors = 90_000
	partSize   = 5_000
	partsStart = 8192
)

// partition is an entry with a GUID of its own.
func partition(t *table, number int, first, last uint64) {
	e := t.entry(number)
	copy(e, bytes.Repeat([]byte{0x0f}, 16))
	copy(e[16:], bytes.Repeat([]byte{byte(number)}, 16))
	le.PutUint64(e[32:], first)
	le.PutUint64(e[40:], last)
}

// gokrazyTable is what gok makes for a disk of that many sectors.
func gokrazyTable(sectors uint64) *table {
	t := &table{entries: make([]byte, maxEntries*entryBytes)}
	copy(t.header[:], "EFI PART")
	le.PutUint32(t.header[8:], 0x10000)
	le.PutUint32(t.header[12:], headerBytes)
	le.PutUint32(t.header[80:], maxEntries)
	le.PutUint32(t.header[84:], entryBytes)
	t.set(40, 34)
	t.set(48, sectors-34)
	for n := 1; n <= 3; n++ {
		first := uint64(partsStart + (n-1)*partSize)
		partition(t, n, first, first+partSize-1)
	}
	partition(t, 4, partsStart+3*partSize, sectors-35)
	return t
}

// card is a disk's image with that table, made for oldSectors but as large as
// size.
func card(t *table, size uint64) []byte {
	b := make([]byte, size*sector)
	copy(b[sector:], t.sealed(1, oldSectors-1, entriesLBA))
	copy(b[entriesLBA*sector:], t.entries)
	copy(b[(oldSectors-33)*sector:], t.entries)
	copy(b[(oldSectors-1)*sector:], t.sealed(oldSectors-1, 1, oldSectors-33))
	return b
}

// layered is a disk of which only the changed sectors are copied.
type layered struct {
	base    []byte
	changed map[uint64][]byte
	log     []logged
}

// logged is one sector written; epoch counts the flushes before it.
type logged struct {
	lba   uint64
	data  []byte
	epoch int
}

func newLayered(base []byte) *layered { return &layered{base: base, changed: map[uint64][]byte{}} }

func (l *layered) ReadAt(p []byte, at int64) (n int, err error) {
	for n < len(p) {
		lba, in := uint64(at)/sector, int(at%sector)
		s := l.changed[lba]
		if s == nil {
			if at >= int64(len(l.base)) {
				return n, io.EOF
			}
			s = l.base[lba*sector:][:sector]
		}
		m := copy(p[n:], s[in:])
		n, at = n+m, at+int64(m)
	}
	return n, nil
}

func (l *layered) WriteAt(p []byte, at int64) (int, error) {
	if len(p)%sector != 0 || at%sector != 0 || at+int64(len(p)) > int64(len(l.base)) {
		return 0, fmt.Errorf("a write of %d bytes at %d", len(p), at)
	}
	epoch := l.epoch()
	for i := 0; i < len(p); i += sector {
		w := logged{uint64(at)/sector + uint64(i)/sector, bytes.Clone(p[i : i+sector]), epoch}
		l.log = append(l.log, w)
		l.changed[w.lba] = w.data
	}
	return len(p), nil
}

// A flush is a record without data.
func (l *layered) Sync() error {
	l.log = append(l.log, logged{epoch: l.epoch() + 1})
	return nil
}

func (l *layered) epoch() int {
	if len(l.log) == 0 {
		return 0
	}
	return l.log[len(l.log)-1].epoch
}

// cuts calls f with the disk as a power cut in each of the epochs can leave it:
// all before the epoch, and of it each first part, each sector alone, and
// random subsets.
func (l *layered) cuts(base []byte, f func(name string, d *layered)) {
	r := rand.New(rand.NewPCG(1, 2))
	byEpoch := make([][]logged, l.epoch()+1)
	for _, w := range l.log {
		if w.data != nil {
			byEpoch[w.epoch] = append(byEpoch[w.epoch], w)
		}
	}
	before := map[uint64][]byte{}
	for epoch, writes := range byEpoch {
		try := func(kind string, keep func(i int) bool) {
			d := newLayered(base)
			maps.Copy(d.changed, before)
			for i, w := range writes {
				if keep(i) {
					d.changed[w.lba] = w.data
				}
			}
			f(fmt.Sprintf("epoch %d, %s", epoch, kind), d)
		}
		for n := range len(writes) + 1 {
			try(fmt.Sprintf("the first %d", n), func(i int) bool { return i < n })
			try(fmt.Sprintf("only %d", n), func(i int) bool { return i == n })
		}
		for n := range 100 {
			try(fmt.Sprintf("subset %d", n), func(int) bool { return r.IntN(2) == 0 })
		}
		for _, w := range writes {
			before[w.lba] = w.data
		}
	}
}

// asLinux is what the kernel sees, without its parameter gpt: the first table.
// It says what is wrong with it.
func asLinux(d io.ReaderAt, was *table) error {
	t, err := readTable(d, 1)
	if err != nil {
		return err
	}
	if !bytes.Equal(t.entries[:3*entryBytes], was.entries[:3*entryBytes]) {
		return errors.New("partitions 1 to 3 have changed")
	}
	start, _, _ := was.span(4)
	first, last, ok := t.span(4)
	if !ok || first != start || last != oldSectors-35 && last != newSectors-entrySpan-2 {
		return fmt.Errorf("partition 4 is from %d to %d", first, last)
	}
	var usual [sector]byte
	if _, err := d.ReadAt(usual[:], entriesLBA*sector); err != nil {
		return err
	}
	for n := range 4 { // gokrazy's init looks here, whatever the header says
		if !bytes.Equal(usual[n*entryBytes+16:][:16], was.entry(n + 1)[16:32]) {
			return fmt.Errorf("init finds another GUID for partition %d", n+1)
		}
	}
	return nil
}

// grownWhole says what is missing in a table that has been grown.
func grownWhole(d Disk, was *table) error {
	if err := asLinux(d, was); err != nil {
		return err
	}
	first, err := readTable(d, 1)
	if err != nil {
		return err
	}
	second, err := readTable(d, newSectors-1)
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	_, last, _ := first.span(4)
	switch {
	case last != newSectors-entrySpan-2:
		return fmt.Errorf("partition 4 ends at %d", last)
	case first.entriesAt() != entriesLBA || first.other() != newSectors-1 || second.other() != 1:
		return fmt.Errorf("entries at %d, copy at %d, of which the first is at %d", first.entriesAt(), first.other(), second.other())
	case !bytes.Equal(first.entries, second.entries):
		return errors.New("the copy differs")
	}
	return nil
}

func TestGrowTable(t *testing.T) {
	was := gokrazyTable(oldSectors)
	d := newLayered(card(was, newSectors))
	s, changed, err := growTable(d, newSectors, 4)
	start, _, _ := was.span(4)
	if want := (span{int64(start) * sector, int64(newSectors-entrySpan-1-start) * sector}); err != nil || !changed || s != want {
		t.Errorf("%+v, %v, %v, want %+v", s, changed, err, want)
	}
	if err := grownWhole(d, was); err != nil {
		t.Error(err)
	}
	writes := len(d.log)
	if again, changed, err := growTable(d, newSectors, 4); err != nil || changed || again != s || len(d.log) != writes {
		t.Errorf("again: %+v, %v, %v, %d writes", again, changed, err, len(d.log)-writes)
	}
}

// TestTablesTornAtEverySector: whatever a power cut leaves, Linux finds the
// partitions, and the next start completes the growth.
func TestTablesTornAtEverySector(t *testing.T) {
	was := gokrazyTable(oldSectors)
	base := card(was, newSectors)
	d := newLayered(base)
	if _, _, err := growTable(d, newSectors, 4); err != nil {
		t.Fatal(err)
	}
	n := 0
	d.cuts(base, func(name string, cut *layered) {
		n++
		if err := asLinux(cut, was); err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if _, _, err := growTable(cut, newSectors, 4); err != nil {
			t.Errorf("%s: growing on: %v", name, err)
		} else if err := grownWhole(cut, was); err != nil {
			t.Errorf("%s: grown on: %v", name, err)
		}
	})
	t.Logf("%d states of the disk", n)
	if n < 500 {
		t.Errorf("only %d states", n)
	}
}

// TestTornAgain: power is cut while the next start completes the growth.
func TestTornAgain(t *testing.T) {
	was := gokrazyTable(oldSectors)
	base := card(was, newSectors)
	d := newLayered(base)
	if _, _, err := growTable(d, newSectors, 4); err != nil {
		t.Fatal(err)
	}
	n := 0
	d.cuts(base, func(name string, cut *layered) {
		if n++; n%29 != 0 {
			return
		}
		first := newLayered(base)
		first.changed = maps.Clone(cut.changed)
		if _, _, err := growTable(first, newSectors, 4); err != nil {
			t.Fatal(err)
		}
		first.cuts(base, func(again string, twice *layered) {
			for lba, s := range cut.changed {
				if _, newer := twice.changed[lba]; !newer {
					twice.changed[lba] = s
				}
			}
			if err := asLinux(twice, was); err != nil {
				t.Errorf("%s; %s: %v", name, again, err)
			}
		})
	})
}

// TestCheckFindsAWriterInPlace: what most tools do doesn't survive.
func TestCheckFindsAWriterInPlace(t *testing.T) {
	was := gokrazyTable(oldSectors)
	base := card(was, newSectors)
	want, err := grown(was, newSectors, 4)
	if err != nil {
		t.Fatal(err)
	}
	inPlace := func(d Disk) error {
		if _, err := writeBackup(d, nil, want, newSectors); err != nil {
			return err
		}
		if err := writeFlushed(d, entriesLBA, want.entries); err != nil {
			return err
		}
		return writeFlushed(d, 1, want.sealed(1, newSectors-1, entriesLBA))
	}
	unflushed := func(d Disk) error { _, _, err := growTable(lazy{d}, newSectors, 4); return err }
	for name, write := range map[string]func(Disk) error{"in place": inPlace, "without flushes": unflushed} {
		d := newLayered(base)
		if err := write(d); err != nil {
			t.Fatal(err)
		}
		bad := 0
		d.cuts(base, func(_ string, cut *layered) {
			if asLinux(cut, was) != nil {
				bad++
			}
		})
		if bad == 0 {
			t.Errorf("%s: no fault found", name)
		}
	}
}

type lazy struct{ Disk }

func (lazy) Sync() error { return nil }

// TestDamagedFirstTable is written anew from its copy.
func TestDamagedFirstTable(t *testing.T) {
	was := gokrazyTable(oldSectors)
	base := card(was, oldSectors)
	clear(base[sector : 2*sector])
	d := newLayered(base)
	if _, changed, err := growTable(d, oldSectors, 4); err != nil || !changed {
		t.Fatalf("%v, %v", changed, err)
	}
	if err := asLinux(d, was); err != nil {
		t.Error(err)
	}
	clear(base[(oldSectors-1)*sector:])
	if _, _, err := growTable(newLayered(base), oldSectors, 4); !errors.Is(err, ErrNoGPT) {
		t.Errorf("both damaged: %v", err)
	}
}

func TestLayoutsThatStayAsTheyAre(t *testing.T) {
	other := gokrazyTable(oldSectors) // somebody's fifth, right behind a small fourth
	partition(other, 4, partsStart+3*partSize, partsStart+4*partSize-1)
	partition(other, 5, partsStart+4*partSize, partsStart+5*partSize-1)
	early := gokrazyTable(oldSectors)
	partition(early, 1, 40, 100)
	beyond := gokrazyTable(oldSectors)
	partition(beyond, 4, partsStart+3*partSize, newSectors)
	gone := gokrazyTable(oldSectors)
	clear(gone.entry(4))
	for name, c := range map[string]struct {
		table *table
		err   error
	}{"a fifth": {other, nil}, "no room": {early, errLayout}, "too long": {beyond, errLayout}, "none": {gone, errLayout}} {
		d := newLayered(card(c.table, newSectors))
		_, _, err := growTable(d, newSectors, 4)
		if !errors.Is(err, c.err) || err != nil && len(d.log) > 0 {
			t.Errorf("%s: %v, %d writes", name, err, len(d.log))
		}
		after, rerr := readTable(d, 1)
		if rerr != nil || !bytes.Equal(after.entries, c.table.entries) {
			t.Errorf("%s: the entries have changed: %v", name, rerr)
		}
	}
}

// TestProtective: alone it covers the disk, as one of several it stays.
func TestProtective(t *testing.T) {
	for name, c := range map[string]struct {
		others bool
		want   uint32
	}{"alone": {false, newSectors - 1}, "beside a partition for the firmware": {true, oldSectors - 1}} {
		base := card(gokrazyTable(oldSectors), newSectors)
		base[446+4] = 0xee
		le.PutUint32(base[446+8:], 1)
		le.PutUint32(base[446+12:], oldSectors-1)
		if c.others {
			base[446+16+4] = 0x0c
		}
		d := newLayered(base)
		if _, _, err := growTable(d, newSectors, 4); err != nil {
			t.Fatal(err)
		}
		var mbr [sector]byte
		if _, err := d.ReadAt(mbr[:], 0); err != nil {
			t.Fatal(err)
		}
		if got := le.Uint32(mbr[446+12:]); got != c.want {
			t.Errorf("%s: %d sectors, want %d", name, got, c.want)
		}
	}
}
