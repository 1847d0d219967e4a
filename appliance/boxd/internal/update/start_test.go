package update

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/slot"
	"github.com/openvideobox/videobox/internal/metrics"
)

// TestPowerCutInASwitch: the box starts with one root, and the boot partition
// names the other. It must go on taking bundles; but a switch that waits for its
// restart is not undone by a boxd that starts again.
func TestPowerCutInASwitch(t *testing.T) {
	r := newRig(t)
	file := pack(t, manifest(), testKey, content(5000))
	r.stop()
	r.switchTo(3)
	r.start()
	if code, _, text := r.ask("PUT", "/api/update", bytes.NewReader(file)); code != http.StatusConflict || !strings.Contains(text, "waits for a restart") {
		t.Errorf("boxd starts again after a switch: %d %s", code, text)
	}
	r.stop()
	if err := os.RemoveAll(r.file("run")); err != nil { // the box starts again, and root A runs all the same
		t.Fatal(err)
	}
	r.start()
	r.must("PUT", "/api/update", bytes.NewReader(file), Ready)
	r.must("POST", "/api/update/start", nil, Trial)
}

// TestTrialBeforeTheData: a trial is told before the data partition may be used,
// which can take its time, and the page answers before.
func TestTrialBeforeTheData(t *testing.T) {
	r := newRig(t)
	r.must("PUT", "/api/update", bytes.NewReader(pack(t, manifest(), testKey, content(5000))), Ready)
	r.must("POST", "/api/update/start", nil, Trial)
	r.stop()
	r.card.Running = 3
	ready := make(chan struct{})
	u := New(Options{
		Dir: r.file("perm"), Ready: ready, Run: r.file("run"), Etc: r.file("etc"), Clock: r.clock,
		Talk: func(context.Context, time.Time) (string, error) { return "", nil },
		Card: func() (slot.Card, error) { return r.card, nil }, Uptime: func() time.Duration { return 6 * time.Second },
	})
	r.u = u
	if _, s, _ := r.ask("GET", "/api/update", nil); s.State != Trial || s.Refused == "" {
		t.Errorf("%+v", s)
	}
	w := httptest.NewRecorder()
	u.Gokrazy(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "PUT", "/update/root", strings.NewReader("x")))
	if on, err := os.ReadFile(r.file("p2")); w.Code != http.StatusConflict || err != nil || on[0] != 2 {
		t.Errorf("gok over the root to go back to: %d %s, %v, begins with %d", w.Code, w.Body, err, on[0])
	}
	if f := u.Finding(); f.State != metrics.Starting {
		t.Errorf("on the screen: %+v", f)
	}
}

// TestStartThatFails leaves the box as it was: the next restart, whoever's it is,
// must not begin a trial.
func TestStartThatFails(t *testing.T) {
	full := func(r *rig) { // the data partition takes nothing
		r.t.Helper()
		if err := errors.Join(os.RemoveAll(r.file("perm/"+recordFile)), os.MkdirAll(r.file("perm/"+recordFile+"/x"), 0o700)); err != nil {
			r.t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		before, between func(*rig)
		state           State
	}{
		"no restart":                  {func(r *rig) { r.stuck = errors.New("init hangs") }, func(*rig) {}, Failed},
		"nothing can be written":      {full, nil, Ready},
		"nothing more can be written": {func(*rig) {}, full, Failed},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.must("PUT", "/api/update", bytes.NewReader(pack(t, manifest(), testKey, content(5000))), Ready)
			was := r.boot()
			tt.before(r)
			begin, err := r.u.start(t.Context(), nil)
			if (err != nil) != (tt.between == nil) {
				t.Fatal(err)
			}
			if begin != nil {
				tt.between(r)
				begin()
			}
			if now := r.boot(); now != was {
				t.Errorf("the next start is a trial that nobody asked for: %q", now)
			}
			if s := r.u.Status(); s.State != tt.state {
				t.Errorf("%+v, %+v", s, s.Last)
			}
		})
	}
}
