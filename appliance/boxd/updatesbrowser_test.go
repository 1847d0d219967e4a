package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/openvideobox/videobox/appliance/boxd/internal/disk"
	"github.com/openvideobox/videobox/appliance/boxd/internal/identity"
	"github.com/openvideobox/videobox/appliance/boxd/internal/logs"
	"github.com/openvideobox/videobox/appliance/boxd/internal/update"
	"github.com/openvideobox/videobox/appliance/internal/self"
	"github.com/openvideobox/videobox/appliance/internal/slot"
	"github.com/openvideobox/videobox/appliance/internal/slot/slottest"
	"github.com/openvideobox/videobox/internal/bundle"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/run"
)

var updateKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize))

const oldBuild = 1_795_000_000

// updatable is a box whose partitions are files: its boxd is the real one but
// for what the box looks like, and it restarts at a test's word.
type updatable struct {
	t      *testing.T
	dir    string
	config string
	clock  *clock.Held
	web    *httptest.Server
	serves atomic.Pointer[http.Handler] // nil: the box is off
	asked  chan struct{}                // a restart was asked for
	slow   chan struct{}                // closed: uploads are taken at once
	over   chan struct{}                // the test is
	stop   func()

	mu    sync.Mutex
	card  slot.Card
	up    time.Duration
	sight update.Sight
	u     *update.Updater
}

func newUpdatable(t *testing.T) *updatable {
	u := &updatable{
		t: t, dir: t.TempDir(), clock: clock.NewHeld(time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC).UnixNano()),
		config: testEvent(t, nowhere(t), nowhere(t), testSecrets(t)),
		asked:  make(chan struct{}, 1), slow: make(chan struct{}), over: make(chan struct{}), up: time.Hour,
		sight: update.Sight{update.FirstFrame: metrics.OK, update.Page: metrics.OK, "stream growing": metrics.OK},
	}
	line := "console=tty1 root=PARTUUID=60c24cc1-f3f9-427a-8199-2325cd850001/PARTNROFF=1 init=/gokrazy/init" + strings.Repeat(" ", 64)
	u.card = slot.Card{Boot: slottest.Boot(t, map[string]string{"cmdline.txt": line}), Root: map[int]string{2: u.file("p2"), 3: u.file("p3")}, Running: 2, Told: 2}
	u.write("p2", make([]byte, 64<<20))
	u.write("p3", make([]byte, 64<<20))
	u.write("etc/"+update.KeyFile, []byte(base64.StdEncoding.EncodeToString(updateKey.Public().(ed25519.PublicKey))))
	event, err := os.ReadFile(u.config)
	if err != nil {
		t.Fatal(err)
	}
	u.write("etc/event.yaml", bytes.ReplaceAll(event, []byte("secrets: secrets.yaml\n"), nil))
	u.web = httptest.NewServer(http.HandlerFunc(u.serve))
	u.start()
	t.Cleanup(func() {
		close(u.over)
		u.web.CloseClientConnections()
		u.web.Close()
		u.stop()
	})
	return u
}

func (u *updatable) file(name string) string { return filepath.Join(u.dir, name) }

func (u *updatable) write(name string, data []byte) {
	u.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(u.file(name)), 0o755), os.WriteFile(u.file(name), data, 0o600)); err != nil {
		u.t.Fatal(err)
	}
}

// serve is the network's end of the box. The second piece of an upload waits
// until the test says so.
func (u *updatable) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut && r.URL.Path == "/api/update" && r.URL.Query().Get("offset") != "0" {
		select {
		case <-u.slow:
		case <-u.over:
		}
	}
	h := u.serves.Load()
	if h == nil {
		panic(http.ErrAbortHandler) // as a box does that is off: no answer
	}
	(*h).ServeHTTP(w, r)
}

// start is a start of boxd.
func (u *updatable) start() {
	version := `{"version": "2026.11", "build": 1795000000, "board": "videobox", "arch": "arm64"}`
	if u.card.Running == 3 {
		version = `{"version": "2026.12", "build": 1795001000, "board": "videobox", "arch": "arm64"}`
	}
	u.write("etc/"+update.VersionFile, []byte(version))
	l := &life{disks: disk.New(), onBox: u.onBox(), update: update.New(u.options())}
	box, err := self.Load(u.config, "box1")
	if err != nil {
		u.t.Fatal(err)
	}
	s := newServer(box, u.t.TempDir(), l)
	l.update.SetLook(func() update.Sight { u.mu.Lock(); defer u.mu.Unlock(); return u.sight })
	ctx, cancel := context.WithCancel(u.t.Context())
	g := run.NewGroup(ctx)
	for _, p := range append(s.parts(), part{"updates", l.update.Run}) {
		if p.name != "console" {
			g.Go(p.name, p.run)
		}
	}
	handler := s.handler()
	u.mu.Lock()
	u.u = l.update
	u.mu.Unlock()
	u.serves.Store(&handler)
	u.stop = func() { cancel(); g.Wait(); s.preview.close() }
}

