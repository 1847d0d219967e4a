//go:build vm

package vm_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/disk"
	"github.com/openvideobox/videobox/images/vm"
	"github.com/openvideobox/videobox/internal/bundle"
	"github.com/openvideobox/videobox/internal/fat"
	"github.com/openvideobox/videobox/internal/metrics"
)

// updateKey signs the bundles of these tests; boxes get its other half.
var updateKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{42}, ed25519.SeedSize))

func publicKey() string {
	return base64.StdEncoding.EncodeToString(updateKey.Public().(ed25519.PublicKey))
}

// updated is what boxd says of its update.
type updated struct {
	State   string
	Running struct {
		Version string
		Build   int64
		Slot    string
	}
	Incoming struct{ Received, Size int64 }
	Last     *struct {
		From, To, Result, Reason string
		Outage                   float64 `json:"outage_ms"`
		Took                     []struct {
			What string
			MS   float64
		}
	}
	Error    string
	Received int64 // with an error
}

// source is the root of an image, to make bundles of.
type source struct {
	root bundle.Payload
	m    bundle.Manifest
}

func openSource(t *testing.T, path string) source {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(path)
	must(err)
	t.Cleanup(func() { f.Close() })
	boot, err := disk.Find(f, 1)
	must(err)
	root, err := disk.Find(f, 2)
	must(err)
	size, err := disk.SquashFSSize(root.Reader(f))
	must(err)
	var s source
	text, err := fat.ReadFile(boot.Reader(f), "version.txt")
	must(err)
	must(json.Unmarshal(text, &s.m))
	kernel, err := fat.Find(boot.Reader(f), "vmlinuz")
	must(err)
	sum := sha256.New()
	must(kernel.Write(sum))
	s.m.Kernel = hex.EncodeToString(sum.Sum(nil))
	s.root = bundle.Payload{Name: bundle.Root, ReaderAt: root.Reader(f), Size: (size + 4095) / 4096 * 4096}
	return s
}

// bundle packs it, with another manifest if wanted.
func (s source) bundle(t *testing.T, change func(*bundle.Manifest)) []byte {
	t.Helper()
	m := s.m
	if change != nil {
		change(&m)
	}
	var b bytes.Buffer
	if err := bundle.Write(&b, m, updateKey, s.root); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bootUpdatable boots the image with the tests' key, and orders for the
// saboteur that a later root holds.
func bootUpdatable(t *testing.T, orders string, change func(*vm.Config)) victim {
	t.Helper()
	if err := makeSabotaged(); err != nil {
		t.Fatal(err)
	}
	v := victim{boot(t, func(c *vm.Config) {
		c.Ports[saboteurPort] = 0
		c.Perm["videobox/update.key"] = publicKey()
		if orders != "" {
			c.Perm["sabotage"] = orders
		}
		if change != nil {
			change(c)
		}
	})}
	v.wait(within(t, 4*time.Minute), t, "the box is well", isWell)
	return v
}

// update asks boxd's API; code 0 is no answer.
func (v victim) update(ctx context.Context, t *testing.T, method, path string, body io.Reader) (code int, u updated) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+v.Addr(80)+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(vm.User, "secret")
	req.Header.Set("Expect", "100-continue") // a refusal comes before the bundle goes
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: 5 * time.Second}}).Do(req)
	if err != nil {
		return 0, u
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || json.Unmarshal(data, &u) != nil {
		return 0, u
	}
	return resp.StatusCode, u
}

// waitUpdate polls until the update is in a state.
func (v victim) waitUpdate(t *testing.T, limit time.Duration, states ...string) updated {
	t.Helper()
	ctx, began := within(t, limit), time.Now()
	poll := time.NewTicker(500 * time.Millisecond)
	defer poll.Stop()
	for last := (updated{}); ; {
		asked, cancel := context.WithTimeout(ctx, 3*time.Second)
		code, u := v.update(asked, t, "GET", "/api/update", nil)
		cancel()
		if code != 0 {
			last = u
		}
		for _, s := range states {
			if code == 200 && u.State == s {
				t.Logf("%s after %.1f s", s, time.Since(began).Seconds())
				return u
			}
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("not %v in %v: %+v\n%s", states, limit, last, v.Console.Last(20))
		}
	}
}

