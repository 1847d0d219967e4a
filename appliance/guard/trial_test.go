package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTrial: guard ends a trial at its time or when boxd dies too often, and
// never what is no trial.
func TestTrial(t *testing.T) {
	unreadable := errors.New("no such card")
	for _, tt := range []struct {
		name   string
		on     bool
		err    error
		up     time.Duration
		ends   bool // by the clock
		reason string
	}{
		{"no trial", false, nil, time.Hour, false, ""},
		{"early", true, nil, 179 * time.Second, false, ""},
		{"late", true, nil, 180 * time.Second, true, "within 3m0s; it does not answer: refused"},
		{"the card can't be read", true, unreadable, 4 * time.Minute, true, "no such card"},
	} {
		restarts := 0
		tr := &trial{
			uncommitted: func() (bool, error) { return tt.on, tt.err }, uptime: func() (time.Duration, error) { return tt.up, nil },
			reason: filepath.Join(t.TempDir(), "videobox", "update.guard"), restart: func(string) error { restarts++; return nil },
		}
		tr.check(errors.New("refused"))
		said, _ := os.ReadFile(tr.reason)
		if (restarts == 1) != tt.ends || !strings.Contains(string(said), tt.reason) {
			t.Errorf("%s: %d restarts, %q; want %v, %q", tt.name, restarts, said, tt.ends, tt.reason)
		}
		tr.end("boxd died too often")
		if ends := restarts > 0; ends != tt.on {
			t.Errorf("%s: boxd dies: %d restarts", tt.name, restarts)
		}
	}
}
