package vm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"github.com/openvideobox/videobox/internal/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSerialConsole(t *testing.T) {
	got := serialConsole("console=tty1 console=serial0,115200 root=PARTUUID=1/PARTNROFF=1 ro   panic=10\n")
	if want := "console=ttyAMA0,115200 root=PARTUUID=1/PARTNROFF=1 ro panic=10"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestBoxPermIsAnEvent(t *testing.T) {
	files, err := BoxPerm("secret")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e, err := event.Load(filepath.Join(dir, "event.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Box("videobox"); err != nil {
		t.Error(err)
	}
	if l := e.Secrets.Box; l.User != User || bcrypt.CompareHashAndPassword([]byte(l.Bcrypt), []byte("secret")) != nil {
		t.Errorf("login %+v", l)
	}
	if !json.Valid([]byte(files["capture.json"])) {
		t.Errorf("capture.json: %s", files["capture.json"])
	}
}

func TestExtentsAreTheData(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(64 << 20); err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{1 << 20, 32 << 20} {
		if _, err := f.WriteAt([]byte("data"), at); err != nil {
			t.Fatal(err)
		}
	}
	list, err := extents(f)
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	for _, at := range []int64{1 << 20, 32 << 20} {
		if !slices.ContainsFunc(list, func(e extent) bool { return e.start <= at && at+4 <= e.start+e.length }) {
			t.Errorf("nothing at %d: %v", at, list)
		}
	}
	for _, e := range list {
		total += e.length
	}
	if total > 16<<20 { // a file system without holes has one extent, which is right too but slow
		t.Logf("this file system keeps no holes: %v", list)
	}
}

func TestConsole(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "serial.log")
	c, err := newConsole(log)
	if err != nil {
		t.Fatal(err)
	}
	done := c.follow(r)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	io.WriteString(w, "one\r\ntwo three\n")
	if line, err := c.Wait(ctx, "three"); line != "two three" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	if line, err := c.Wait(ctx, "one"); line != "one" || err != nil {
		t.Errorf("a line written before: %q, %v", line, err)
	}
	over, stop := context.WithCancel(ctx)
	stop()
	if _, err := c.Wait(over, "four"); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	io.WriteString(w, "the end")
	w.Close()
	<-done
	mark := c.Mark()
	r, w, err = os.Pipe() // the machine has booted again
	if err != nil {
		t.Fatal(err)
	}
	done = c.follow(r)
	io.WriteString(w, "one more\n")
	if line, err := c.WaitFrom(ctx, mark, "one"); line != "one more" || err != nil {
		t.Errorf("from a mark on: %q, %v", line, err)
	}
	w.Close()
	<-done
	c.end()
	if _, err := c.Wait(ctx, "four"); err == nil || !strings.Contains(err.Error(), "one more") {
		t.Errorf("after the end: %v", err)
	}
	if data, err := os.ReadFile(log); err != nil || string(data) != "one\r\ntwo three\nthe endone more\n" {
		t.Errorf("log %q, %v", data, err)
	}
}

// monitor answers commands as QEMU does, with an event before each answer.
func monitor(t *testing.T, answers map[string]string) *qmp {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.WriteString(theirs, `{"QMP": {"version": {}, "capabilities": []}}`+"\n")
		for s := bufio.NewScanner(theirs); s.Scan(); {
			var c struct{ Execute string }
			json.Unmarshal(s.Bytes(), &c)
			a, ok := answers[c.Execute]
			if !ok {
				a = `{"return": {}}`
			}
			if a == "" {
				continue // says nothing
			}
			io.WriteString(theirs, `{"event": "RESUME", "data": {}}`+"\n"+a+"\n")
		}
		theirs.Close()
	}()
	q, err := newQMP(ours)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.close(); <-done })
	return q
}

func TestMonitor(t *testing.T) {
	q := monitor(t, map[string]string{
		"query-status": `{"return": {"status": "running"}}`,
		"nonsense":     `{"error": {"class": "CommandNotFound", "desc": "no such command"}}`,
		"silent":       "",
	})
	if raw, err := q.command(t.Context(), "query-status", nil); err != nil || !strings.Contains(string(raw), "running") {
		t.Errorf("%s, %v", raw, err)
	}
	if _, err := q.command(t.Context(), "nonsense", nil); err == nil || err.Error() != "no such command" {
		t.Errorf("nonsense: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.command(ctx, "silent", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("silent: %v", err)
	}
	if _, err := q.command(t.Context(), "query-status", nil); !errors.Is(err, errMonitorGone) {
		t.Errorf("after a command was given up: %v", err)
	}
}

func TestStartSaysWhatIsMissing(t *testing.T) {
	_, err := Start(t.Context(), Config{Image: filepath.Join(t.TempDir(), "none.img"), Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "make image") {
		t.Errorf("without an image: %v", err)
	}
}
