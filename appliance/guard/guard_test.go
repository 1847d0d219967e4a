package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/metrics"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	goleak.VerifyTestMain(m)
}

func TestJudge(t *testing.T) {
	start := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name    string
		answers func(at time.Duration) bool
		length  time.Duration
		kills   int
		restart int
		first   time.Duration
	}{
		{"always", func(time.Duration) bool { return true }, time.Hour, 0, 0, 0},
		{"never", func(time.Duration) bool { return false }, 5 * time.Minute, 8, 1, 30 * time.Second},
		{"a short hang", func(at time.Duration) bool { return at < 10*time.Second || at >= 35*time.Second }, time.Hour, 0, 0, 0},
		{"one hang", func(at time.Duration) bool { return at < 10*time.Second || at >= 40*time.Second }, time.Hour, 1, 0, 35 * time.Second},
		{"a hang every six minutes", func(at time.Duration) bool { return at%(6*time.Minute) < 5*time.Minute+25*time.Second }, time.Hour, 10, 0, 5*time.Minute + 50*time.Second},
		{"a hang every two minutes", func(at time.Duration) bool { return at%(2*time.Minute) < 85*time.Second }, 12 * time.Minute, 2, 4, 110 * time.Second},
	} {
		j, kills, restarts, first := judge{}, 0, 0, time.Duration(0)
		for at := time.Duration(0); at < tt.length; at += interval {
			switch j.check(start.Add(at), tt.answers(at)) {
			case kill:
				kills++
			case restart:
				restarts++
			default:
				continue
			}
			if first == 0 {
				first = at
			}
		}
		if kills != tt.kills || restarts != tt.restart || first != tt.first {
			t.Errorf("%s: %d kills, %d restarts, the first after %v; want %d, %d, %v", tt.name, kills, restarts, first, tt.kills, tt.restart, tt.first)
		}
	}
}

func TestWatch(t *testing.T) {
	healthy := true
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !healthy {
			panic(http.ErrAbortHandler) // no answer at all
		}
		http.Error(w, "the disk is full", http.StatusServiceUnavailable) // is one
	}))
	defer web.Close()
	r := metrics.New("guard", "box1")
	w := newWatch("box1", web.URL, r)
	killed, restarted := 0, 0
	w.kill = func(box string) (int, error) { killed++; return 1, nil }
	w.reboot = func() error { restarted++; return errors.New("not here") }
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	rounds := func(n int) {
		for range n {
			w.round(t.Context(), at)
			at = at.Add(interval)
		}
	}
	rounds(20)
	if killed != 0 || r.Status().Health[0].State != metrics.OK {
		t.Errorf("a boxd that answers is killed %d times: %+v", killed, r.Status().Health)
	}
	healthy = false
	rounds(20)
	if killed != 3 || restarted != 1 {
		t.Errorf("%d kills, %d restarts in 100 s", killed, restarted)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.round(ctx, at.Add(time.Hour))
	if killed != 3 {
		t.Error("it kills while it ends")
	}
}

func TestFindsItsBoxOnly(t *testing.T) {
	for line, want := range map[string]bool{
		"boxd\x00--name\x00box1\x00":                          true,
		"/user/boxd\x00--config\x00e.yaml\x00--name=box1\x00": true,
		"boxd\x00--name\x00box2\x00":                          false,
		"boxd\x00--name=box12\x00":                            false,
		"boxd\x00--name\x00":                                  false,
		"guard\x00--name\x00box1\x00":                         false,
		"vi\x00boxd\x00--name\x00box1\x00":                    false,
		"":                                                    false,
	} {
		if isBoxd([]byte(line), "box1") != want {
			t.Errorf("%q: %v", line, !want)
		}
	}
}

// A process that is called boxd is found and killed.
func TestKills(t *testing.T) {
	box := "guard-test-" + filepath.Base(t.TempDir())
	cmd := exec.Command("/bin/sh", "-c", "read x", "--name", box)
	cmd.Args[0] = "boxd"
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n, err := killBoxd(box)
	if n != 1 || err != nil {
		cmd.Process.Kill()
		t.Errorf("killed %d, %v", n, err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("it ended by %v", err)
	}
	if n, _ := killBoxd(box); n != 0 {
		t.Errorf("killed %d again", n)
	}
}

func TestLeavesOtherHostsAlone(t *testing.T) {
	if init, err := os.Readlink("/proc/1/exe"); err == nil && init == "/gokrazy/init" {
		t.Skip("this is a box")
	}
	if err := reboot(); err == nil {
		t.Error("it would have restarted this host")
	}
}
