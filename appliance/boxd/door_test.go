package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/self"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/run"
)

// TestNobodyIsTurnedAway asks a page all the time, while it starts again for
// another room: each question is answered.
func TestNobodyIsTurnedAway(t *testing.T) {
	at := nowhere(t)
	config := testEvent(t, nowhere(t), nowhere(t), "")
	if err := os.WriteFile(filepath.Join(filepath.Dir(config), self.NameFile), []byte("box1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	g := run.NewGroup(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	g.Go("", func(context.Context) error {
		return cli{Config: config, Name: self.Auto, Recordings: t.TempDir(), HTTP: at}.pages(ctx, nil)
	})
	defer func() { cancel(); g.Wait() }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func() (metrics.Status, error) { return metrics.Fetch(t.Context(), client, "http://"+at) }
	eventually(t, "the page is there", func() bool { _, err := ask(); return err == nil })
	event, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	event = []byte(strings.Replace(string(event), "name: demo", "name: hall", 1))
	later := time.Now().Add(time.Second) // than the file's own time, however coarse
	if err := errors.Join(os.WriteFile(config+".new", event, 0o644), os.Chtimes(config+".new", later, later), os.Rename(config+".new", config)); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; {
		s, err := ask()
		if err != nil {
			t.Fatalf("turned away: %v", err)
		}
		if s.Room == "hall" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the room is still %q", s.Room)
		}
	}
}
