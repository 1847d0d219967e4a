package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/recording"
)

// recorded is 25 s of a stream in three files and one in hand, in a folder.
func recorded(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	start := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	rec, err := recording.New(recording.Config{Dir: dir, Name: "box1", Segment: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	m := mpegts.NewMuxer(rec, mpegts.Options{})
	sps := []byte{0, 0, 0, 1, 0x67, 0x64, 0, 0x1f, 0xac, 0, 0, 0, 1, 0x68, 0xee, 0x3c, 0x80}
	for i := int64(0); i < 25*25; i++ {
		n, key := start.Unix()*25+i, i%25 == 0
		au, slice := []byte{0, 0, 0, 1, 9, 0xf0}, byte(0x41)
		if key {
			au, slice = append(au, sps...), 0x65
		}
		au = append(append(au, 0, 0, 0, 1, slice), bytes.Repeat([]byte{0x80 | byte(i)}, 500)...)
		au = h264.InsertStamp(nil, au, h264.Stamp{Flags: h264.Synced, Frame: uint64(n), Program: n * 40_000_000})
		if err := m.WriteVideo(media.Unit{PTS: n * 3600, DTS: n * 3600, Key: key, Data: au}); err != nil {
			t.Fatal(err)
		}
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// filesRig serves a folder to callers with the right credentials.
func filesRig(t *testing.T, dirs string) func(method, path, body string, header ...string) *http.Response {
	t.Helper()
	_, web := rig(t, nowhere(t), nowhere(t), testSecrets(t), dirs)
	return func(method, path, body string, header ...string) *http.Response {
		t.Helper()
		q, err := http.NewRequest(method, web.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		q.SetBasicAuth("admin", testPassword)
		for i := 0; i < len(header); i += 2 {
			q.Header.Set(header[i], header[i+1])
		}
		resp, err := web.Client().Do(q)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(data))
		return resp
	}
}

func said(r *http.Response) string { b, _ := io.ReadAll(r.Body); return string(b) }

func TestASpanOfTimeAsOneStream(t *testing.T) {
	dir := recorded(t)
	ask := filesRig(t, "/none:"+dir)
	query := func(from, to string) string {
		return "/recordings/?" + url.Values{"from": {from}, "to": {to}}.Encode()
	}
	resp := ask("GET", query("2026-11-23T10:00:08.2Z", "2026-11-23T11:00:13+01:00"), "")
	p := mpegts.NewProbe()
	p.Write([]byte(said(resp)))
	if r := p.Report(); resp.StatusCode != 200 || r.Frames != 5*25 || r.Continuity != 0 || r.MissingFrames != 0 {
		t.Errorf("%d, %v", resp.StatusCode, r)
	}
	if d := resp.Header.Get("Content-Disposition"); !strings.Contains(d, "box1-20261123100008-cut.ts") {
		t.Errorf("named %q", d)
	}
	for name, c := range map[string]struct {
		from, to string
		code     int
	}{
		"as the page's form says it": {"2026-11-23T10:00:01", "2026-11-23T10:00", 400},
		"seconds":                    {"1795428001", "1795428003.5", 200},
		"of which there is nothing":  {"2026-11-23T12:00:00Z", "2026-11-23T12:00:01Z", 404},
		"no time":                    {"yesterday", "2026-11-23T12:00:01Z", 400},
		"half of it":                 {"2026-11-23T10:00:00Z", "", 400},
	} {
		if resp := ask("GET", query(c.from, c.to), ""); resp.StatusCode != c.code {
			t.Errorf("%s: %d, want %d: %.100s", name, resp.StatusCode, c.code, said(resp))
		}
	}
}

func TestAcknowledgedAndDeletedByTheAPI(t *testing.T) {
	dir := recorded(t)
	other := t.TempDir()
	ask := filesRig(t, dir+":"+other)
	entries, err := recording.List(recording.Disk{}, dir, "box1")
	if err != nil || len(entries) != 3 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	body, _ := json.Marshal(map[string][]string{"sha256": {entries[0].SHA256, strings.Repeat("0", 64)}})
	resp := ask("POST", "/recordings/box1/acknowledge", string(body))
	if got := said(resp); resp.StatusCode != 409 || !strings.Contains(got, `"acknowledged":["`+entries[0].File) || !strings.Contains(got, `"unknown":["000`) {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
	for _, c := range []struct {
		method, path, body string
		header             []string
		code               int
	}{
		{"POST", "/recordings/box1/acknowledge", `{"sha256": []}`, nil, 400},
		{"POST", "/recordings/box1/acknowledge", `{"sums": ["a"]}`, nil, 400},
		{"POST", "/recordings/box2/acknowledge", string(body), nil, 400},
		{"DELETE", "/recordings/box1/" + entries[0].File, "", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"DELETE", "/recordings/box1/" + entries[1].File, "", nil, 409},
		{"DELETE", "/recordings/box1/" + entries[0].File, "", nil, 204},
		{"DELETE", "/recordings/box1/" + entries[0].File, "", nil, 404},
		{"DELETE", "/recordings/box1/" + entries[1].File + "?force=1", "", nil, 204},
		{"DELETE", "/recordings/box1/box1.jsonl", "", nil, 404},
		{"DELETE", "/recordings/box1/..%2f..%2fsecret.ts", "", nil, 404},
	} {
		if resp := ask(c.method, c.path, c.body, c.header...); resp.StatusCode != c.code {
			t.Errorf("%s %s: %d, want %d: %s", c.method, c.path, resp.StatusCode, c.code, said(resp))
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "box1/*.ts")); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

// TestPlacesAreOneList: what was recorded before and after a disk was plugged in.
func TestPlacesAreOneList(t *testing.T) {
	first := recorded(t)
	second := t.TempDir()
	if err := os.MkdirAll(filepath.Join(second, "box1"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(second, "box1", "box1-20261123110000.ts"), make([]byte, 188), 0o644); err != nil {
		t.Fatal(err)
	}
	ask := filesRig(t, first+":/none:"+second)
	list := said(ask("GET", "/recordings/", ""))
	if strings.Count(list, `"file":`) != 4 || !strings.Contains(list, "box1-20261123110000.ts") {
		t.Errorf("%s", list)
	}
	if resp := ask("GET", "/recordings/box1/box1-20261123110000.ts", ""); resp.StatusCode != 200 {
		t.Errorf("%d", resp.StatusCode)
	}
}

func TestDisksOfAHostThatIsNoBox(t *testing.T) {
	ask := filesRig(t, t.TempDir())
	if got := said(ask("GET", "/api/disks", "")); got != `{"disks":[]}`+"\n" {
		t.Errorf("%s", got)
	}
	if resp := ask("POST", "/api/disks", `{"take": "sda"}`); resp.StatusCode != 409 || !strings.Contains(said(resp), "--dir") {
		t.Errorf("%d", resp.StatusCode)
	}
	if resp := ask("POST", "/api/disks", `{}`); resp.StatusCode != 400 {
		t.Errorf("%d", resp.StatusCode)
	}
}

func FuzzReadTime(f *testing.F) {
	for _, s := range []string{"2026-11-23T10:00:00Z", "1795428001.5", "-1", "NaN", "1e400", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, err := readTime(s)
		if err == nil && (at.Year() < 0 || at.Year() > 9999) {
			t.Errorf("%q is the year %d", s, at.Year())
		}
	})
}
