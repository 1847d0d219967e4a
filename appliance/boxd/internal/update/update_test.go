package update

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/openvideobox/videobox/internal/bundle"
	"github.com/openvideobox/videobox/internal/metrics"
)

func TestCommit(t *testing.T) {
	r := newRig(t)
	root := content(2<<20 + 5000)
	file := pack(t, manifest(), testKey, root)
	r.must("PUT", "/api/update?offset=0", iotest.HalfReader(bytes.NewReader(file)), Ready)
	if on, err := os.ReadFile(r.file("p3")); err != nil || !bytes.Equal(on[:len(root)], root) {
		t.Fatalf("the other root: %v", err)
	}
	r.must("POST", "/api/update/start", nil, Trial)
	if r.restarted() != 1 || !strings.Contains(r.boot(), "try_boot_inactive=1") {
		t.Fatalf("%d restarts, %q", r.restarted(), r.boot())
	}
	r.set(Sight{}) // nothing is well yet
	r.reboot()
	mark := filepath.Join(r.dir, "run", "trial")
	if _, err := os.Stat(mark); err != nil {
		t.Error("a trial is not marked")
	}
	if code, _, text := r.ask("PUT", "/api/update?offset=0", bytes.NewReader(file)); code != http.StatusConflict {
		t.Errorf("a bundle in the trial: %d %s", code, text)
	}
	r.pass(5 * time.Second)
	r.set(well())
	r.pass(10 * time.Second)
	r.see("recorder growing", metrics.Failed)
	r.pass(10 * time.Second)
	r.see("recorder growing", metrics.OK)
	r.pass(29 * time.Second)
	if s := r.u.Status(); s.State != Trial {
		t.Fatalf("too early: %+v", s)
	}
	if r.u.Finding().State != metrics.Starting {
		t.Errorf("on the screen: %+v", r.u.Finding())
	}
	r.pass(2 * time.Second)
	r.u.waitReady()
	s := r.u.Status()
	if s.State != Committed || s.Last.From != "v1" || s.Last.To != "v2" || s.Running.Slot != "B" || s.Running.Version != "v2" {
		t.Fatalf("%+v, %+v", s, s.Last)
	}
	if s.Last.OutageMS != 14200 || len(s.Last.Took) != 3 { // 3 s of firmware, 6 to boxd, 5.2 to the first frame
		t.Errorf("outage %v ms, %+v", s.Last.OutageMS, s.Last.Took)
	}
	if _, err := os.Stat(mark); err == nil || strings.Contains(r.boot(), "PARTNROFF=1") {
		t.Errorf("mark %v, %q", err, r.boot())
	}
	r.reboot()
	if s := r.u.Status(); s.State != Committed || s.Running.Slot != "B" {
		t.Errorf("after another start: %+v", s)
	}
	if code, _, text := r.ask("POST", "/api/update/start", nil); code != http.StatusConflict {
		t.Errorf("the bundle is kept: %d %s", code, text)
	}
}

