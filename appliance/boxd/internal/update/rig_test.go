package update

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/appliance/internal/slot"
	"github.com/openvideobox/videobox/appliance/internal/slot/slottest"
	"github.com/openvideobox/videobox/internal/bundle"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/metrics"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	goleak.VerifyTestMain(m)
}

var (
	testKey  = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	otherKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize))
)

const (
	runningBuild = 1_795_000_000
	newBuild     = runningBuild + 1000
	slotSize     = 4 << 20
	cmdline      = "root=PARTUUID=60c24cc1-f3f9-427a-8199-2325cd850001/PARTNROFF=1 init=/gokrazy/init"
)

// rig is a box whose partitions are files.
type rig struct {
	t     *testing.T
	dir   string
	clock *clock.Held
	u     *Updater
	stop  func() // of Run

	mu       sync.Mutex
	card     slot.Card
	up       time.Duration
	synced   bool
	sight    Sight
	talk     string
	talkErr  error
	asked    int // for a talk
	restarts []string
	stuck    error // why the box does not restart
}

func newRig(t *testing.T) *rig {
	t.Helper()
	boot := slottest.Boot(t, map[string]string{"cmdline.txt": cmdline + strings.Repeat(" ", 64)})
	dir := t.TempDir()
	r := &rig{t: t, dir: dir, clock: clock.NewHeld(int64(newBuild+5000) * 1e9), synced: true, sight: well(), up: time.Hour}
	r.card = slot.Card{Boot: r.file("p1"), Root: map[int]string{2: r.file("p2"), 3: r.file("p3")}, Running: 2, Told: 2}
	if err := os.Rename(boot, r.file("p1")); err != nil {
		t.Fatal(err)
	}
	r.write("p2", bytes.Repeat([]byte{2}, slotSize))
	r.write("p3", bytes.Repeat([]byte{3}, slotSize))
	r.write("etc/"+VersionFile, []byte(`{"version": "v1", "build": 1795000000, "board": "videobox", "arch": "arm64"}`))
	r.write("etc/"+KeyFile, []byte(base64.StdEncoding.EncodeToString(testKey.Public().(ed25519.PublicKey))))
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

func well() Sight {
	return Sight{FirstFrame: metrics.OK, "stream growing": metrics.OK, "recorder growing": metrics.OK, Address: metrics.OK, Page: metrics.OK}
}

func (r *rig) file(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) write(name string, data []byte) {
	r.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(r.file(name)), 0o755), os.WriteFile(r.file(name), data, 0o600)); err != nil {
		r.t.Fatal(err)
	}
}

// start is a start of boxd.
func (r *rig) start() {
	locked := func(f func()) { r.mu.Lock(); defer r.mu.Unlock(); f() }
	ready := make(chan struct{})
	close(ready)
	r.u = New(Options{
		Dir: r.file("perm"), Ready: ready, Run: r.file("run"), Etc: r.file("etc"), Clock: r.clock,
		Card:    func() (c slot.Card, err error) { locked(func() { c = r.card }); return c, nil },
		Uptime:  func() (d time.Duration) { locked(func() { d = r.up }); return d },
		InSync:  func() (b bool) { locked(func() { b = r.synced }); return b },
		Restart: func(why string) error { locked(func() { r.restarts = append(r.restarts, why) }); return r.stuck },
		Talk:    func(context.Context, time.Time) (string, error) { r.asked++; return r.talk, r.talkErr },
	})
	r.u.SetLook(func() (s Sight) { locked(func() { s = r.sight }); return s })
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.u.Run(ctx) }()
	r.stop = func() { cancel(); <-done }
	un, err := r.card.Uncommitted()
	if err != nil {
		r.t.Fatal(err)
	}
	if !un {
		r.u.waitReady()
	}
	for un && !r.u.watches() {
		time.Sleep(time.Millisecond)
	}
}

// watches says whether a trial has been taken up.
func (u *Updater) watches() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.ready && u.record.Trial != nil
}