func (u *updatable) onBox() *onBox {
	ready := make(chan struct{})
	close(ready)
	id, err := identity.New(identity.Options{Etc: u.file("etc")})
	if err != nil {
		u.t.Fatal(err)
	}
	return &onBox{identity: id, ring: logs.NewRing(u.file("log"), "boot", ready, clock.System)}
}

func (u *updatable) options() update.Options {
	ready := make(chan struct{})
	close(ready)
	return update.Options{
		Dir: u.file("perm"), Ready: ready, Run: u.file("run"), Etc: u.file("etc"), Clock: u.clock,
		Card:   func() (slot.Card, error) { u.mu.Lock(); defer u.mu.Unlock(); return u.card, nil },
		Uptime: func() time.Duration { u.mu.Lock(); defer u.mu.Unlock(); return u.up },
		InSync: func() bool { return true },
		Restart: func(string) error {
			u.serves.Store(nil)
			u.asked <- struct{}{}
			return nil
		},
		Talk: func(context.Context, time.Time) (string, error) { return "", nil },
	}
}

// reboot waits until boxd wants it, and does as firmware and gokrazy's init do.
func (u *updatable) reboot(look func()) {
	u.t.Helper()
	select {
	case <-u.asked:
	case <-time.After(20 * time.Second):
		u.t.Fatal("nobody wants a restart")
	}
	u.stop()
	look()
	data, err := os.ReadFile(u.card.Boot)
	if err != nil {
		u.t.Fatal(err)
	}
	try, tried := []byte("gokrazy.try_boot_inactive=1"), []byte("gokrazy.switch_on_boot=1   ")
	u.mu.Lock() // an answer of the old boxd may still be on its way
	u.card.Running, u.card.Told, u.up = 2, 2, 6*time.Second
	if bytes.Contains(data, try) {
		u.card.Running = 3
	}
	u.mu.Unlock()
	if err := os.WriteFile(u.card.Boot, bytes.ReplaceAll(data, try, tried), 0o600); err != nil {
		u.t.Fatal(err)
	}
	u.clock.Advance(9 * time.Second)
	u.start()
}

// pass lets time pass in a trial, look by look.
func (u *updatable) pass(d time.Duration) {
	for end := u.clock.Now() + int64(d); u.clock.Now() < end; {
		ctx, cancel := context.WithTimeout(u.t.Context(), 10*time.Second)
		at, err := u.clock.Waited(ctx)
		cancel()
		if err != nil {
			return // the trial is over
		}
		u.mu.Lock()
		u.up += time.Duration(at - u.clock.Now())
		u.mu.Unlock()
		u.clock.Set(at)
	}
}

// bundle is a file to send: 20 MB, so three pieces.
func (u *updatable) bundle(version string, build int64, key ed25519.PrivateKey) string {
	u.t.Helper()
	root := make([]byte, 20<<20)
	rand.NewChaCha8([32]byte{byte(build)}).Read(root)
	var b bytes.Buffer
	m := bundle.Manifest{Board: "videobox", Arch: "arm64", Version: version, Build: build}
	if err := bundle.Write(&b, m, key, bundle.Payload{Name: bundle.Root, ReaderAt: bytes.NewReader(root), Size: int64(len(root))}); err != nil {
		u.t.Fatal(err)
	}
	u.write(version+".vbox", b.Bytes())
	return u.file(version + ".vbox")
}

// both looks at desk and phone.
func (v *visitor) both(t *testing.T, name string) {
	t.Helper()
	v.look(t, "updates-"+name+"-phone", 390, 844)
	v.look(t, "updates-"+name, 1280, 900)
}

// choose puts a file into the form, as a file dialog does, and sends it.
func (v *visitor) choose(t *testing.T, path string) {
	t.Helper()
	v.do(t, chromedp.SetUploadFiles("#file", []string{path}), chromedp.Focus("#send"), chromedp.KeyEvent(kb.Enter))
}

func shows(id, text string) string {
	return `[...document.querySelectorAll("` + id + `")].some((e) => e.checkVisibility() && e.textContent.includes("` + text + `"))`
}