// TestFallBack ends trials in every way that isn't a commit.
func TestFallBack(t *testing.T) {
	for _, tt := range []struct {
		name   string
		trial  func(r *rig)
		reason string
	}{
		{"a kernel or init that crashes at once", func(r *rig) {
			r.stop()
			r.card.Running, r.card.Told = 2, 2
			r.patch("gokrazy.try_boot_inactive=1", "gokrazy.switch_on_boot=1   ")
		}, "init or kernel crashed"},
		{"a crash later", func(r *rig) {
			r.reboot()
			r.pass(10 * time.Second)
		}, "restarted by itself; a kernel that crashed, or the power; seen last: all was as well as before"},
		{"capture is worse", func(r *rig) {
			r.see("stream growing", metrics.Failed)
			r.reboot()
			r.pass(3 * time.Minute)
			r.restartedFor("stream growing is failed, was ok")
		}, "not as well as before within 2m30s: stream growing is failed, was ok"},
		{"well now and then", func(r *rig) {
			r.reboot()
			for range 10 {
				r.see("signal", metrics.OK)
				r.see(Address, metrics.Failed)
				r.pass(10 * time.Second)
				r.see(Address, metrics.OK)
				r.pass(20 * time.Second)
			}
			r.restartedFor("given up")
		}, "not "},
		{"an init that can't be executed", func(r *rig) {
			r.card.OldInit = true
			r.reboot()
			r.pass(time.Second)
			r.card.OldInit = false
		}, "init could not be started"},
		{"a page that hangs", func(r *rig) {
			r.see(Page, metrics.Failed)
			r.reboot()
			r.pass(3 * time.Minute)
		}, "page is failed, was ok"},
		{"a page that hangs, and nobody asked before", func(r *rig) {
			r.noted(func(t *trial) { delete(t.Before, Page) })
			r.see(Page, metrics.Failed)
			r.reboot()
			r.pass(3 * time.Minute)
		}, "page is failed, was ok"},
		{"no page", func(r *rig) {
			r.set(nil)
			r.reboot()
			r.pass(3 * time.Minute)
		}, "boxd's page has not begun"},
		{"guard ends it", func(r *rig) {
			r.reboot()
			r.pass(time.Second)
			r.write("perm/"+guardFile, []byte("guard: boxd has not committed the update within 3m0s\n"))
		}, "guard: boxd has not committed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.must("PUT", "/api/update", bytes.NewReader(pack(t, manifest(), testKey, content(5000))), Ready)
			r.must("POST", "/api/update/start", nil, Trial)
			tt.trial(r)
			r.set(well())
			r.reboot()
			s := r.u.Status()
			if s.State != Failed || s.Running.Version != "v1" || s.Running.Slot != "A" || !strings.Contains(s.Last.Reason, tt.reason) {
				t.Fatalf("%+v, %+v; want %q", s, s.Last, tt.reason)
			}
			if f := r.u.Finding(); f.State != metrics.Degraded || !strings.Contains(f.Cause, "v2 failed, back on v1") {
				t.Errorf("on the screen: %+v", f)
			}
			if _, err := os.Stat(r.file("run/trial")); err == nil {
				t.Error("the mark of a trial is left")
			}
			// And again, which must be possible.
			r.must("PUT", "/api/update", bytes.NewReader(pack(t, manifest(), testKey, content(6000))), Ready)
			r.must("POST", "/api/update/start", nil, Trial)
		})
	}
}

// noted changes what is written down of a trial.
func (r *rig) noted(change func(*trial)) {
	r.t.Helper()
	all, err := r.u.readRecord()
	if err != nil {
		r.t.Fatal(err)
	}
	change(all.Trial)
	if err := r.u.writeJSON(recordFile, all); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) restartedFor(why string) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.restarts) != 2 || !strings.Contains(r.restarts[1], why) {
		r.t.Errorf("restarts %q, want one for %q", r.restarts, why)
	}
}

