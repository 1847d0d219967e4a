package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"github.com/openvideobox/videobox/appliance/internal/self"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/recording"
	"github.com/openvideobox/videobox/internal/run"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	goleak.VerifyTestMain(m)
}

// places counts the addresses that nowhere has given away.
var places atomic.Int32

// nowhere is an address at which nothing listens. No two are so near that a box's
// status addresses, which are counted from one, reach the next, and none is among
// the ports that the kernel gives to others.
func nowhere(t *testing.T) string {
	t.Helper()
	for range 200 {
		address := fmt.Sprintf("127.0.0.1:%d", 4000+20*(places.Add(1)%200))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("something listens at 200 of these ports")
	return ""
}

// testEvent writes an event of one room, with ports of this test's own.
func testEvent(t *testing.T, stream, status string, secrets string) string {
	t.Helper()
	dir := t.TempDir()
	_, streamPort, _ := net.SplitHostPort(stream)
	_, statusPort, _ := net.SplitHostPort(status)
	text := `event: Test
video: {size: 320x180, rate: 25, bitrate: 500k}
boxes:
  - {name: box1, address: 127.0.0.1, ports: {stream: ` + streamPort + `, http: 18101, status: ` + statusPort + `}}
  - {name: box2, address: 127.0.0.2}
rooms:
  - {name: demo, camera: box1, slides: box2, mixer: {host: 127.0.0.1}}
`
	if secrets != "" {
		text += "secrets: secrets.yaml\n"
		if err := os.WriteFile(filepath.Join(dir, "secrets.yaml"), []byte(secrets), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "event.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const testPassword = "correct horse"

func testSecrets(t *testing.T) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(testPassword), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return "box: {user: admin, bcrypt: \"" + string(hash) + "\"}\n"
}

// rig is a boxd whose parts run, with whatever stream and peers a test gives, and
// what it puts into boxd before.
func rig(t *testing.T, stream, status, secrets, recordings string, put ...func(*server)) (*server, *httptest.Server) {
	t.Helper()
	return rigOf(t, testEvent(t, stream, status, secrets), recordings, put...)
}

func rigOf(t *testing.T, config, recordings string, put ...func(*server)) (*server, *httptest.Server) {
	t.Helper()
	box, err := self.Load(config, "box1")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(box, recordings, nil)
	for _, p := range put {
		p(s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	g := run.NewGroup(ctx)
	for _, p := range s.parts() {
		g.Go(p.name, p.run)
	}
	web := httptest.NewServer(s.handler())
	t.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
		cancel()
		g.Wait()
		s.preview.close()
	})
	return s, web
}

func get(t *testing.T, web *httptest.Server, path string, header ...string) (*http.Response, string) {
	t.Helper()
	// Not through http.NewRequest's path cleaning: what is asked is what is sent.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, web.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.URL.Opaque = path
	if !strings.HasPrefix(path, "/..") && !strings.Contains(path, "%") {
		req.URL.Opaque = ""
		req.URL.Path, req.URL.RawQuery, _ = strings.Cut(path, "?")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "user" {
			user, password, _ := strings.Cut(header[i+1], ":")
			req.SetBasicAuth(user, password)
		} else {
			req.Header.Set(header[i], header[i+1])
		}
	}
	client := &http.Client{Transport: web.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// A box whose capture and record are down has a page that says so.
func TestEverythingElseIsDown(t *testing.T) {
	_, web := rig(t, nowhere(t), nowhere(t), "", t.TempDir())
	eventually(t, "the health tree is red", func() bool {
		var s metrics.Status
		_, body := get(t, web, "/api/status")
		if err := json.Unmarshal([]byte(body), &s); err != nil {
			t.Fatal(err)
		}
		states := map[string]metrics.State{}
		for _, l := range s.Health {
			states[l.Name] = l.State
			if (l.State == metrics.Failed || l.State == metrics.Unknown) && l.Cause == "" {
				t.Errorf("no cause: %+v", l)
			}
		}
		return states["stream growing"] == metrics.Failed && states["recorder growing"] == metrics.Degraded &&
			states["device"] == metrics.Unknown && states["signal"] == metrics.Unknown && states["encoder"] == metrics.Unknown &&
			states["network link"] == metrics.NotApplicable && s.State == metrics.Failed && len(s.Health) == 11
	})
	for _, tt := range []struct {
		path   string
		status int
		holds  string
	}{
		{"/", 200, "capture does not answer"},
		{"/api/page", 200, `"does not answer`},
		{"/healthz", 503, "failed: stream"},
		{"/metrics", 200, "videobox_"},
		{"/preview.jpg", 503, "There is no picture: "},
		{"/stream.ts", 503, "The stream cannot be read: "},
		{"/recordings/", 403, "htpasswd -nB"},
		{"/recordings/box1/box1-20261123100000.ts", 403, "no credentials"},
		{"/api/update", 403, "takes no updates. Put box: {user"},
		{"/page/page.css", 200, "--back"},
		{"/page/page.js", 200, "import {"},
		{"/page/box.html", 404, ""},
		{"/page/..%2fmain.go", 404, ""},
		{"/nothing", 404, ""},
	} {
		resp, body := get(t, web, tt.path)
		if resp.StatusCode != tt.status || !strings.Contains(body, strings.TrimPrefix(tt.holds, `"`)) {
			t.Errorf("%s: %d, %.200q; want %d with %q", tt.path, resp.StatusCode, body, tt.status, tt.holds)
		}
		if resp.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: no content security policy", tt.path)
		}
	}
}

// eventually waits for what other goroutines bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// writeRecordings puts files of a recorder's form beside some that are none of
// a page's business.
func writeRecordings(t *testing.T) (dir string, file []byte) {
	t.Helper()
	dir = t.TempDir()
	file = bytes.Repeat([]byte("G123456789"), 188)
	e, err := json.Marshal(recording.Entry{File: "box1-20261123100000.ts", Bytes: int64(len(file)), SHA256: "ab", Start: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"box1/box1-20261123100000.ts": file, "box1/box1-20261123101000.ts": file[:188],
		"box1/box1.jsonl": append(e, '\n'), "box1/private.txt": []byte("not for you"),
		"box2/box2-20261123100000.ts": []byte("not for you"), "secret.ts": []byte("not for you"),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(t.TempDir(), "outside.ts")
	if err := os.WriteFile(outside, []byte("not for you"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "box1", "box1-20261123102000.ts")); err != nil {
		t.Fatal(err)
	}
	return dir, file
}

func TestRecordings(t *testing.T) {
	dir, file := writeRecordings(t)
	_, web := rig(t, nowhere(t), nowhere(t), testSecrets(t), dir)
	right := []string{"user", "admin:" + testPassword}
	one := "/recordings/box1/box1-20261123100000.ts"
	for _, tt := range []struct {
		name, path string
		header     []string
		status     int
		holds      string
	}{
		{"without a password", "/recordings/", nil, 401, "user and password"},
		{"a wrong password", one, []string{"user", "admin:wrong"}, 401, ""},
		{"a wrong user", one, []string{"user", "root:" + testPassword}, 401, ""},
		{"no user", one, []string{"user", ":"}, 401, ""},
		{"list for programs", "/recordings/", right, 200, `"sha256":"ab"`},
		{"list for people", "/recordings/", append(right, "Accept", "text/html,*/*"), 200, `href="/recordings/box1/box1-20261123101000.ts"`},
		{"a file", one, right, 200, string(file)},
		{"a range", one, append(right, "Range", "bytes=10-19"), 206, "G123456789"},
		{"the end", one, append(right, "Range", "bytes=-3"), 206, "789"},
		{"beyond the end", one, append(right, "Range", "bytes=100000-"), 416, ""},
		{"the index", "/recordings/box1/box1.jsonl", right, 200, `"sha256":"ab"`},
		{"not there", "/recordings/box1/box1-20270101000000.ts", right, 404, "no such recording"},
		{"another box", "/recordings/box2/box2-20261123100000.ts", right, 404, ""},
		{"another file", "/recordings/box1/private.txt", right, 404, ""},
		{"a link that leads outside", "/recordings/box1/box1-20261123102000.ts", right, 404, ""},
		{"upwards", "/recordings/box1/..%2fsecret.ts", right, 404, ""},
		{"upwards twice", "/recordings/..%2f..%2fetc%2fpasswd/x", right, 404, ""},
		{"plain dots", "/recordings/box1/../../secret.ts", right, 0, ""},
		{"the folder", "/recordings/box1/", right, 404, ""},
	} {
		resp, body := get(t, web, tt.path, tt.header...)
		if tt.status != 0 && resp.StatusCode != tt.status || !strings.Contains(body, tt.holds) {
			t.Errorf("%s: %d, %.200q; want %d with %.50q", tt.name, resp.StatusCode, body, tt.status, tt.holds)
		}
		if strings.Contains(body, "not for you") {
			t.Errorf("%s: gives away %q", tt.name, body)
		}
	}
	resp, _ := get(t, web, "/recordings/")
	if resp.Header.Get("WWW-Authenticate") == "" {
		t.Error("a browser is not asked for the password")
	}
}

func TestMissing(t *testing.T) {
	at := time.Date(2026, 11, 23, 10, 15, 30, 0, time.UTC)
	gap := recording.Gap{Start: at, End: at.Add(4500 * time.Millisecond), Cause: "disk full"}
	for _, tt := range []struct {
		entry recording.Entry
		want  string
	}{
		{recording.Entry{}, ""},
		{recording.Entry{Gaps: []recording.Gap{gap}, MissingFrames: 112}, "10:15:30: 4.5 s, disk full"},
		{recording.Entry{Gaps: []recording.Gap{gap, gap, gap, gap, gap}, GapsOmitted: 2}, "10:15:30: 4.5 s, disk full|10:15:30: 4.5 s, disk full|10:15:30: 4.5 s, disk full|and 4 more gaps"},
		{recording.Entry{ContinuityErrors: 3}, "3 continuity errors"},
	} {
		if got := strings.Join(missing(tt.entry), "|"); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
