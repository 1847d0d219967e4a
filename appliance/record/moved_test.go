package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/openvideobox/videobox/internal/recording"
)

func TestWhereaboutsOfThisBoot(t *testing.T) {
	w := &whereabouts{file: filepath.Join(t.TempDir(), "recorded.json")}
	if e := w.before("/perm/recordings", "/run/videobox/disk"); e != nil {
		t.Errorf("before the first: %+v", e)
	}
	dir := t.TempDir()
	rec, err := recording.New(recording.Config{Dir: dir, Name: "box1"})
	if err != nil {
		t.Fatal(err)
	}
	ts, _ := muxed(t, tornStart, 500, 500)
	if _, err := rec.Write(ts); err != nil {
		t.Fatal(err)
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.note(rec); err != nil {
		t.Fatal(err)
	}
	if e := w.before(dir+"/", "/run/videobox/disk"); e != nil {
		t.Errorf("in the same place: %+v", e)
	}
	if e := w.before("/perm/recordings", filepath.Dir(dir)); e == nil || e.Frame != tornStart+1 || e.Dir != filepath.Join(dir, "box1") {
		t.Errorf("%+v", e)
	}
	for disk, cause := range map[string]string{"/d": "the disk for recordings is gone", "/e": "recording moved to a disk of its own"} {
		data, err := json.Marshal(recording.Elsewhere{Dir: "/d/recordings/box1", Frame: 7})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(w.file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if e := w.before("/perm/recordings", disk); e == nil || e.Cause != cause {
			t.Errorf("disk %s: %+v, want %q", disk, e, cause)
		}
	}
	if err := os.WriteFile(w.file, []byte("{torn"), 0o644); err != nil {
		t.Fatal(err)
	}
	if e := w.before("/perm/recordings", "/d"); e != nil {
		t.Errorf("of a torn file: %+v", e)
	}
}
