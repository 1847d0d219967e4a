package disk

import (
	"bytes"
	"errors"
	"testing"
)

// gpt is a disk with these partitions, by number, in sectors.
func gpt(parts map[int][2]uint64) []byte {
	b := make([]byte, 34*sector)
	copy(b[sector:], "EFI PART")
	le.PutUint64(b[sector+72:], 2)
	le.PutUint32(b[sector+80:], 128)
	le.PutUint32(b[sector+84:], 128)
	for n, p := range parts {
		e := b[2*sector+128*(n-1):]
		e[0] = 1 // a type
		le.PutUint64(e[32:], p[0])
		le.PutUint64(e[40:], p[1])
	}
	return b
}

func TestPartitions(t *testing.T) {
	whole := bytes.NewReader(gpt(map[int][2]uint64{1: {8192, 16383}, 4: {20000, 20000}}))
	list, err := Partitions(whole)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Partition{1, 8192 * 512, 8192 * 512}); list[0] != want {
		t.Errorf("first %+v, want %+v", list[0], want)
	}
	p, err := Find(whole, 4)
	if err != nil || p.Size != 512 {
		t.Errorf("fourth %+v, %v", p, err)
	}
	if _, err := Find(whole, 2); err == nil {
		t.Error("an unused entry was found")
	}
	for name, b := range map[string][]byte{
		"none":      make([]byte, 34*sector),
		"backwards": gpt(map[int][2]uint64{1: {9, 8}}),
	} {
		if _, err := Partitions(bytes.NewReader(b)); !errors.Is(err, ErrNoGPT) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Partitions(bytes.NewReader(nil)); err == nil {
		t.Error("an empty disk has partitions")
	}
}

func TestSquashFSSize(t *testing.T) {
	super := make([]byte, 96)
	copy(super, "hsqs")
	le.PutUint64(super[40:], 12345)
	if n, err := SquashFSSize(bytes.NewReader(super)); n != 12345 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := SquashFSSize(bytes.NewReader(make([]byte, 96))); !errors.Is(err, ErrNoSquashFS) {
		t.Errorf("zeros: %v", err)
	}
}

func FuzzDisk(f *testing.F) {
	f.Add(make([]byte, 3*sector))
	f.Add(gpt(map[int][2]uint64{1: {1, 2}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		if _, err := SquashFSSize(r); err == nil && len(b) < 96 {
			t.Error("a size from less than a superblock")
		}
		list, err := Partitions(r)
		for _, p := range list {
			if err != nil || p.Size <= 0 {
				t.Errorf("%+v with %v", p, err)
			}
		}
	})
}
