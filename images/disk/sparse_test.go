package disk

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCopySparse(t *testing.T) {
	dir := t.TempDir()
	from, err := os.Create(filepath.Join(dir, "from"))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.Create(filepath.Join(dir, "to"))
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	const size = 1 << 30
	for _, at := range []int64{0, 1 << 20, 1<<20 + size/2, 1<<20 + size - 3} {
		if _, err := from.WriteAt([]byte("data"), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := CopySparse(to, from, 1<<20, size); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[int64]string{0: "data", 4: "\x00", size / 2: "data", size - 3: "dat"} {
		got := make([]byte, len(want))
		if _, err := to.ReadAt(got, at); err != nil || !bytes.Equal(got, []byte(want)) {
			t.Errorf("at %d: %q, %v, want %q", at, got, err, want)
		}
	}
	var s unix.Stat_t
	if err := unix.Fstat(int(to.Fd()), &s); err != nil || s.Size != size || s.Blocks*512 > 1<<20 {
		t.Errorf("%d bytes, of which %d are there, %v", s.Size, s.Blocks*512, err)
	}
}
