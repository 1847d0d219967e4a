package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// debian is a mirror, a pool and a snapshot, each of which has the package, has
// another file of its name, or has none.
type debian struct {
	mirror, updated, pool, snapshot string // what it gives; "" for none
	asked                           []string
}

// run is apt-get.
func (d *debian) run(_ context.Context, dir string, argv ...string) error {
	d.asked = append(d.asked, argv[slices.Index(argv, "apt-get")+1])
	gives := d.mirror
	if slices.Contains(d.asked, "update") {
		gives = d.updated
	}
	switch {
	case slices.Contains(argv, "update"):
		return nil
	case gives == "":
		return errors.New("E: Version '1-1' for 'linux' was not found")
	}
	return os.WriteFile(filepath.Join(dir, "linux_1-1_all.deb"), []byte(gives), 0o644)
}

func (d *debian) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	gives, ok := map[string]string{"/pool/linux_1-1_all.deb": d.pool, "/file/5ba93c": d.snapshot}[r.URL.Path]
	d.asked = append(d.asked, strings.Split(r.URL.Path, "/")[1])
	if !ok || gives == "" {
		http.Error(w, "none", http.StatusNotFound)
		return
	}
	if gives == "cut" { // the connection breaks in the middle
		w.Header().Set("Content-Length", "1000")
		gives = "good"
	}
	_, _ = w.Write([]byte(gives))
}

func TestTheSourceHasFourWaysIn(t *testing.T) {
	sum := sha256.Sum256([]byte("good"))
	for name, c := range map[string]struct {
		debian debian
		asked  string
		bad    bool
	}{
		"the mirror has it":         {debian{mirror: "good"}, "download", false},
		"old lists":                 {debian{updated: "good"}, "download update download", false},
		"superseded on the mirror":  {debian{pool: "good"}, "download update download pool", false},
		"superseded everywhere":     {debian{snapshot: "good"}, "download update download pool file", false},
		"the mirror has another":    {debian{mirror: "evil", updated: "evil", pool: "good"}, "download update download pool", false},
		"the pool has another":      {debian{pool: "evil", snapshot: "good"}, "download update download pool file", false},
		"the pool breaks off":       {debian{pool: "cut", snapshot: "good"}, "download update download pool file", false},
		"nobody has it":             {debian{}, "download update download pool file", true},
		"all have another":          {debian{"evil", "evil", "evil", "evil", nil}, "download update download pool file", true},
		"only a broken one is left": {debian{snapshot: "cut"}, "download update download pool file", true},
	} {
		d := c.debian
		server := httptest.NewServer(&d)
		p := pinned{name: "linux", version: "1-1", pool: server.URL + "/pool/", snapshot: server.URL + "/file/5ba93c", sha256: hex.EncodeToString(sum[:])}
		dir := t.TempDir()
		path := filepath.Join(dir, p.file())
		err := p.fetchBy(t.Context(), path, ways{d.run, server.Client()})
		server.Close()
		if got := strings.Join(d.asked, " "); got != c.asked {
			t.Errorf("%s: asked %s; want %s", name, got, c.asked)
		}
		left, _ := os.ReadDir(dir)
		switch {
		case !c.bad && (err != nil || p.check(path) != nil || len(left) != 1):
			t.Errorf("%s: %v, %d files", name, err, len(left))
		case c.bad && (err == nil || len(left) != 0):
			t.Errorf("%s: %v, and %d files are left", name, err, len(left))
		}
		for _, way := range []string{"apt-get download", "apt-get update", p.url(), p.snapshot, p.file(), "apt-cache madison"} {
			if c.bad && !strings.Contains(err.Error(), way) {
				t.Errorf("%s: %v; it doesn't name %s", name, err, way)
			}
		}
	}
}

// TestFetchingStopsWhenToldTo: Ctrl-C is no reason to try the next way.
func TestFetchingStopsWhenToldTo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	run := func(context.Context, string, ...string) error { asked++; cancel(); return errors.New("killed") }
	err := source.fetchBy(ctx, filepath.Join(t.TempDir(), source.file()), ways{run, http.DefaultClient})
	if !errors.Is(err, context.Canceled) || asked != 1 {
		t.Errorf("%v after %d tries", err, asked)
	}
}

// TestSnapshotNamesAFile: by SHA-1, which Debian doesn't show beside the pool.
func TestSnapshotNamesAFile(t *testing.T) {
	name, ok := strings.CutPrefix(source.snapshot, "https://snapshot.debian.org/file/")
	if sum, err := hex.DecodeString(name); !ok || err != nil || len(sum) != 20 {
		t.Errorf("%s: want https://snapshot.debian.org/file/ and a SHA-1", source.snapshot)
	}
}
