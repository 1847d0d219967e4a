package update

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// TestGokUpdateAroundATrial: gokrazy's own update works at any time but in a trial, and
// never writes to the root that runs.
func TestGokUpdateAroundATrial(t *testing.T) {
	r := newRig(t)
	init := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { fmt.Fprint(w, "init ", req.URL.Path) })
	ask := func(method, path, body string) (int, string) {
		w := httptest.NewRecorder()
		q := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		q.Header.Set("X-Gokrazy-Update-Hash", "crc32")
		r.u.Gokrazy(init).ServeHTTP(w, q)
		return w.Code, w.Body.String()
	}
	want := func(when, method, path string, code int, text string) {
		t.Helper()
		if c, got := ask(method, path, "a new root"); c != code || !strings.Contains(got, text) {
			t.Errorf("%s: %s %s: %d %q, want %d %q", when, method, path, c, got, code, text)
		}
	}
	for _, path := range []string{"/update/root", "/update/boot", "/update/switch", "/update/features"} {
		want("before", "PUT", path, 200, "init "+path)
	}
	want("before", "POST", "/update/testboot", 500, "/api/update/start")
	r.up += gokTime

	r.must("PUT", "/api/update", bytes.NewReader(pack(t, manifest(), testKey, content(5000))), Ready)
	r.must("POST", "/api/update/start", nil, Trial)
	r.reboot()
	want("in the trial", "PUT", "/update/root", 409, "on trial")
	want("in the trial", "GET", "/update/features", 200, "init")
	want("in the trial", "POST", "/reboot", 200, "init")
	r.pass(time.Minute)
	r.u.waitReady()
	if s := r.u.Status(); s.State != Committed {
		t.Fatalf("%+v", s)
	}
	running, err := os.ReadFile(r.file("p3"))
	if err != nil {
		t.Fatal(err)
	}
	want("committed", "PUT", "/update/root", 200, fmt.Sprintf("%x", crc32.ChecksumIEEE([]byte("a new root"))))
	if on, err := os.ReadFile(r.file("p3")); err != nil || !bytes.Equal(on, running) {
		t.Error("the root that runs has changed")
	}
	if on, err := os.ReadFile(r.file("p2")); err != nil || !bytes.HasPrefix(on, []byte("a new root")) {
		t.Error("the other root is as it was")
	}
	want("committed", "POST", "/update/switch", 200, "")
	if !strings.Contains(r.boot(), "PARTNROFF=1") {
		t.Errorf("next: %q", r.boot())
	}
	// The boot partition names the old root now, as gok's own one does before the
	// last step: that is no trial.
	want("committed", "PUT", "/update/mbr", 200, "init /update/mbr")
	want("committed", "POST", "/update/switch", 200, "")
}
