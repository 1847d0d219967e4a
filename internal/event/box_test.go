package event

import (
	"os"
	"path/filepath"
	"testing"
)

// ofBox makes a box's file and loads it as the box's programs do.
func ofBox(t *testing.T, e *Event, f BoxFile) *Event {
	t.Helper()
	data, err := e.OfBox(f)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "event.yaml")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatalf("%v in\n%s", err, data)
	}
	return got
}

func TestOfBoxKeepsWhatTheBoxNeeds(t *testing.T) {
	e, err := Load("testdata/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range e.Boxes {
		got := ofBox(t, e, BoxFile{Box: b.Name})
		if len(got.Boxes) != 1 || got.Boxes[0] != b {
			t.Errorf("%s became %+v", b.Name, got.Boxes)
		}
		if got.Name != e.Name || got.Video != e.Video || got.Audio != e.Audio || got.Multicast != e.Multicast {
			t.Errorf("%s: %+v", b.Name, got)
		}
		room, role, _ := e.RoomOf(b.Name)
		gotRoom, gotRole, ok := got.RoomOf(b.Name)
		if !ok || gotRoom.Name != room.Name || gotRole != role || len(gotRoom.Sources) != 1 {
			t.Errorf("%s: room %+v, role %s", b.Name, gotRoom, gotRole)
		}
		if len(got.Origins)+len(got.Caches)+len(got.Dumpers) != 0 {
			t.Errorf("%s: the file tells more than a box needs", b.Name)
		}
	}
}

func TestOfBoxOverrides(t *testing.T) {
	e, err := Load("testdata/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := ofBox(t, e, BoxFile{Box: "box2", Name: "spare", Address: "192.0.2.7", Width: 640, Height: 360, Rate: 30, Bitrate: 900_000})
	if got.Video != (Video{640, 360, 30, 900_000}) {
		t.Errorf("video %+v", got.Video)
	}
	room, role, ok := got.RoomOf("spare")
	if b, err := got.Box("spare"); err != nil || b.StreamAddr != "192.0.2.7:8899" || b.MAC != e.Boxes[1].MAC || !ok || room.Name != "janson" || role != "slides" {
		t.Errorf("%+v in %q as %s: %v", got.Boxes, room.Name, role, err)
	}
}

func TestOfBoxWithoutARoom(t *testing.T) {
	got := ofBox(t, load(t, small), BoxFile{Name: "videobox-aabbcc"})
	if _, _, ok := got.RoomOf("videobox-aabbcc"); ok || len(got.Rooms) != 0 {
		t.Errorf("rooms %+v", got.Rooms)
	}
	if b, err := got.Box("videobox-aabbcc"); err != nil || b.StreamAddr != "videobox-aabbcc.local:8899" || b.StatusAddr("guard") != "127.0.0.1:8893" {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestOfBoxRefusesWhatNoFileMaySay(t *testing.T) {
	for name, f := range map[string]BoxFile{
		"no name":     {},
		"a bad name":  {Name: "a b"},
		"an odd size": {Name: "a", Width: 641, Height: 360},
		"a bad rate":  {Name: "a", Rate: 27},
		"a bad host":  {Name: "a", Address: "a b"},
	} {
		if data, err := load(t, small).OfBox(f); err == nil {
			t.Errorf("%s:\n%s", name, data)
		}
	}
}
