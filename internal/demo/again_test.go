package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
)

// impatient is a clock at which every wait is over, and how long they were.
type impatient struct {
	*clock.Held
	waits []time.Duration
}

func (c *impatient) After(t int64) (<-chan struct{}, func()) {
	c.waits = append(c.waits, time.Duration(t-c.Now()))
	c.Set(t)
	return c.Held.After(t)
}

func TestWhatFailsIsTriedAgain(t *testing.T) {
	broken := errors.New("a bad moment")
	for _, c := range []struct{ failures, calls int }{{0, 1}, {1, 2}, {2, 3}, {3, 3}} {
		held, calls := &impatient{Held: clock.NewHeld(1)}, 0
		err := again(t.Context(), held, func() error {
			if calls++; calls <= c.failures {
				return broken
			}
			return nil
		})
		if calls != c.calls || (err != nil) != (c.failures == tries) || len(held.waits) != c.calls-1 {
			t.Errorf("%d failures: called %d times, waited %v, %v", c.failures, calls, held.waits, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	err := again(ctx, &impatient{Held: clock.NewHeld(1)}, func() error { calls++; cancel(); return broken })
	if calls != 1 || err != broken {
		t.Errorf("after Ctrl-C: called %d times, %v", calls, err)
	}
}

// A registry that answers at the third try is as good as one that does at once.
func TestPackagesAreFetchedAgain(t *testing.T) {
	tgz, sum := archive(t, "package/x.js", "code")
	asked := 0
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch asked++; asked {
		case 1:
			http.Error(w, "bad gateway", http.StatusBadGateway)
		case 2:
			w.Write(tgz[:len(tgz)/2])
		default:
			w.Write(tgz)
		}
	}))
	defer registry.Close()
	t.Setenv("NPM_CONFIG_REGISTRY", registry.URL)
	to := filepath.Join(t.TempDir(), "x.js")
	p := npmPackage{name: "x", version: "1.0.0", sha512: sum, from: "package/x.js", to: to}
	if err := again(t.Context(), &impatient{Held: clock.NewHeld(1)}, func() error { return fetch(t.Context(), p) }); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(to); string(b) != "code" {
		t.Errorf("%q, %v, asked %d times", b, err, asked)
	}
}
