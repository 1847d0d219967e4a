package main

import (
	"bytes"
	"context"
	"errors"
	"testing"
)

// TestOneBuildAtATime has a second build that is given up while it waits, and a
// third that gets its turn when the first ends.
func TestOneBuildAtATime(t *testing.T) {
	t.Chdir(t.TempDir())
	var out bytes.Buffer
	first, err := lock(t.Context(), &out)
	if err != nil || out.Len() > 0 {
		t.Fatalf("%v, %q", err, out.String())
	}
	given, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lock(given, &out); !errors.Is(err, context.Canceled) {
		t.Errorf("while one builds: %v", err)
	}
	const told = "image: another build is running in this folder; waiting for its end\n"
	if out.String() != told {
		t.Errorf("said %q", out.String())
	}
	third := make(chan error)
	waits := writer(func([]byte) { first.Close() }) // the first ends once the third waits
	go func() {
		l, err := lock(t.Context(), waits)
		if err == nil {
			err = l.Close()
		}
		third <- err
	}()
	if err := <-third; err != nil {
		t.Error(err)
	}
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }
