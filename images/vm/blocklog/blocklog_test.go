package blocklog

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// logger is a disk in memory that logs as QEMU does.
type logger struct {
	log  []byte
	n    uint64
	lazy bool // forgets to flush
}

func newLogger() *logger { return &logger{log: make([]byte, piece)} }

func (d *logger) entry(offset, length int, flags uint64) {
	b := make([]byte, piece)
	le.PutUint64(b[0:], uint64(offset/piece))
	le.PutUint64(b[8:], uint64(length/piece))
	le.PutUint64(b[16:], flags)
	d.log = append(d.log, b...)
	d.n++
}

func (d *logger) WriteAt(p []byte, at int64) (int, error) {
	d.entry(int(at), len(p), 0)
	d.log = append(d.log, p...)
	return len(p), nil
}

func (d *logger) sync() {
	if !d.lazy {
		d.entry(0, 0, flush)
	}
}

// file is the log as it is on disk.
func (d *logger) file() []byte {
	b := bytes.Clone(d.log)
	le.PutUint64(b[0:], magic)
	le.PutUint64(b[8:], version)
	le.PutUint64(b[16:], d.n)
	le.PutUint32(b[24:], piece)
	return b
}

func (d *logger) read(t *testing.T) *Log {
	t.Helper()
	l, err := Read(bytes.NewReader(d.file()))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// memory is a disk's content.
type memory []byte

func (m memory) WriteAt(p []byte, at int64) (int, error) {
	if at < 0 || at+int64(len(p)) > int64(len(m)) {
		return 0, fmt.Errorf("%d bytes at %d", len(p), at)
	}
	return copy(m[at:], p), nil
}

func filled(v byte, n int) []byte { return bytes.Repeat([]byte{v}, n) }

func TestRead(t *testing.T) {
	d := newLogger()
	d.WriteAt(filled(1, 1024), 512)
	d.sync()
	d.entry(4096, 8192, discard)
	d.WriteAt(filled(2, 512), 0)
	l := d.read(t)
	want := []Entry{
		{Offset: 512, Length: 1024, data: 1024, end: 2048},
		{Flush: true, data: 2560, end: 2560},
		{Offset: 4096, Length: 8192, Discard: true, data: 3072, end: 3072},
		{Length: 512, data: 3584, end: 4096},
	}
	if !slices.Equal(l.Entries, want) {
		t.Errorf("%+v", l.Entries)
	}
	for n, flushed := range []int{0, 0, 1, 1, 1} {
		if got := l.Flushed(n); got != flushed {
			t.Errorf("of the first %d entries %d are certain, want %d", n, got, flushed)
		}
	}
	for bytes, n := range map[int64]int{512: 0, 2047: 0, 2048: 1, 2560: 2, 3584: 3, 4096: 4, 9999: 4} {
		if got := l.At(bytes); got != n {
			t.Errorf("after %d bytes %d entries, want %d", bytes, got, n)
		}
	}
	cut := d.file()
	if l, err := Read(bytes.NewReader(cut[:len(cut)-1])); err != nil || len(l.Entries) != 3 {
		t.Errorf("cut off: %v", err)
	}
	if _, err := Read(bytes.NewReader(make([]byte, 512))); !errors.Is(err, ErrFormat) {
		t.Errorf("zeros: %v", err)
	}
}

func TestWindow(t *testing.T) {
	d := newLogger()
	d.WriteAt(filled(1, 2048), 0)
	d.WriteAt(filled(2, 512), 8192)
	m := make(memory, 1024)
	if err := d.read(t).Apply(m, Window{1536, 1024}, 0, 2); err != nil {
		t.Fatal(err)
	}
	if want := append(filled(1, 512), filled(0, 512)...); !bytes.Equal(m, want) {
		t.Errorf("%v", m)
	}
}

// TestTear: what is certain is there, of the rest every piece can be there or
// not, and a seed gives the same again.
func TestTear(t *testing.T) {
	d := newLogger()
	d.WriteAt(filled(1, 512), 0)
	d.sync()
	d.WriteAt(filled(2, 4*512), 512)
	d.entry(5*512, 512, fua)
	d.log = append(d.log, filled(3, 512)...)
	l := d.read(t)
	seen := map[string]bool{}
	for seed := range uint64(300) {
		state := func() string {
			m := make(memory, 6*512)
			if err := l.Apply(m, Window{}, 0, l.Flushed(4)); err != nil {
				t.Fatal(err)
			}
			if err := l.Tear(m, Window{}, 4, seed); err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(m[0], m[512], m[1024], m[1536], m[2048], m[2560])
		}
		s := state()
		if s[0] != '1' || s[len(s)-1] != '3' {
			t.Fatalf("what was certain is missing: %s", s)
		}
		if s != state() {
			t.Fatalf("seed %d gives different disks", seed)
		}
		seen[s] = true
	}
	if len(seen) != 16 {
		t.Errorf("%d of 16 states seen: %v", len(seen), seen)
	}
}

// A writer keeps two records and a pointer to the newest. The order is: record,
// flush, pointer, flush. The record's place isn't the one pointed at.
const recordBytes = 4 * 512

func writeRecord(d *logger, n int) {
	record := filled(byte(n), recordBytes)
	le.PutUint32(record, crc32.ChecksumIEEE(record[4:]))
	d.WriteAt(record, int64(1+n%2*4)*512)
	d.sync()
	pointer := make([]byte, 512)
	le.PutUint32(pointer, uint32(n))
	d.WriteAt(pointer, 0)
	d.sync()
}

// readRecord says what is wrong on the disk, if at least certain records were
// acknowledged.
func readRecord(m memory, certain int) error {
	n := int(le.Uint32(m))
	if n < certain {
		return fmt.Errorf("record %d, but %d was acknowledged", n, certain)
	}
	if n == 0 {
		return nil
	}
	if record := m[(1+n%2*4)*512:][:recordBytes]; le.Uint32(record) != crc32.ChecksumIEEE(record[4:]) {
		return fmt.Errorf("record %d is torn", n)
	}
	return nil
}

// faults replays a log of that many records at every point with some seeds. A
// record has four entries; without flushes two.
func faults(t *testing.T, l *Log, perRecord int) (n int) {
	t.Helper()
	for cut := range len(l.Entries) + 1 {
		for seed := range uint64(20) {
			m := make(memory, 9*512)
			if err := l.Apply(m, Window{}, 0, l.Flushed(cut)); err != nil {
				t.Fatal(err)
			}
			if err := l.Tear(m, Window{}, cut, seed); err != nil {
				t.Fatal(err)
			}
			if readRecord(m, cut/perRecord) != nil {
				n++
			}
		}
	}
	return n
}

// TestFindsAWriterThatDoesNotFlush, and nothing in one that does.
func TestFindsAWriterThatDoesNotFlush(t *testing.T) {
	good, bad := newLogger(), newLogger()
	bad.lazy = true
	for n := 1; n <= 20; n++ {
		writeRecord(good, n)
		writeRecord(bad, n)
	}
	if n := faults(t, good.read(t), 4); n != 0 {
		t.Errorf("%d faults in a writer that has none", n)
	}
	if n := faults(t, bad.read(t), 2); n < 100 {
		t.Errorf("only %d faults in a writer that never flushes", n)
	}
	// One that flushes, but not between record and pointer.
	hasty := newLogger()
	for n := 1; n <= 20; n++ {
		hasty.lazy = true
		writeRecord(hasty, n)
		hasty.lazy = false
		hasty.sync()
	}
	if n := faults(t, hasty.read(t), 3); n == 0 {
		t.Error("no fault in a writer that flushes too late")
	}
}

// TestQEMUsOwnLog: the driver itself writes one.
func TestQEMUsOwnLog(t *testing.T) {
	if _, err := exec.LookPath("qemu-io"); err != nil {
		t.Skipf("needs qemu-utils (make vm installs it): %v", err)
	}
	dir := t.TempDir()
	disk, log := filepath.Join(dir, "disk"), filepath.Join(dir, "log")
	for name, size := range map[string]int64{disk: 1 << 20, log: 0} {
		if err := os.WriteFile(name, make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), "qemu-io", "--image-opts",
		"driver=blklogwrites,file.driver=file,file.filename="+disk+",log.driver=file,log.filename="+log,
		"-c", "write -P 1 4096 8192", "-c", "flush", "-c", "write -P 2 8192 512", "-c", "write -f -P 3 0 1024", "-c", "flush").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	m := make(memory, 1<<20)
	if err := l.Apply(m, Window{}, 0, len(l.Entries)); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(disk)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m, want) || m[4096] != 1 || m[8192] != 2 || m[0] != 3 {
		t.Error("the replayed disk isn't the one that was written")
	}
	flushes := 0
	for _, e := range l.Entries {
		if e.Flush {
			flushes++
		}
	}
	if flushes < 2 || len(l.Entries) < 5 {
		t.Errorf("%d flushes in %+v", flushes, l.Entries)
	}
}

func FuzzRead(f *testing.F) {
	d := newLogger()
	d.WriteAt(filled(1, 1024), 512)
	d.sync()
	d.entry(4096, 8192, discard)
	f.Add(d.file())
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		m := make(memory, 1<<16)
		for n := range min(len(l.Entries), 20) {
			_ = l.Apply(m, Window{0, 1 << 16}, 0, l.Flushed(n))
			if err := l.Tear(m, Window{0, 1 << 16}, n, 1); err != nil {
				t.Errorf("%d: %v", n, err)
			}
		}
	})
}