// TestUpdatesPage is an update as a person makes it: a bundle that is refused,
// one that is sent with a break, its trial and its commit, and one that fails.
func TestUpdatesPage(t *testing.T) {
	u := newUpdatable(t)
	v := visit(t)
	v.do(t, chromedp.Navigate(u.web.URL+"/updates"))
	v.sees(t, shows("#rows dd", "2026.11, root A")+` && document.getElementById("incoming").hidden && !document.getElementById("send").disabled`)
	v.both(t, "idle")

	v.choose(t, u.bundle("forged", oldBuild+1, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))))
	v.sees(t, shows("#answer[role=alert]", "signature"))
	v.both(t, "refused")

	good := u.bundle("2026.12", oldBuild+1000, updateKey)
	v.choose(t, good)
	v.sees(t, shows("#received", "2026.12: 7.3 of 21.0 MB")+` && document.getElementById("start").disabled && document.getElementById("send").disabled`)
	v.both(t, "receiving")
	u.web.CloseClientConnections() // the network breaks
	close(u.slow)
	v.sees(t, shows("#received", "all 21.0 MB are there")+` && !document.getElementById("start").disabled`)
	v.both(t, "ready")

	v.busy(t)
	v.do(t, chromedp.Focus("#start"), chromedp.KeyEvent(kb.Enter))
	v.sees(t, shows("#rows dd", "on trial: the box restarts")+` || `+shows("#answer", "The box restarts."))
	v.wasAsked(t, "Restart box1 into 2026.12, on trial?")
	u.reboot(func() {
		v.sees(t, shows("#old", "it restarts, on trial"))
		v.both(t, "restarting")
	})
	v.sees(t, shows("#rows dd", "on trial: all is as well as before, so far")+` && `+shows("#rows dd", "2026.12, root B")+` && document.getElementById("old").hidden`)
	v.both(t, "trial")
	u.pass(31 * time.Second)
	v.sees(t, shows("#rows dd", "2026.11 to 2026.12: committed")+` && document.getElementById("incoming").hidden`)
	v.both(t, "committed")
	if len(v.errors) > 0 {
		t.Errorf("the browser complains: %v", v.errors)
	}
}

// busy marks the room as busy, which must be overruled to go on, and takes the
// mark away.
func (v *visitor) busy(t *testing.T) {
	t.Helper()
	v.do(t, chromedp.Focus("#reason"), chromedp.SendKeys("#reason", "the keynote"), chromedp.KeyEvent(kb.Enter))
	v.sees(t, shows("#why", "The room is in use: the keynote")+` && document.getElementById("start").disabled && `+shows("#busy", "Not busy any more"))
	v.both(t, "busy")
	v.do(t, chromedp.Focus("#overbusy"), chromedp.KeyEvent(" "))
	v.sees(t, `!document.getElementById("start").disabled`)
	v.do(t, chromedp.Focus("#busy"), chromedp.KeyEvent(kb.Enter))
	v.sees(t, shows("#busy", "Mark as busy")+` && !document.getElementById("start").disabled && document.getElementById("why").textContent === ""`)
}

// TestUpdatesPageFailed is an update that falls back, and one that is older.
func TestUpdatesPageFailed(t *testing.T) {
	u := newUpdatable(t)
	close(u.slow)
	v := visit(t)
	v.do(t, chromedp.Navigate(u.web.URL+"/updates"))
	v.sees(t, `!document.getElementById("send").disabled`)
	v.choose(t, u.bundle("2025.1", oldBuild-1000, updateKey))
	v.sees(t, shows("#why", "not newer")+` && document.getElementById("start").disabled`)
	v.both(t, "older")
	v.do(t, chromedp.Click("#older"))
	v.sees(t, `!document.getElementById("start").disabled`)
	v.do(t, chromedp.Click("#drop"))
	v.sees(t, `document.getElementById("incoming").hidden && document.activeElement === document.getElementById("file")`)

	v.choose(t, u.bundle("2026.12", oldBuild+1000, updateKey))
	v.sees(t, `!document.getElementById("start").disabled`)
	v.do(t, chromedp.Click("#start"))
	u.reboot(func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.sight = update.Sight{update.FirstFrame: metrics.OK, update.Page: metrics.OK, "stream growing": metrics.Failed}
	})
	v.sees(t, shows("#rows dd", "on trial; worse than before: stream growing is failed, was ok"))
	v.both(t, "worse")
	u.pass(3 * time.Minute)
	u.reboot(func() {})
	v.sees(t, shows("#rows dd", "2026.12 failed, back on 2026.11: not as well as before within 2m30s: stream growing is failed, was ok")+` && `+shows("#rows dd", "2026.11, root A")+` && !document.getElementById("send").disabled`)
	v.both(t, "failed")

	u.serves.Store(nil)
	u.web.CloseClientConnections()
	v.sees(t, shows("#old", "what is shown here is old"))
	v.choose(t, u.file("2026.12.vbox"))
	v.both(t, "old")
	if len(v.errors) > 0 {
		t.Errorf("the browser complains: %v", v.errors)
	}
}
