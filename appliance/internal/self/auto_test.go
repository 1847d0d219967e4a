package self

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const boxFile = `event: Conf
boxes:
  - {name: NAME, address: ADDRESS}
rooms:
  - {name: ROOM, camera: NAME, mixer: {host: m}}
`

// at is a folder of files like a box's.
type at struct {
	t    *testing.T
	root string
	tick time.Time
}

func newAt(t *testing.T) *at {
	return &at{t: t, root: t.TempDir(), tick: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}
}

func (a *at) config() string {
	return filepath.Join(a.root, "run", "event.yaml") + ":" + filepath.Join(a.root, "perm", "event.yaml")
}

// write replaces a file as boxd does, each time with a later time.
func (a *at) write(name, text string) {
	a.t.Helper()
	path := filepath.Join(a.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		a.t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		a.t.Fatal(err)
	}
	a.tick = a.tick.Add(time.Second)
	if err := os.Chtimes(path+".new", a.tick, a.tick); err != nil {
		a.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		a.t.Fatal(err)
	}
}

func (a *at) box(dir, name, room, address string) {
	a.t.Helper()
	a.write(dir+"/name", name+"\n")
	a.write(dir+"/event.yaml", strings.NewReplacer("NAME", name, "ROOM", room, "ADDRESS", address).Replace(boxFile))
}

// found is what Find gave.
type found struct {
	Self
	err error
}

// finding runs find; its clock moves on with each call of next.
func (a *at) finding() (clk *clock.Held, result chan found) {
	clk = clock.NewHeld(0)
	result = make(chan found, 1)
	go func() {
		s, err := find(a.t.Context(), clk, a.config(), Auto)
		result <- found{s, err}
	}()
	return clk, result
}

func next(t *testing.T, clk *clock.Held) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := clk.Next(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestFindWaitsForBoxd(t *testing.T) {
	a := newAt(t)
	a.box("perm", "other", "hall", "192.0.2.1")
	clk, result := a.finding()
	for range 20 {
		next(t, clk)
	}
	if _, err := clk.Waited(t.Context()); err != nil { // it has looked, and waits again
		t.Fatal(err)
	}
	a.box("run", "box1", "janson", "192.0.2.2")
	next(t, clk)
	if f := <-result; f.err != nil || f.Box.Name != "box1" || f.Room != "janson" || f.Role != "camera" {
		t.Errorf("%+v", f)
	}
	if clk.Now() > int64(3*time.Second) {
		t.Errorf("found after %v", time.Duration(clk.Now()))
	}
}

func TestFindGoesOnWithoutBoxd(t *testing.T) {
	a := newAt(t)
	a.write("perm/event.yaml", strings.NewReplacer("NAME", "lonely", "ROOM", "hall", "ADDRESS", "192.0.2.1").Replace(boxFile))
	clk, result := a.finding()
	for clk.Now() < int64(patience) {
		next(t, clk)
	}
	if f := <-result; f.err != nil || f.Box.Name != "lonely" {
		t.Errorf("%+v", f)
	}
}

func TestFindNeedsToKnowWhichBox(t *testing.T) {
	a := newAt(t)
	a.write("run/event.yaml", "event: E\nboxes:\n  - {name: a}\n  - {name: b}\nrooms:\n  - {name: r, camera: a, mixer: {host: m}}\n")
	if _, err := Find(t.Context(), a.config(), Auto); err == nil || !strings.Contains(err.Error(), "2 boxes") {
		t.Errorf("two boxes and no name: %v", err)
	}
	a.write("run/name", "c\n")
	if _, err := Find(t.Context(), a.config(), Auto); err == nil || !strings.Contains(err.Error(), `no box "c"`) {
		t.Errorf("a name that isn't there: %v", err)
	}
	if s, err := Find(t.Context(), a.config(), "b"); err != nil || s.Box.Name != "b" || s.Room != "" {
		t.Errorf("by its name: %+v, %v", s, err)
	}
}

func TestFindEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := find(ctx, clock.NewHeld(0), newAt(t).config(), Auto); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// watching is a program that follows its file.
type watching struct {
	clk     *clock.Held
	changes chan Self
	ended   chan error
}

func (a *at) watching() *watching {
	a.t.Helper()
	s, err := Find(a.t.Context(), a.config(), Auto)
	if err != nil {
		a.t.Fatal(err)
	}
	w := &watching{clock.NewHeld(0), make(chan Self, 10), make(chan error, 1)}
	ctx, cancel := context.WithCancel(a.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.ended <- s.watch(ctx, w.clk, a.config(), Auto, func(s Self) error { w.changes <- s; return nil })
	}()
	a.t.Cleanup(func() { cancel(); <-done })
	return w
}

// look lets it look once, and waits until it has.
func (w *watching) look(t *testing.T) {
	t.Helper()
	next(t, w.clk)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := w.clk.Waited(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestWatchTakesARoomOverAndStartsAgainForANewName(t *testing.T) {
	a := newAt(t)
	a.box("run", "box1", "janson", "192.0.2.2")
	w := a.watching()
	w.look(t)
	a.box("run", "box1", "ferrer", "192.0.2.3")
	w.look(t)
	select {
	case s := <-w.changes:
		if s.Room != "ferrer" || s.Live().Address != "192.0.2.3:80" {
			t.Errorf("%+v", s)
		}
	default:
		t.Fatal("the new room was not seen")
	}
	a.write("run/event.yaml", strings.NewReplacer("NAME", "box1", "ROOM", "ferrer", "ADDRESS", "192.0.2.3").Replace(boxFile)+"schedule: https://pretalx.example/schedule.xml\n")
	w.look(t)
	select {
	case s := <-w.changes:
		if s.Event.Schedule != "https://pretalx.example/schedule.xml" {
			t.Errorf("%+v", s.Event)
		}
	default:
		t.Fatal("the new schedule was not seen: the box would be updated in its talks")
	}
	a.write("run/event.yaml", "nonsense")
	w.look(t)
	w.look(t)
	a.box("run", "box2", "ferrer", "192.0.2.3")
	next(t, w.clk)
	if err := <-w.ended; !errors.Is(err, ErrChanged) {
		t.Errorf("a new name: %v", err)
	}
	if len(w.changes) != 0 {
		t.Errorf("changes: %+v", <-w.changes)
	}
}

// What a box sends may not change under its readers.
func TestFixedParts(t *testing.T) {
	a := newAt(t)
	a.box("run", "box1", "janson", "192.0.2.2")
	base, err := Find(t.Context(), a.config(), Auto)
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]string{
		"video":     "video: {size: 640x360, rate: 25, bitrate: 1M}\n",
		"audio":     "audio: {rate: 48000, channels: 2, bitrate: 96k}\n",
		"multicast": "multicast: {interface: eth7, ttl: 3}\n",
		"ports":     "port_offset: 100\n",
		"login":     "secrets: s.yaml\n",
	} {
		text := strings.NewReplacer("NAME", "box1", "ROOM", "janson", "ADDRESS", "192.0.2.2").Replace(boxFile)
		a.write("run/s.yaml", `box: {user: admin, bcrypt: "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"}`)
		a.write("run/event.yaml", text+change)
		s, err := Find(t.Context(), a.config(), Auto)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if s.fixed() == base.fixed() {
			t.Errorf("%s: changed and not seen", what)
		}
	}
}

func TestWatchOfANamedBoxEnds(t *testing.T) {
	if err := (Self{}).Watch(t.Context(), "nothing", "box1", nil); err != nil {
		t.Error(err)
	}
}
