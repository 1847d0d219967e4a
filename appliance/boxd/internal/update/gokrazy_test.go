package update

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// TestGokUpdate has `gok update` come at all times: what is handed on to init,
// what is refused, and what is done here because init takes the roots for each
// other.
func TestGokUpdate(t *testing.T) {
	for name, c := range map[string]struct {
		prepare      func(*rig)
		method, path string
		code         int
		toInit       bool
	}{
		"root": {nil, "PUT", "/update/root", 200, true},
		"boot": {nil, "PUT", "/update/boot", 200, true},
		"root, busy": {func(r *rig) {
			r.must("PUT", "/api/busy", strings.NewReader(`{"busy": true, "reason": "rehearsal"}`), Idle)
		}, "PUT", "/update/root", 409, false},
		"root, in a talk":           {func(r *rig) { r.talk = "Keynote" }, "PUT", "/update/root", 409, false},
		"switch, a talk has begun":  {func(r *rig) { r.talk = "Keynote" }, "POST", "/update/switch", 200, true},
		"features, in a talk":       {func(r *rig) { r.talk = "Keynote" }, "GET", "/update/features", 200, true},
		"root, during an upload":    {func(r *rig) { r.u.upload.Lock(); r.t.Cleanup(r.u.upload.Unlock) }, "PUT", "/update/root", 409, false},
		"testboot":                  {nil, "POST", "/update/testboot", 500, false},
		"root, after a commit":      {func(r *rig) { r.card.Running = 3; r.patch("PARTNROFF=1", "PARTNROFF=2") }, "PUT", "/update/root", 200, false},
		"switch, after a commit":    {func(r *rig) { r.card.Running = 3; r.patch("PARTNROFF=1", "PARTNROFF=2") }, "POST", "/update/switch", 200, false},
		"a restart, even in a talk": {func(r *rig) { r.talk = "Keynote" }, "POST", "/reboot", 200, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if c.prepare != nil {
				c.prepare(r)
			}
			came := false
			init := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				came = true
				_, _ = io.Copy(io.Discard, q.Body)
			})
			w := httptest.NewRecorder()
			r.u.Gokrazy(init).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), c.method, c.path, strings.NewReader("new root")))
			if w.Code != c.code || came != c.toInit {
				t.Errorf("%d %q, came to init: %v; want %d, %v", w.Code, w.Body, came, c.code, c.toInit)
			}
			if r.asked > 0 && c.path != "/update/root" {
				t.Error("the schedule was asked for, which may take its time")
			}
			if c.code == 409 && r.talk != "" && !strings.Contains(w.Body.String(), r.talk) {
				t.Errorf("%q doesn't name the talk", w.Body)
			}
			if name == "root, after a commit" {
				old, _ := os.ReadFile(r.file("p2"))
				if !strings.HasPrefix(string(old), "new root") {
					t.Error("the root that isn't running was not written")
				}
			}
		})
	}
}