// TestRefused is every bundle and every start that is refused; the running root
// and what is started next stay as they are.
func TestRefused(t *testing.T) {
	good := pack(t, manifest(), testKey, content(5000))
	changed := func(change func(*bundle.Manifest)) []byte {
		m := manifest()
		change(&m)
		return pack(t, m, testKey, content(5000))
	}
	damaged := bytes.Clone(good)
	damaged[len(damaged)-1] ^= 1
	for _, tt := range []struct {
		name   string
		before func(r *rig)
		file   []byte
		put    int // status code
		start  int // 0: not tried
		force  string
		error  string
	}{
		{"good", nil, good, 200, 202, "", ""},
		{"another key's", nil, pack(t, manifest(), otherKey, content(5000)), 403, 409, "", "signature"},
		{"no key", func(r *rig) { os.Remove(r.file("etc/" + KeyFile)) }, good, 403, 409, "", "no update key"},
		{"the box's own key counts", func(r *rig) {
			r.write("perm/"+KeyFile, []byte(base64.StdEncoding.EncodeToString(otherKey[32:])))
		}, good, 403, 409, "", "signature"},
		{"a key that is none", func(r *rig) { r.write("perm/"+KeyFile, []byte("boo")) }, good, 500, 409, "", "no update key"},
		{"another board", nil, changed(func(m *bundle.Manifest) { m.Board = "videobox-pc" }), 412, 409, "", "for videobox-pc"},
		{"another processor", nil, changed(func(m *bundle.Manifest) { m.Arch = "amd64" }), 412, 409, "", "amd64"},
		{"older", nil, changed(func(m *bundle.Manifest) { m.Build = runningBuild - 1 }), 200, 412, "", "not newer"},
		{"the same", nil, changed(func(m *bundle.Manifest) { m.Build = runningBuild }), 200, 412, "busy", "not newer"},
		{"older, forced", nil, changed(func(m *bundle.Manifest) { m.Build = runningBuild - 1 }), 200, 202, "busy,older", ""},
		{"too large", nil, pack(t, manifest(), testKey, content(slotSize+1)), 413, 409, "", "the partition 4194304"},
		{"another kernel", nil, changed(func(m *bundle.Manifest) { m.Kernel = strings.Repeat("0", 64) }), 500, 409, "", "vmlinuz"},
		{"truncated in the header", nil, good[:50], 400, 409, "", "too early"},
		{"truncated", nil, good[:len(good)-1], 202, 409, "", ""},
		{"a byte more", nil, append(bytes.Clone(good), 0), 400, 0, "", "more than"},
		{"damaged", nil, damaged, 400, 409, "", "not what was signed"},
		{"nothing", nil, nil, 400, 409, "", "too early"},
		{"a page", nil, []byte("<!doctype html><title>Wrong file</title>"), 400, 409, "", "no bundle"},
		{"marked busy", func(r *rig) {
			r.must("PUT", "/api/busy", strings.NewReader(`{"busy":true,"reason":"rehearsal"}`), Idle)
		}, good, 200, 409, "older", "rehearsal"},
		{"marked busy, forced", func(r *rig) { r.must("PUT", "/api/busy", strings.NewReader(`{"busy":true}`), Idle) }, good, 200, 202, "busy", ""},
		{"in a talk", func(r *rig) { r.talk = "On boxes, until 10:45 UTC" }, good, 200, 409, "", "a talk: On boxes"},
		{"in a talk, forced", func(r *rig) { r.talk = "On boxes" }, good, 200, 202, "busy", ""},
		{"schedule away", func(r *rig) { r.talkErr = errors.New("away") }, good, 200, 202, "", ""},
		{"another update waits", func(r *rig) { r.switchTo(3) }, good, 409, 409, "", "waits for a restart"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			if tt.before != nil {
				tt.before(r)
			}
			was := r.boot()
			code, _, text := r.ask("PUT", "/api/update?offset=0", bytes.NewReader(tt.file))
			if code != tt.put || code >= 300 && !strings.Contains(text, tt.error) {
				t.Errorf("bundle: %d %s; want %d %q", code, text, tt.put, tt.error)
			}
			if tt.start == 0 {
				return
			}
			code, _, text = r.ask("POST", "/api/update/start?force="+tt.force, nil)
			if code != tt.start || tt.put == 200 && code >= 300 && !strings.Contains(text, tt.error) {
				t.Errorf("start: %d %s; want %d %q", code, text, tt.start, tt.error)
			}
			if begun := tt.start == 202; begun != (r.restarted() == 1) || begun == (r.boot() == was) {
				t.Errorf("%d restarts, boot partition changed: %v", r.restarted(), r.boot() != was)
			}
			if tt.start != 202 && tt.put != 202 && !strings.Contains(tt.error, "waits") {
				if _, s, _ := r.ask("GET", "/api/update", nil); s.Refusal == nil {
					t.Errorf("the refusal is not shown: %+v", s)
				}
			}
			if on, err := os.ReadFile(r.file("p2")); err != nil || !bytes.Equal(on, bytes.Repeat([]byte{2}, slotSize)) {
				t.Error("the running root has changed")
			}
		})
	}
}

func (r *rig) switchTo(n int) {
	if err := r.card.Switch(n); err != nil {
		r.t.Fatal(err)
	}
}

