package update

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
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

// TestGokAndBundles has one come in the middle of the other: neither may start
// what the other has written, or half of it.
func TestGokAndBundles(t *testing.T) {
	r := newRig(t)
	file := pack(t, manifest(), testKey, content(3<<20))
	gok := func(path string, code int, want string) {
		t.Helper()
		init := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { r.up += time.Minute }) // it takes its time
		w := httptest.NewRecorder()
		r.u.Gokrazy(init).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "PUT", path, strings.NewReader("x")))
		if w.Code != code || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %q, want %d %q", path, w.Code, w.Body, code, want)
		}
	}
	put := func(data []byte, code int, want string) {
		t.Helper()
		if is, _, text := r.ask("PUT", "/api/update?offset=0", bytes.NewReader(data)); is != code || !strings.Contains(text, want) {
			t.Errorf("a bundle: %d %q, want %d %q", is, text, code, want)
		}
	}
	r.must("PUT", "/api/update", bytes.NewReader(file), Ready)
	gok("/update/switch", 409, "Begin gok update again")
	gok("/update/root", 200, "")
	if _, s, _ := r.ask("GET", "/api/update", nil); s.State != Idle || !strings.Contains(s.Refused, "gok update is at work") {
		t.Errorf("the bundle that gok has overwritten: %+v", s)
	}
	r.up += 4 * time.Minute
	put(file, 409, "in 1m0s")
	gok("/update/boot", 200, "")
	r.up += 5*time.Minute - time.Second
	put(file, 409, "in 1s")
	if code, _, text := r.ask("POST", "/api/update/start", nil); code != 409 || !strings.Contains(text, "gok update") {
		t.Errorf("start: %d %s", code, text)
	}
	gok("/update/switch", 200, "") // its own root, and no bundle came between

	r.up += gokTime
	put(file[:2<<20], 202, "") // it breaks off
	gok("/update/switch", 409, "Begin gok update again")
	r.stop()
	r.start() // boxd starts again, and knows it by the bundle
	gok("/update/switch", 409, "Begin gok update again")
	gok("/update/root", 200, "")
	gok("/update/switch", 200, "")
}

// TestGokBringsAKernel: whether a bundle fits is asked of the kernel that is there
// now.
func TestGokBringsAKernel(t *testing.T) {
	r := newRig(t)
	m := manifest()
	kernel := func(text string) {
		r.write(kernelFile, []byte(text))
		copyToBoot(t, r.card.Boot, r.file(kernelFile))
	}
	kernel("old")
	m.Kernel = strings.Repeat("0", 64)
	put := func() (int, string) {
		code, _, text := r.ask("PUT", "/api/update", bytes.NewReader(pack(t, m, testKey, content(5000))))
		return code, text
	}
	if code, text := put(); code != http.StatusPreconditionFailed {
		t.Fatalf("another kernel's: %d %s", code, text)
	}
	r.u.Gokrazy(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { kernel("new") })).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "PUT", "/update/boot", strings.NewReader("x")))
	r.up += gokTime
	m.Kernel = fmt.Sprintf("%x", sha256.Sum256([]byte("new")))
	if code, text := put(); code != http.StatusOK {
		t.Errorf("the new kernel's: %d %s", code, text)
	}
}

// deadlines is a connection that writes down how long a reader may wait.
type deadlines struct {
	*httptest.ResponseRecorder
	set []bool // whether there is one, call by call
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.set = append(d.set, !at.IsZero())
	return nil
}

// TestGokMayNotStall: one that does would keep all others out. Once all has come
// there is no deadline: init may take longer to write it.
func TestGokMayNotStall(t *testing.T) {
	r := newRig(t)
	d := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	init := http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		if _, err := io.ReadFull(q.Body, make([]byte, 4)); err != nil || len(d.set) == 0 || !d.set[len(d.set)-1] {
			t.Errorf("%v; while it comes, deadlines are %v", err, d.set)
		}
		_, _ = io.Copy(io.Discard, q.Body)
	})
	r.u.Gokrazy(init).ServeHTTP(d, httptest.NewRequestWithContext(t.Context(), "PUT", "/update/root", strings.NewReader("new root")))
	if len(d.set) == 0 || d.set[len(d.set)-1] {
		t.Errorf("after the end, deadlines are %v", d.set)
	}
}