// waitReady waits until what the last start left has been taken up.
func (u *Updater) waitReady() {
	for {
		u.upload.Lock()
		u.mu.Lock()
		ready := u.ready
		u.mu.Unlock()
		u.upload.Unlock()
		if ready {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// reboot is a restart of the box: into the trial, if one was asked for.
func (r *rig) reboot() {
	r.t.Helper()
	r.stop()
	text := r.boot()
	next, err := r.card.Next()
	if err != nil {
		r.t.Fatal(err)
	}
	r.card.Running, r.card.Told, r.up = next, next, 6*time.Second
	if strings.Contains(text, "try_boot_inactive") { // what gokrazy's init does
		r.patch("gokrazy.try_boot_inactive=1", "gokrazy.switch_on_boot=1   ")
		r.card.Running = r.card.Other()
	}
	version := `{"version": "v1", "build": 1795000000, "board": "videobox", "arch": "arm64"}`
	if r.card.Running == 3 {
		version = `{"version": "v2", "build": 1795001000, "board": "videobox", "arch": "arm64"}`
	}
	r.write("etc/"+VersionFile, []byte(version))
	_ = os.RemoveAll(r.file("run"))
	r.clock.Advance(9 * time.Second) // firmware, kernel and 6 s of uptime
	r.start()
}

func (r *rig) boot() string {
	r.t.Helper()
	text, err := r.card.ReadBoot("cmdline.txt")
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

func (r *rig) patch(old, new string) {
	r.t.Helper()
	data, err := os.ReadFile(r.file("p1"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.write("p1", bytes.ReplaceAll(data, []byte(old), []byte(new)))
}

// pass lets time pass in a trial, look by look.
func (r *rig) pass(d time.Duration) {
	r.t.Helper()
	for end := r.clock.Now() + int64(d); ; {
		at, ok := r.waited()
		if !ok || at > end {
			return
		}
		r.mu.Lock()
		r.up += time.Duration(at - r.clock.Now())
		r.mu.Unlock()
		r.clock.Set(at)
	}
}

// waited is when the next look is due; none is once the trial is over.
func (r *rig) waited() (at int64, ok bool) {
	for r.u.Status().State == Trial && r.restarted() < 2 {
		ctx, cancel := context.WithTimeout(r.t.Context(), 50*time.Millisecond)
		at, err := r.clock.Waited(ctx)
		cancel()
		if err == nil {
			return at, true
		}
	}
	return 0, false
}

func (r *rig) set(s Sight) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sight = s
}

func (r *rig) restarted() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.restarts)
}

func (r *rig) see(name string, state metrics.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := well()
	for k, v := range r.sight {
		s[k] = v
	}
	s[name] = state
	r.sight = s
}

// ask asks the API.
func (r *rig) ask(method, path string, body io.Reader) (int, Status, string) {
	r.t.Helper()
	w := httptest.NewRecorder()
	r.u.Handler().ServeHTTP(w, httptest.NewRequestWithContext(r.t.Context(), method, path, body))
	var s struct {
		Status
		Error string `json:"error"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil {
		r.t.Fatalf("%s %s: %d %q: %v", method, path, w.Code, w.Body, err)
	}
	return w.Code, s.Status, s.Error
}

func (r *rig) must(method, path string, body io.Reader, want State) Status {
	r.t.Helper()
	code, s, text := r.ask(method, path, body)
	if code >= 300 || s.State != want {
		r.t.Fatalf("%s %s: %d %s, state %q, want %q", method, path, code, text, s.State, want)
	}
	return s
}

// content is a root of that many bytes.
func content(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{5}).Read(b)
	return b
}

func manifest() bundle.Manifest {
	return bundle.Manifest{Board: "videobox", Arch: "arm64", Version: "v2", Build: newBuild}
}

func pack(t *testing.T, m bundle.Manifest, key ed25519.PrivateKey, root []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := bundle.Write(&b, m, key, bundle.Payload{Name: bundle.Root, ReaderAt: bytes.NewReader(root), Size: int64(len(root))}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func copyToBoot(t *testing.T, boot, path string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "mcopy", "-o", "-i", boot, path, "::").CombinedOutput(); err != nil {
		t.Fatalf("mcopy: %v: %s", err, out)
	}
}
