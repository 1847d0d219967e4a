package console

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestLines(t *testing.T) {
	for want, s := range map[string]State{
		"videobox: box7, no room yet, no address yet, ok":                                    {Name: "box7", State: "ok"},
		"videobox: box7, janson slides, http://192.0.2.7/ (also fd00::7), failed: disk full": {Name: "box7", Room: "janson", Role: "slides", Addresses: []string{"192.0.2.7", "fd00::7"}, State: "failed", Cause: "disk full"},
		"videobox: box7, no room yet, http://[fd00::7]/, ok":                                 {Name: "box7", Addresses: []string{"fd00::7"}, State: "ok"},
	} {
		if got := s.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestSaidOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := Run(ctx, path, func() State { cancel(); return State{Name: "a", State: "ok"} })
	data, _ := os.ReadFile(path)
	if !errors.Is(err, context.Canceled) || string(data) != "videobox: a, no room yet, no address yet, ok\r\n" {
		t.Errorf("%q, %v", data, err)
	}
}
