package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/metrics"
)

func TestEventFileIsSound(t *testing.T) {
	for i, offset := range []int{0, 1000, 0} {
		machines := i == 2
		path, _, err := writeEvent(t.TempDir(), offset, machines)
		if err != nil {
			t.Fatal(err)
		}
		e, err := event.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		l := layout{offset: offset}
		box, err := e.Box("box2")
		if err != nil || box.HTTPAddr != l.addr(8102) || box.StatusAddr("record") != l.addr(18891) {
			t.Errorf("box2: %+v, %v", box, err)
		}
		if machines != (box.Multicast == "") {
			t.Errorf("box2 sends to %q, which a machine can't", box.Multicast)
		}
		if e.Caches[0].HTTPListen != l.addr(8080) {
			t.Errorf("the cache listens on %s", e.Caches[0].HTTPListen)
		}
	}
}

func TestPartsAreTheWholeChain(t *testing.T) {
	programs := map[string]int{}
	addresses := map[string]bool{}
	for _, p := range (layout{bin: "bin", dir: "run", config: "event.yaml", camera: "pattern", slides: "deck"}).parts() {
		programs[p.program]++
		if addresses[p.status] {
			t.Errorf("%s: another part has %s too", p.name, p.status)
		}
		addresses[p.status] = true
	}
	want := map[string]int{"capture": 2, "record": 2, "boxd": 2, "mixer-host": 1, "restream-host": 5}
	for program, n := range want {
		if programs[program] != n {
			t.Errorf("%d of %s, want %d", programs[program], program, n)
		}
	}
}

func TestMachinesInsteadOfBoxes(t *testing.T) {
	l := layout{bin: t.TempDir(), dir: "run", camera: "pattern", slides: "deck", offset: 1000, machines: true}
	programs := map[string]int{}
	for _, p := range l.parts() {
		programs[p.program]++
	}
	if programs["vm"] != 2 || programs["capture"]+programs["record"]+programs["boxd"] != 0 {
		t.Errorf("programs %v", programs)
	}
	m := l.machine("box2", 2, "deck", 18899, 8102)
	if args := strings.Join(m.args, " "); m.status != l.addr(8102) || !strings.Contains(args, "--port=8899=19899 --port=8898=19898") {
		t.Errorf("%s: %s", m.status, args)
	}
	if err := l.check(); err == nil || !strings.Contains(err.Error(), "VM=1") {
		t.Errorf("without an image: %v", err)
	}
	for _, name := range []string{"vm", "videobox.img"} {
		if err := os.WriteFile(filepath.Join(l.bin, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.check(); err != nil {
		t.Error(err)
	}
	l.slides = "v4l2:/dev/null"
	if err := l.check(); err == nil {
		t.Error("a machine was given a device of this host")
	}
}

func TestSourcesAreCheckedBeforeTheStart(t *testing.T) {
	if err := checkSource("camera", "/nonexistent.mp4"); err == nil || !strings.Contains(err.Error(), "/nonexistent.mp4") {
		t.Errorf("a missing file: %v", err)
	}
	for _, good := range []string{"pattern", "deck", "demo_test.go", "v4l2:auto", "v4l2:auto,none", "v4l2:/dev/null,hw:1"} {
		if err := checkSource("camera", good); err != nil {
			t.Error(err)
		}
	}
	if _, _, err := (runCmd{Dir: "run", PortOffset: 40000}).layout(); err == nil {
		t.Error("ports above 65535 were accepted")
	}
}

func TestTable(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 0, 30, 0, time.UTC)
	views := []view{
		{part: part{name: "mixer", status: "127.0.0.1:8000"}, running: true, cpu: 0.31, restarts: 2, status: metrics.Status{Hops: []metrics.Hop{
			{Name: "camera", Direction: "in", Address: "tcp://127.0.0.1:8899", State: metrics.OK, BitsPerSecond: 4.2e6, LatencyMS: 31, Readers: 1},
			{Name: "demo", Direction: "out", Address: "udp://239.255.42.1:5004", State: metrics.Failed, Cause: "no data for 3 s", LatencyMS: -1},
		}}},
		{part: part{name: "push", status: "127.0.0.1:8895"}, running: true, err: errors.New("connection refused")},
		{part: part{name: "dump dump1", status: "127.0.0.1:8896"}, cause: "exit status 1: no disk"},
	}
	var b bytes.Buffer
	table(&b, views, now.Add(-30*time.Second), now, 200, false)
	for _, want := range []string{"in camera", "tcp://:8899", "4.20 Mbit/s", "31 ms", "started again 2×", "no data for 3 s", "starting", "down", "no disk", "0.31 cores", "30s after the start"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	b.Reset()
	table(&b, views, now, now, 200, true)
	if s := b.String(); strings.Contains(s, "in camera") || !strings.Contains(s, "no data for 3 s") {
		t.Errorf("brief:\n%s", s)
	}
	b.Reset()
	table(&b, views, now, now, 60, false)
	for line := range strings.Lines(b.String()) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 60 {
			t.Errorf("a line of %d columns", n)
		}
	}
}

// archive is an npm package with one file.
func archive(t *testing.T, name, content string) (tgz []byte, sum string) {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	err := errors.Join(w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}))
	_, err2 := io.WriteString(w, content)
	if err := errors.Join(err, err2, w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	hash := sha512.Sum512(b.Bytes())
	return b.Bytes(), base64.StdEncoding.EncodeToString(hash[:])
}

func TestPackagesAreCheckedBeforeUse(t *testing.T) {
	tgz, sum := archive(t, "package/x.js", "code")
	for name, c := range map[string]struct {
		body   []byte
		sum    string
		from   string
		failed bool
	}{
		"as published": {tgz, sum, "package/x.js", false},
		"other bytes":  {append([]byte("x"), tgz...), sum, "package/x.js", true},
		"cut off":      {tgz[:len(tgz)/2], sum, "package/x.js", true},
		"without it":   {tgz, sum, "package/y.js", true},
	} {
		to := filepath.Join(t.TempDir(), "sub", "x.js")
		resp := &http.Response{Body: io.NopCloser(bytes.NewReader(c.body)), ContentLength: int64(len(c.body)), Request: &http.Request{URL: &url.URL{Path: "/x.tgz"}}}
		err := unpack(resp, npmPackage{name: "x", version: "1.0.0", sha512: c.sum, from: c.from, to: to})
		_, there := os.Stat(to)
		if (err != nil) != c.failed || (there != nil) != c.failed {
			t.Errorf("%s: %v; the file: %v", name, err, there)
		}
	}
}
