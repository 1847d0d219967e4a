package recording

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestOnARealDisk(t *testing.T) {
	dir := t.TempDir()
	s := newStreamer()
	ts := s.seconds(25)
	c := Config{Dir: dir, Name: "box1", Segment: 10e9, Log: quiet()}
	r := open(t, c)
	feed(t, r, ts[:s.starts[12]+100])
	closeIt(t, r)
	if st := r.Status(); st.FreeBytes == 0 || st.TotalBytes < st.FreeBytes || st.HoursLeft == 0 {
		t.Errorf("status %+v", st)
	}
	r = open(t, c)
	feed(t, r, ts[s.starts[3]:])
	closeIt(t, r)
	list, err := List(Disk{}, dir, "box1")
	if err != nil || len(list) != 3 {
		t.Fatalf("%d files, %v", len(list), err)
	}
	var all []byte
	for _, e := range list {
		if e.Open {
			t.Errorf("%s is not indexed", e.File)
		}
		b, err := os.ReadFile(filepath.Join(dir, "box1", e.File))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	if !bytes.Equal(all, ts) {
		t.Errorf("%d bytes recorded of %d", len(all), len(ts))
	}
}

func TestListOfNothing(t *testing.T) {
	if l, err := List(Disk{}, t.TempDir(), "box1"); err != nil || len(l) != 0 {
		t.Errorf("%v, %v", l, err)
	}
}