// TestResume cuts an upload off, restarts boxd, and goes on.
func TestResume(t *testing.T) {
	r := newRig(t)
	file := pack(t, manifest(), testKey, content(3<<20))
	head := int64(len(file)) - 3<<20
	broken := io.MultiReader(bytes.NewReader(file[:head+2<<20+77]), iotest.ErrReader(errors.New("connection reset")))
	if code, _, _ := r.ask("PUT", "/api/update?offset=0", broken); code < 400 {
		t.Errorf("a connection that breaks: %d", code)
	}
	_, s, _ := r.ask("GET", "/api/update", nil)
	if s.State != Receiving || s.Incoming.Received != head+2<<20 || s.Incoming.Size != int64(len(file)) {
		t.Fatalf("%+v", s)
	}
	if code, _, text := r.ask("PUT", "/api/update?offset=77", bytes.NewReader(file[77:])); code != http.StatusConflict || !strings.Contains(text, "goes on") {
		t.Errorf("a wrong offset: %d %s", code, text)
	}
	for _, bad := range []string{"-1", "x", "99999999999999999999"} {
		if code, _, _ := r.ask("PUT", "/api/update?offset="+bad, bytes.NewReader(file)); code != http.StatusConflict {
			t.Errorf("offset %s: %d", bad, code)
		}
	}
	r.stop()
	r.start() // of boxd; the partition tells
	_, s, _ = r.ask("GET", "/api/update", nil)
	if s.Incoming.Received != head+2<<20 || s.Incoming.Version != "v2" {
		t.Fatalf("after a restart of boxd: %+v", s)
	}
	r.must("PUT", "/api/update?offset="+itoa(s.Incoming.Received), bytes.NewReader(file[s.Incoming.Received:]), Ready)

	// What was written must still be there at the start.
	on, err := os.ReadFile(r.file("p3"))
	if err != nil {
		t.Fatal(err)
	}
	on[1<<20+5] ^= 1
	r.write("p3", on)
	if code, _, text := r.ask("POST", "/api/update/start", nil); code != http.StatusConflict || !strings.Contains(text, "doesn't hold what was written") {
		t.Errorf("a card that forgets: %d %s", code, text)
	}
	s = r.must("PUT", "/api/update?offset="+itoa(head+1<<20), bytes.NewReader(file[head+1<<20:]), Ready)
	r.must("DELETE", "/api/update", nil, Idle)
	if code, _, _ := r.ask("POST", "/api/update/start", nil); code != http.StatusConflict || s.Incoming.Received == 0 {
		t.Errorf("dropped and started: %d", code)
	}
	r.stop()
	r.start()
	if s := r.u.Status(); s.State != Idle {
		t.Errorf("dropped, and there again: %+v", s)
	}
}

// TestOneAtATime: a second upload is refused while one runs.
func TestOneAtATime(t *testing.T) {
	r := newRig(t)
	file := pack(t, manifest(), testKey, content(2<<20))
	pr, pw := io.Pipe()
	done := make(chan int)
	go func() {
		code, _, _ := r.ask("PUT", "/api/update", pr)
		done <- code
	}()
	if _, err := pw.Write(file[:1<<20]); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"PUT", "DELETE"} {
		if code, _, text := r.ask(method, "/api/update", bytes.NewReader(file)); code != http.StatusConflict || !strings.Contains(text, "another request") {
			t.Errorf("%s: %d %s", method, code, text)
		}
	}
	if _, err := pw.Write(file[1<<20:]); err != nil {
		t.Fatal(err)
	}
	pw.Close()
	if code := <-done; code != 200 {
		t.Errorf("the first: %d", code)
	}
}

// TestKeyOfTheCard: a key on the boot partition is kept.
func TestKeyOfTheCard(t *testing.T) {
	r := newRig(t)
	for _, tt := range []struct{ text, want string }{
		{"boo", ""}, {base64.StdEncoding.EncodeToString(otherKey[32:]) + "\n", "kept"},
	} {
		path := filepath.Join(t.TempDir(), bootKey)
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		copyToBoot(t, r.card.Boot, path)
		r.stop()
		r.start()
		kept, _ := os.ReadFile(r.file("perm/" + KeyFile))
		if (tt.want != "") != (string(kept) == tt.text) {
			t.Errorf("%q: %q is kept", tt.text, kept)
		}
	}
	if code, _, _ := r.ask("PUT", "/api/update", bytes.NewReader(pack(t, manifest(), otherKey, content(10)))); code != 200 {
		t.Errorf("signed by it: %d", code)
	}
}

func TestBusyIsKept(t *testing.T) {
	r := newRig(t)
	for _, bad := range []string{"", "{", `{"busy":true,"reason":"` + strings.Repeat("x", 300) + `"}`} {
		if code, _, _ := r.ask("PUT", "/api/busy", strings.NewReader(bad)); code != http.StatusBadRequest {
			t.Errorf("%.20q: %d", bad, code)
		}
	}
	r.must("PUT", "/api/busy", strings.NewReader(`{"busy":true}`), Idle)
	r.stop()
	r.start()
	if _, s, _ := r.ask("GET", "/api/update", nil); !s.Busy.Busy || s.Refused != "marked busy" {
		t.Errorf("%+v", s)
	}
	r.must("PUT", "/api/busy", strings.NewReader(`{"busy":false,"reason":"x"}`), Idle)
	if _, s, _ := r.ask("GET", "/api/update", nil); s.Busy.Busy || s.Refused != "" || s.Busy.Reason != "" {
		t.Errorf("%+v", s)
	}
}