// begin brings a bundle onto the box and starts its trial.
func (v victim) begin(t *testing.T, file []byte) {
	t.Helper()
	began := time.Now()
	if code, u := v.update(within(t, 2*time.Minute), t, "PUT", "/api/update?offset=0", bytes.NewReader(file)); code != 200 || u.State != "ready" {
		t.Fatalf("upload: %d %+v", code, u)
	}
	t.Logf("%.1f MB received in %.1f s", float64(len(file))/1e6, time.Since(began).Seconds())
	if code, u := v.update(within(t, time.Minute), t, "POST", "/api/update/start", nil); code != 202 {
		t.Fatalf("start: %d %+v", code, u)
	}
}

// TestShortUpdate is an update with all that may go wrong before, and one that
// goes wrong afterwards.
func TestShortUpdate(t *testing.T) {
	// With a watchdog, as boards have one, that must not end a trial.
	v := bootUpdatable(t, "", func(c *vm.Config) { c.Watchdog = true })
	b := openSource(t, sabotaged)
	t.Run("refused", func(t *testing.T) { v.refused(t, b) })
	t.Run("large", v.large)
	t.Run("good", func(t *testing.T) {
		gap, mark := v.watchGap(t), v.Console.Mark()
		v.fleetUpdate(t, b.bundle(t, nil))
		u := v.waitUpdate(t, 4*time.Minute, "committed", "failed")
		v.watchdogs(t, mark)
		if u.State != "committed" || u.Running.Slot != "B" || u.Running.Build != b.m.Build {
			t.Fatalf("%+v, %+v", u, u.Last)
		}
		t.Logf("outage of the stream: %.1f s for a reader; the box says %.1f s:", gap().Seconds(), u.Last.Outage/1000)
		for _, s := range u.Last.Took {
			t.Logf("  %5.1f s %s", s.MS/1000, s.What)
		}
		v.wait(within(t, time.Minute), t, "the box is well", isWell)
	})
	t.Run("boxd crashes", func(t *testing.T) {
		v.sabotage(t, "write /perm/sabotage hunt boxd")
		v.fallsBack(t, b.bundle(t, func(m *bundle.Manifest) { m.Version, m.Build = "bad", m.Build+1 }), "B", "boxd")
	})
}

// refused is every kind of bad bundle; the box goes on as if nothing had been.
func (v victim) refused(t *testing.T, b source) {
	good := b.m
	small := source{bundle.Payload{Name: bundle.Root, ReaderAt: strings.NewReader(strings.Repeat("x", 5000)), Size: 5000}, good}
	whole := small.bundle(t, nil)
	forged := bytes.Clone(whole)
	forged[200] ^= 1
	damaged := bytes.Clone(whole)
	damaged[len(damaged)-9] ^= 1
	large := small
	large.root = bundle.Payload{Name: bundle.Root, ReaderAt: zeros{}, Size: 600 << 20}
	before := v.Restarts()
	for _, tt := range []struct {
		name       string
		file       []byte
		put, start int
		want       string
	}{
		{"a signature that is wrong", forged, 403, 409, "signature"},
		{"for another board", small.bundle(t, func(m *bundle.Manifest) { m.Board = "videobox-pc" }), 412, 409, "another board"},
		{"of another kernel", small.bundle(t, func(m *bundle.Manifest) { m.Kernel = strings.Repeat("0", 64) }), 412, 409, "kernel"},
		{"older", small.bundle(t, func(m *bundle.Manifest) { m.Build = 1000 }), 200, 412, "not newer"},
		{"truncated", whole[:len(whole)-1], 202, 409, "isn't there as a whole"},
		{"damaged", damaged, 400, 409, "not what was signed"},
		{"too large", large.head(t), 413, 409, "too large"},
	} {
		ctx := within(t, 30*time.Second)
		v.update(ctx, t, "DELETE", "/api/update", nil)
		put, up := v.update(ctx, t, "PUT", "/api/update?offset=0", bytes.NewReader(tt.file))
		start, us := v.update(ctx, t, "POST", "/api/update/start", nil)
		if put != tt.put || start != tt.start || !strings.Contains(up.Error+us.Error, tt.want) {
			t.Errorf("%s: %d %q, then %d %q; want %d, %d, %q", tt.name, put, up.Error, start, us.Error, tt.put, tt.start, tt.want)
		}
		t.Logf("%s: %d %s%s", tt.name, put, up.Error, us.Error)
	}
	if n := v.Restarts(); n != before {
		t.Errorf("%d restarts", n-before)
	}
}

