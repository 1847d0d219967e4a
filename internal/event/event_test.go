package event

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// small is the least that Load accepts.
const small = `event: Small
boxes:
  - {name: box1, address: 127.0.0.1}
rooms:
  - name: demo
    camera: box1
    mixer: {host: 127.0.0.1}
`

func load(t *testing.T, text string) *Event {
	t.Helper()
	e, err := Parse("event.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestLoadExample(t *testing.T) {
	e, err := Load("testdata/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if e.Name != "Example Conf 2027" || e.Video != (Video{1280, 720, 25, 4_000_000}) {
		t.Errorf("event %q, video %+v", e.Name, e.Video)
	}
	if e.Audio != (Audio{48000, 2, 160_000, -16}) || e.Multicast != (Multicast{"eth0", 4}) {
		t.Errorf("audio %+v, multicast %+v", e.Audio, e.Multicast)
	}
	room, err := e.Room("janson")
	if err != nil {
		t.Fatal(err)
	}
	want := Room{
		Name: "janson", Building: "J", Camera: "box1", Slides: "box2", Engine: "native",
		MixerHost: "voctop0.example", ControlAddr: "voctop0.example:8000",
		Scene:      Scene{"side_by_side_preview", "slides", "camera"},
		Background: "testdata/background.png", Logo: "testdata/logo.png", Interface: "eth0", TTL: 4,
		Sources: []Source{
			{"camera", "box1", "tcp://box1.local:8899"},
			{"slides", "box2", "udp://239.255.43.2:5004"},
		},
		outputs: []Output{
			{"janson", "main", 1280, 720, 4_000_000, "239.255.42.1:5004", "voctop0.example:28899", "voctop0.example:28999", "eth0", 4},
			{"janson-480", "480", 854, 480, 900_000, "239.255.42.1:5006", "voctop0.example:28900", "voctop0.example:29000", "eth0", 4},
		},
	}
	if !reflect.DeepEqual(room, want) {
		t.Errorf("room\n got %+v\nwant %+v", room, want)
	}
	if c := e.Caches[0]; c.Memory != 1<<30 || c.HTTPListen != ":8080" || c.HTTP != "http://edge1.example:8080" {
		t.Errorf("cache %+v", c)
	}
	if d, err := e.Dumper("dump2"); err != nil || d.KeepFree != 50<<30 || d.Dir != "/srv/dump" {
		t.Errorf("dumper %+v, %v", d, err)
	}
}

func TestOriginsPublishWithTheKey(t *testing.T) {
	e, err := Load("testdata/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	o, err := e.Origin("backup")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := o.PublishURL("janson-480"), "rtmp://origin2.example:1935/stream/janson-480?key=a+key+with+%2F+and+%26"; got != want {
		t.Errorf("publish URL\n got %s\nwant %s", got, want)
	}
	if o.RTMPListen != ":1935" || o.HTTPListen != ":8080" || o.Dir != "/srv/recordings" {
		t.Errorf("origin %+v", o)
	}
}

func TestStreams(t *testing.T) {
	e, err := Load("testdata/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := []Stream{
		{"box1", "tcp://box1.local:8899", "eth0"},
		{"box2", "udp://239.255.43.2:5004", "eth0"},
		{"janson", "udp://239.255.42.1:5004", "eth0"},
		{"janson-480", "udp://239.255.42.1:5006", "eth0"},
	}
	if got := e.Streams(); !reflect.DeepEqual(got, want) {
		t.Errorf("streams\n got %+v\nwant %+v", got, want)
	}
}

func TestPortOffsetMovesEveryPort(t *testing.T) {
	e := load(t, `event: Second run
multicast: {interface: lo, ttl: 0}
port_offset: 1000
boxes:
  - {name: box1, address: 127.0.0.1, multicast: "239.255.43.1:5004", ports: {stream: 18899, http: 8102, status: 18890}}
rooms:
  - name: demo
    camera: box1
    slides: tcp://127.0.0.1:7000
    mixer: {host: 127.0.0.1}
    output: {multicast: "239.255.42.1:5004", tcp: 28899}
renditions: [{name: "480", size: 854x480, bitrate: 900k}]
origins: [{name: main, rtmp: "rtmp://127.0.0.1/stream/", http: "http://127.0.0.1:8081/"}]
caches: [{name: edge, http: "http://[::1]:8080"}]
`)
	box, _ := e.Box("box1")
	want := Box{
		Name: "box1", Address: "127.0.0.1", StreamAddr: "127.0.0.1:19899", BufferedAddr: "127.0.0.1:19898",
		HTTPAddr: "127.0.0.1:9102", Multicast: "239.255.43.1:6004", Interface: "lo", status: 19890,
	}
	if box != want {
		t.Errorf("box\n got %+v\nwant %+v", box, want)
	}
	if got := box.StatusAddr("guard"); got != "127.0.0.1:19893" {
		t.Errorf("guard's status on %s", got)
	}
	if got := e.StatusAddr("dump"); got != "127.0.0.1:9896" {
		t.Errorf("dump's status on %s", got)
	}
	room := e.Rooms[0]
	if room.ControlAddr != "127.0.0.1:9000" || room.Sources[1].URL != "tcp://127.0.0.1:8000" || e.Port(9999) != 10999 {
		t.Errorf("room %+v, control %d", room, e.Port(9999))
	}
	small := room.Outputs()[1]
	if small.Multicast != "239.255.42.1:6006" || small.TCPAddr != "127.0.0.1:29900" || small.BufferedTCPAddr != "127.0.0.1:30000" {
		t.Errorf("output %+v", small)
	}
	if o := e.Origins[0]; o.PublishURL("demo") != "rtmp://127.0.0.1:2935/stream/demo" || o.RTMPListen != "127.0.0.1:2935" || o.HTTP != "http://127.0.0.1:9081" {
		t.Errorf("origin %+v", o)
	}
	if c := e.Caches[0]; c.HTTPListen != "[::1]:9080" {
		t.Errorf("cache %+v", c)
	}
}

func TestDefaults(t *testing.T) {
	e := load(t, small)
	if e.Video != (Video{1280, 720, 25, 4_000_000}) || e.Audio != (Audio{48000, 2, 160_000, -16}) || e.Multicast.TTL != 1 {
		t.Errorf("video %+v, audio %+v, multicast %+v", e.Video, e.Audio, e.Multicast)
	}
	r := e.Rooms[0]
	if r.Scene != (Scene{"fullscreen", "camera", "camera"}) || r.Engine != "native" || r.Outputs()[0].URL() != "tcp://127.0.0.1:28899" {
		t.Errorf("room %+v", r)
	}
	if len(e.Secrets.Users) != 0 || e.Secrets.PublishKey != "" {
		t.Errorf("secrets out of nowhere: %+v", e.Secrets)
	}
}

func TestDefaultSceneHasBothSources(t *testing.T) {
	for _, c := range []struct {
		sources string
		want    Scene
	}{
		{"camera: tcp://a:1", Scene{"fullscreen", "camera", "camera"}},
		{"slides: tcp://b:1", Scene{"fullscreen", "slides", "slides"}},
		{"camera: tcp://a:1\n    slides: tcp://b:1", Scene{"side_by_side_preview", "slides", "camera"}},
		{"camera: tcp://a:1\n    slides: tcp://b:1\n    scene: {a: camera}", Scene{"side_by_side_preview", "camera", "slides"}},
	} {
		e := load(t, "event: E\nrooms:\n  - name: demo\n    mixer: {host: m}\n    "+c.sources+"\n")
		if got := e.Rooms[0].Scene; got != c.want {
			t.Errorf("%s: scene %+v, want %+v", c.sources, got, c.want)
		}
	}
}

func TestOwnInterfaceAndTTLWin(t *testing.T) {
	e := load(t, strings.Replace(strings.Replace(small,
		"127.0.0.1}", `127.0.0.1, multicast: "239.255.43.1:5004", interface: eth1, ttl: 0}`, 1),
		"    camera", "    interface: eth2\n    camera", 1))
	if b := e.Boxes[0]; b.Interface != "eth1" || b.TTL != 0 {
		t.Errorf("box %+v", b)
	}
	if o := e.Rooms[0].Outputs()[0]; o.Interface != "eth2" || o.TTL != 1 {
		t.Errorf("output %+v", o)
	}
}

func TestLookups(t *testing.T) {
	e, err := Load("testdata/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Room("nosuch")
	if want := `testdata/example.yaml: no room "nosuch"; the file has janson`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	_, err = load(t, small).Cache("edge")
	if want := `event.yaml: no cache "edge"; the file has none`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	mac, _ := net.ParseMAC("B8-27-EB-00-00-02")
	if b, err := e.BoxByMAC(mac); err != nil || b.Name != "box2" {
		t.Errorf("box %+v, %v", b, err)
	}
	if r, role, ok := e.RoomOf("box2"); !ok || r.Name != "janson" || role != "slides" {
		t.Errorf("box2 is %s of %s, %v", role, r.Name, ok)
	}
	if _, _, ok := e.RoomOf("box9"); ok {
		t.Error("a box that doesn't exist has a room")
	}
	if e.SourceURL("box9") != "" || e.Boxes[0].StatusAddr("mixer-host") != "" {
		t.Error("an address for what doesn't exist")
	}
}

func TestMissingSecretsFileIsNoSecrets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "event.yaml")
	if err := os.WriteFile(path, []byte(small+"secrets: nothing.yaml\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(e.Secrets, Secrets{}) {
		t.Errorf("secrets %+v", e.Secrets)
	}
}

func TestLoadOfNoFile(t *testing.T) {
	_, err := Load("testdata/nothing.yaml")
	if want := "event file: open testdata/nothing.yaml: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestListen(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:1": "127.0.0.1:1", "[::1]:2": "[::1]:2", "localhost:3": "localhost:3",
		"192.0.2.1:4": ":4", "box1.local:5": ":5",
	} {
		if got := Listen(addr); got != want {
			t.Errorf("Listen(%s) = %s, want %s", addr, got, want)
		}
	}
}

func TestLoadTakesTheFirstThatExists(t *testing.T) {
	dir := t.TempDir()
	bad, none := filepath.Join(dir, "bad.yaml"), filepath.Join(dir, "none.yaml")
	if err := os.WriteFile(bad, []byte("event: [\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(none + ":testdata/example.yaml:" + bad); err != nil {
		t.Errorf("the second of three: %v", err)
	}
	if _, err := Load(bad + ":testdata/example.yaml"); err == nil {
		t.Error("a broken first file was passed over")
	}
	if _, err := Load(none + ":" + none + "2"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none.yaml2") {
		t.Errorf("none exists: %v", err)
	}
}
