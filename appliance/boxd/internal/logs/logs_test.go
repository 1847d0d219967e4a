package logs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ready = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func newRing(dir, boot string) *Ring {
	return NewRing(dir, boot, ready, clock.NewHeld(1_800_000_000_000_000_000))
}

func (r *Ring) say(program, text string) {
	r.Add(Line{Program: program, Level: levelOf(text), Text: text})
}

func read(t *testing.T, r *Ring, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
	return w.Code, w.Body.String()
}

func TestTheBootBeforeIsKept(t *testing.T) {
	dir := t.TempDir()
	first := newRing(dir, "boot-1")
	first.begin()
	first.say("capture", "old news")
	first.flush()
	second := newRing(dir, "boot-2")
	second.begin()
	second.say("record", "news")
	second.say("capture", "more\nnews\x00")
	for path, want := range map[string]string{
		"/log/previous.txt":             "capture old news\n",
		"/log/boot.txt?program=record":  "record news\n",
		"/log/boot.txt?program=capture": "capture more news \n",
	} {
		if code, body := read(t, second, path); code != http.StatusOK || !strings.HasSuffix(body, want) || strings.Contains(path, "boot.txt") == strings.Contains(body, "old") {
			t.Errorf("%s: %d %q, want %q", path, code, body, want)
		}
	}
	if code, _ := read(t, first, "/log/nothing.txt"); code != http.StatusNotFound {
		t.Errorf("nothing.txt: %d", code)
	}
	if _, body := read(t, second, "/log/"); !strings.Contains(body, "boot.txt?program=record") || !strings.Contains(body, "(2 starts)") {
		t.Errorf("index %s", body)
	}
}

func TestTheRingIsBounded(t *testing.T) {
	dir := t.TempDir()
	r := newRing(dir, "boot")
	r.begin()
	line := strings.Repeat("x", lineBytes)
	for range 12 * fileBytes / flushBytes {
		for range flushBytes/lineBytes + 8 { // more than is taken at once
			r.say("capture", line)
		}
		r.flush()
	}
	list, err := r.files()
	if err != nil || len(list) != fileCount {
		t.Fatalf("%d files, %v", len(list), err)
	}
	for _, f := range list {
		if info, err := os.Stat(f.path); err != nil || info.Size() > fileBytes+lineBytes {
			t.Errorf("%s: %d bytes, %v", f.path, info.Size(), err)
		}
	}
	if _, body := read(t, r, "/log/boot.txt?program=log"); !strings.Contains(body, "lines left out") {
		t.Error("what was left out isn't said")
	}
}

// TestFlushing: every five seconds, at once for an error, and at the end.
func TestFlushing(t *testing.T) {
	dir := t.TempDir()
	r := newRing(dir, "boot")
	clk := r.clk.(*clock.Held)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	wait := func() {
		t.Helper()
		if _, err := clk.Waited(ctx); err != nil {
			t.Fatal(err)
		}
	}
	holds := func(text string) bool {
		data, _ := os.ReadFile(filepath.Join(dir, "00000001.log"))
		return strings.Contains(string(data), text)
	}
	wait()
	r.say("capture", "one")
	clk.Advance(flushEvery)
	wait()
	if !holds("capture one") {
		t.Error("nothing after five seconds")
	}
	r.say("capture", "level=ERROR two")
	for deadline := time.Now().Add(10 * time.Second); !holds("two"); {
		if time.Now().After(deadline) {
			t.Fatal("an error is not written at once")
		}
	}
	r.say("capture", "three")
	if holds("three") {
		t.Error("what is no error is written at once")
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || !holds("three") {
		t.Errorf("at the end: %v, kept %v", err, holds("three"))
	}
}

// fakeInit answers like gokrazy's init: what it has kept, then what comes.
func fakeInit(t *testing.T, kept []string, more <-chan string) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "init.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/log" || r.FormValue("path") != "/user/capture" || r.Header.Get("Accept") != "text/event-stream" {
			http.NotFound(w, r)
			return
		}
		send := func(text string) {
			fmt.Fprintf(w, "event: stderr\ndata: %s\n\n", text)
			w.(http.Flusher).Flush()
		}
		for _, k := range kept {
			send(k)
		}
		for {
			select {
			case m := <-more:
				send(m)
			case <-r.Context().Done():
				return
			}
		}
	})}
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
	return socket
}

// TestFollow has init tell again what the ring holds already, as after a
// restart of boxd alone.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	before := newRing(dir, "boot")
	before.begin()
	before.say("capture", "one")
	before.say("capture", "two")
	before.flush()
	lines := make(chan Line, 10)
	r := NewRing(dir, "boot", ready, clock.NewHeld(1_800_000_000_000_000_000), func(l Line) { lines <- l })
	more := make(chan string)
	socket := fakeInit(t, []string{"one", "two", "three"}, more)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Follow(ctx, socket, []string{"/user/capture"}) }()
	if l := <-lines; l.Text != "three" || l.Program != "capture" {
		t.Errorf("first new line %+v", l)
	}
	more <- "time=x level=ERROR msg=boom"
	if l := <-lines; l.Level != Error {
		t.Errorf("%+v", l)
	}
	more <- "one" // said again now
	if l := <-lines; l.Text != "one" || l.Level != Info {
		t.Errorf("%+v", l)
	}
	cancel()
	<-ended
}

func TestKernelRecords(t *testing.T) {
	for text, want := range map[string]Line{
		"2,339,5140900,-;Undervoltage detected!\n SUBSYSTEM=x\n": {Program: "kernel", Level: Error, Text: "[5.140900] Undervoltage detected!"},
		"4,1,1000001,-;usb 1-1: reset":                           {Program: "kernel", Level: Warning, Text: "[1.000001] usb 1-1: reset"},
		"6,1,1,-;chatter":                                        {},
		"12,1,1,-;of a program":                                  {},
		"nonsense":                                               {},
	} {
		if l, ok := record(text); l.Text != want.Text || l.Level != want.Level || ok != (want.Text != "") {
			t.Errorf("%q: %+v, %v", text, l, ok)
		}
	}
}

func TestSyslog(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	s := NewSyslog(func() string { return server.LocalAddr().String() }, func() string { return "box 7" })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	s.Add(Line{time.Unix(1_800_000_000, 5e6), "capture", Error, "boom"})
	b := make([]byte, 3000)
	server.SetReadDeadline(time.Now().Add(20 * time.Second))
	n, _, err := server.ReadFrom(b)
	if want := "<27>1 2027-01-15T08:00:00.005Z box7 capture - - - boom"; err != nil || string(b[:n]) != want {
		t.Errorf("%q, %v, want %q", b[:n], err, want)
	}
	cancel()
	<-ended
	for range 2 * queued {
		s.Add(Line{}) // nobody takes them, and nobody waits
	}
	if n := len(message(Line{Text: strings.Repeat("x", 5000)}, "")); n != maxMessage {
		t.Errorf("a message of %d bytes", n)
	}
}