type zeros struct{}

func (zeros) ReadAt(b []byte, _ int64) (int, error) { clear(b); return len(b), nil }

// head is as much of a bundle as is needed to refuse it.
func (s source) head(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := bundle.Write(&limited{&b, 100 << 10}, s.m, updateKey, s.root); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type limited struct {
	to   io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if _, err := l.to.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// large sends 200 MB, with a break in the middle, and looks at boxd's memory.
func (v victim) large(t *testing.T) {
	noise := make([]byte, 200<<20)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	s := source{bundle.Payload{Name: bundle.Root, ReaderAt: bytes.NewReader(noise), Size: int64(len(noise))},
		bundle.Manifest{Board: "videobox", Arch: "arm64", Version: "large", Build: 2e9}}
	file := s.bundle(t, nil)
	status := v.wait(within(t, 20*time.Second), t, "boxd answers", func(metrics.Status) bool { return true })
	first, most, began := status.Process.ResidentBytes, uint64(0), time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		v.breakOff(t, file)
	}()
	for sent := false; !sent; {
		select {
		case <-done:
			sent = true
		case <-time.After(500 * time.Millisecond):
		}
		if s, err := v.status(t.Context()); err == nil {
			most = max(most, s.Process.ResidentBytes)
		}
	}
	v.waitUpdate(t, 10*time.Second, "ready")
	t.Logf("200 MB in %.0f s, cut off once; resident set of boxd %d MB before, %d at most", time.Since(began).Seconds(), first>>20, most>>20)
	if most > first+24<<20 {
		t.Errorf("boxd's resident set grows from %d to %d MB", first>>20, most>>20)
	}
	v.update(within(t, 10*time.Second), t, "DELETE", "/api/update", nil)
}

// breakOff sends a bundle with a connection that breaks after 90 MB.
func (v victim) breakOff(t *testing.T, file []byte) {
	ctx := within(t, 3*time.Minute)
	broken := io.MultiReader(bytes.NewReader(file[:90<<20]), brokenOff{})
	v.update(ctx, t, "PUT", "/api/update?offset=0", broken)
	var u updated
	for code := 0; (code != 200 || u.Incoming.Received == 0) && ctx.Err() == nil; { // boxd may still be at the last chunk
		time.Sleep(200 * time.Millisecond)
		code, u = v.update(ctx, t, "GET", "/api/update", nil)
	}
	from := u.Incoming.Received
	t.Logf("cut off after 90 MiB: %d bytes are there, %s", from, u.State)
	if from < 80<<20 || from > 90<<20 {
		t.Errorf("%d bytes", from)
	}
	for { // the request that broke is being ended
		code, u := v.update(ctx, t, "PUT", fmt.Sprintf("/api/update?offset=%d", from), bytes.NewReader(file[from:]))
		if code == 200 || ctx.Err() != nil {
			return
		}
		if u.Received > 0 {
			from = u.Received
		}
		time.Sleep(200 * time.Millisecond)
	}
}

type brokenOff struct{}

func (brokenOff) Read([]byte) (int, error) { return 0, net.ErrClosed }

// watchGap reads the stream as a mixer does, and says how long it was away at
// the longest.
func (v victim) watchGap(t *testing.T) (longest func() time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	var most time.Duration
	go func() {
		defer close(done)
		buf, last := make([]byte, 64<<10), time.Now()
		for ctx.Err() == nil {
			c, err := net.DialTimeout("tcp", v.Addr(8899), time.Second)
			for err == nil && ctx.Err() == nil {
				_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
				if _, err = c.Read(buf); err == nil {
					most, last = max(most, time.Since(last)), time.Now()
				}
			}
			if c != nil {
				c.Close()
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return func() time.Duration { cancel(); <-done; return most }
}
