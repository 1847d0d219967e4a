package disk

import (
	"os"
	"strings"
	"testing"
)

// table writes a GPT whose first partition has this id, as far as it matters.
func (b *bench) table(device, mark, id string) {
	b.t.Helper()
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	for at, text := range map[int64]string{512: mark, 1024: "its type, 16 byt", 1040: id} {
		if _, err := f.WriteAt([]byte(text), at); err != nil {
			b.t.Fatal(err)
		}
	}
}

func TestADiskOfTheSameImageIsNamed(t *testing.T) {
	const gpt, ours = "EFI PART", "\xc1\x4c\xc2\x60\xf3\xf9\x7a\x42\x81\x99box-\x00\x01"
	for name, c := range map[string]struct {
		ownMark, ownID, mark, id string
		twin                     bool
	}{
		"the same image":          {gpt, ours, gpt, ours, true},
		"another image":           {gpt, ours, gpt, strings.Replace(ours, "box-", "else", 1), false},
		"no table on it":          {gpt, ours, "", ours, false},
		"no table on the own":     {"", ours, gpt, ours, false},
		"ids of zeros":            {gpt, "", gpt, "", false},
		"the last byte is others": {gpt, ours, gpt, ours[:15] + "\x02", false},
	} {
		b := newBench(t)
		b.table(b.plug("mmcblk0", "", 8*gb), c.ownMark, c.ownID)
		device := b.plug("sda", "", 8*gb)
		b.plug("sda", "sda1", gb)
		b.table(device, c.mark, c.id)
		k := b.keeper()
		k.look()
		list := k.Disks()
		if len(list) != 1 || list[0].Twin != c.twin || strings.Contains(list[0].Text, "take one of them out") != c.twin || list[0].State != Foreign {
			t.Errorf("%s: %+v, want twin %v", name, list, c.twin)
		}
		if got := Twin(list); (got == "sda") != c.twin {
			t.Errorf("%s: the twin is %q", name, got)
		}
		b.unplug("sda")
		k.look()
		if got := Twin(k.Disks()); got != "" {
			t.Errorf("%s: %s is still a twin, and gone", name, got)
		}
	}
}

// A disk too short for a table, one that is gone, and a host that is no box.
func TestNoTwins(t *testing.T) {
	b := newBench(t)
	b.plug("sda", "", 600)
	if b.host.twin("sda") || b.host.twin("sdq") {
		t.Error("a twin without a table")
	}
	b.host.own = func() string { return "" }
	if b.host.twin("sda") {
		t.Error("a twin of no disk")
	}
}
