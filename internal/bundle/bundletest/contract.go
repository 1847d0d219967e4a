// Package bundletest is what a box answers to whoever brings it a bundle, as a
// test: boxd's updates must pass it, and so must the simulated boxes with which
// images/fleet is tested. Tests only.
package bundletest

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/openvideobox/videobox/internal/bundle"
)

// Subject is a box with nothing received, not in use, and no trial behind it.
type Subject struct {
	Handler http.Handler // of /api/update and /api/busy, behind no credentials
	Key     ed25519.PrivateKey
	// What the box runs.
	Version, Board, Arch string
	Build                int64
}

// state is what is read of GET /api/update.
type state struct {
	State   string `json:"state"`
	Running struct {
		Version string `json:"version"`
		Build   int64  `json:"build"`
		Board   string `json:"board"`
	} `json:"running"`
	Incoming struct {
		Version  string `json:"version"`
		Build    int64  `json:"build"`
		Received int64  `json:"received"`
		Size     int64  `json:"size"`
	} `json:"incoming"`
	Refused string `json:"refused"`
	Busy    struct {
		Reason string `json:"reason"`
	} `json:"busy"`
	Error string `json:"error"`
}

// Contract goes through an update up to its trial, with every refusal there is
// on the way. A Subject is used once.
func Contract(t *testing.T, s Subject) {
	c := contract{t, s}
	m := bundle.Manifest{Board: s.Board, Arch: s.Arch, Version: "contract", Build: s.Build + 1000}
	whole := c.bundle(m, s.Key)
	head, err := bundle.Unverified(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	start := int64(len(head.Raw))
	one := start + bundle.ChunkSize

	c.at("new", "idle", 0)
	if now := c.get(); now.Running.Version != s.Version || now.Running.Build != s.Build || now.Running.Board != s.Board || now.Refused != "" || now.Busy.Reason != "" {
		t.Errorf("new: %+v", now)
	}
	c.refused("nothing to start", "POST", "/api/update/start", nil, http.StatusConflict)
	c.refused("no bundle", "PUT", "/api/update?offset=0", make([]byte, 1<<10), http.StatusBadRequest)
	c.refused("another key", "PUT", "/api/update?offset=0", c.bundle(m, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{77}, ed25519.SeedSize))), http.StatusForbidden)
	other := m
	other.Board = "another-board"
	c.refused("another board", "PUT", "/api/update?offset=0", c.bundle(other, s.Key), http.StatusPreconditionFailed)
	c.at("after all that", "idle", 0)

	// Cut off in the middle of the second chunk; what counts are whole ones.
	c.taken("the first part", "PUT", "/api/update?offset=0", whole[:one+bundle.ChunkSize/2])
	now := c.at("a part", "receiving", one)
	if now.Incoming.Version != m.Version || now.Incoming.Build != m.Build || now.Incoming.Size != int64(len(whole)) {
		t.Errorf("a part: %+v", now.Incoming)
	}
	c.refused("a wrong offset", "PUT", fmt.Sprintf("/api/update?offset=%d", one+1), whole[one+1:], http.StatusConflict)
	c.refused("not whole", "POST", "/api/update/start", nil, http.StatusConflict)
	bad := bytes.Clone(whole)
	bad[one+10] ^= 1
	c.refused("a damaged chunk", "PUT", fmt.Sprintf("/api/update?offset=%d", one), bad[one:], http.StatusBadRequest)
	c.at("after a damaged chunk", "receiving", one)
	c.taken("the rest", "PUT", fmt.Sprintf("/api/update?offset=%d", one), whole[one:])
	c.at("all of it", "ready", int64(len(whole)))

	c.taken("drop", "DELETE", "/api/update", nil)
	c.at("dropped", "idle", 0)

	older := m
	older.Build = s.Build - 1000
	c.taken("an older one", "PUT", "/api/update?offset=0", c.bundle(older, s.Key))
	c.refused("older", "POST", "/api/update/start", nil, http.StatusPreconditionFailed)
	c.taken("a bundle over another", "PUT", "/api/update?offset=0", whole)
	c.at("the last one counts", "ready", int64(len(whole)))

	c.taken("busy", "PUT", "/api/busy", []byte(`{"busy": true, "reason": "rehearsal"}`))
	if now := c.get(); now.Busy.Reason != "rehearsal" || now.Refused == "" {
		t.Errorf("busy: %+v", now)
	}
	c.refused("busy", "POST", "/api/update/start?force=older", nil, http.StatusConflict)
	c.taken("start", "POST", "/api/update/start?force=older,busy", nil)
	if now := c.get(); now.State != "trial" {
		t.Errorf("after start: %+v", now)
	}
}

type contract struct {
	*testing.T
	s Subject
}

// bundle is one of three chunks, the last one short.
func (c contract) bundle(m bundle.Manifest, key ed25519.PrivateKey) []byte {
	c.Helper()
	root := make([]byte, 5<<19)
	_, _ = rand.NewChaCha8([32]byte{3}).Read(root)
	var out bytes.Buffer
	if err := bundle.Write(&out, m, key, bundle.Payload{Name: bundle.Root, ReaderAt: bytes.NewReader(root), Size: int64(len(root))}); err != nil {
		c.Fatal(err)
	}
	return out.Bytes()
}

func (c contract) ask(method, path string, body []byte) (code int, s state) {
	c.Helper()
	var from io.Reader
	if body != nil {
		from = bytes.NewReader(body)
	}
	w := httptest.NewRecorder()
	c.s.Handler.ServeHTTP(w, httptest.NewRequestWithContext(c.Context(), method, path, from))
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil {
			c.Errorf("%s %s: %d %q: %v", method, path, w.Code, w.Body, err)
		}
	}
	return w.Code, s
}

func (c contract) get() state {
	c.Helper()
	code, s := c.ask("GET", "/api/update", nil)
	if code != http.StatusOK {
		c.Errorf("GET /api/update: %d", code)
	}
	return s
}

func (c contract) at(what, state string, received int64) state {
	c.Helper()
	s := c.get()
	if s.State != state || s.Incoming.Received != received {
		c.Errorf("%s: state %q with %d bytes received, want %q with %d", what, s.State, s.Incoming.Received, state, received)
	}
	return s
}

// taken wants any code of success.
func (c contract) taken(what, method, path string, body []byte) {
	c.Helper()
	if code, s := c.ask(method, path, body); code < 200 || code > 299 {
		c.Errorf("%s: %s %s: %d %q, want success", what, method, path, code, s.Error)
	}
}

// refused wants a code and the reason.
func (c contract) refused(what, method, path string, body []byte, want int) {
	c.Helper()
	if code, s := c.ask(method, path, body); code != want || s.Error == "" {
		c.Errorf("%s: %s %s: %d %q, want %d and a reason", what, method, path, code, s.Error, want)
	}
}
