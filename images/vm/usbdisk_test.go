//go:build vm

package vm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/recording"
)

const (
	usbBytes = 6 << 30
	onDisk   = "/run/videobox/disk/recordings/videobox"
	onCard   = "/perm/recordings/videobox"
	// movesWithin is what the box's buffered port repeats, and some: in this
	// machine a program takes seconds to start.
	movesWithin = 12 * time.Second
)

// TestShortUSBDisk: an empty USB disk is taken for recordings, pulled out while
// it is recorded to, and put back. Recording goes on each time, what was on the
// disk is still there, what is missing is said, and the stream does not notice.
func TestShortUSBDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts")
	}
	v := victim{boot(t, nil)}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	v.goesOn(ctx, t, onCard)
	r, report := v.watch(t)
	usb := filepath.Join(t.TempDir(), "usb.raw")
	if err := errors.Join(os.WriteFile(usb, nil, 0o644), os.Truncate(usb, usbBytes)); err != nil {
		t.Fatal(err)
	}
	plug := func() {
		t.Helper()
		if err := v.PlugDisk(ctx, vm.Disk{ID: "pen", Path: usb}); err != nil {
			t.Fatal(err)
		}
	}
	plug()
	v.takesDisk(ctx, t)
	s := v.goesOn(ctx, t, onDisk)
	if total, _ := recorderOf(s)["total_bytes"].(float64); total < 0.9*usbBytes {
		t.Errorf("the file system has grown to %.0f of %d bytes", total, int64(usbBytes))
	}
	pulled := time.Now()
	if err := v.UnplugDisk(ctx, "pen"); err != nil {
		t.Fatal(err)
	}
	v.wait(ctx, t, "the page says what is wrong", func(s metrics.Status) bool {
		l := leafOf(s, "recorder growing")
		return l.State != metrics.OK && strings.Contains(l.Cause, "is gone")
	})
	v.goesOn(ctx, t, onCard)
	if took := time.Since(pulled); took > movesWithin {
		t.Errorf("recording went on after %.1f s, want %v", took.Seconds(), movesWithin)
	}
	plug()
	v.goesOn(ctx, t, onDisk)
	v.wait(ctx, t, "all is well again", func(s metrics.Status) bool { return leafOf(s, "recorder growing").State == metrics.OK })
	card := v.listed(ctx, t)
	v.Stop()
	if p := report(); p.Continuity != 0 || p.DuplicateFrames != 0 || p.SyncLosses != 0 {
		t.Errorf("a reader of the stream saw: %v", p)
	}
	last := r.wholeOnDisk(t, usb, pulled)
	r.saysWhatIsMissing(t, card, last)
}

// recorderOf is what record says of itself, in boxd's status.
func recorderOf(s metrics.Status) map[string]any {
	d, _ := s.Detail.(map[string]any)
	peer, _ := d["record"].(map[string]any)
	status, _ := peer["status"].(map[string]any)
	detail, _ := status["detail"].(map[string]any)
	return detail
}

// goesOn waits until a file grows in that folder.
func (v victim) goesOn(ctx context.Context, t *testing.T, dir string) metrics.Status {
	t.Helper()
	first := 0.0
	return v.wait(ctx, t, "records in "+dir, func(s metrics.Status) bool {
		d := recorderOf(s)
		bytes, _ := d["file_bytes"].(float64)
		if d["dir"] != dir || bytes == 0 {
			first = 0
			return false
		}
		if first == 0 {
			first = bytes
		}
		return bytes > first+100_000 // some two seconds
	})
}

// watch reads the stream until the machine ends.
func (v victim) watch(t *testing.T) (*recorded, func() mpegts.Report) {
	t.Helper()
	c, err := net.Dial("tcp", v.Addr(8899))
	if err != nil {
		t.Fatal(err)
	}
	r, p, ended := &recorded{}, mpegts.NewProbe(), make(chan struct{})
	var stream bytes.Buffer
	go func() {
		defer close(ended)
		_ = mpegts.Demux(io.TeeReader(c, io.MultiWriter(p, &stream)), r)
		r.stream = stream.Bytes()
	}()
	t.Cleanup(func() { c.Close(); <-ended })
	return r, func() mpegts.Report {
		select {
		case <-ended:
			if len(r.frames) == 0 || time.Since(r.frames[len(r.frames)-1].at) > 10*time.Second {
				t.Error("the stream ended before the machine did")
			}
		case <-time.After(10 * time.Second):
			t.Error("the stream outlived the machine")
		}
		return p.Report()
	}
}

// takesDisk does what a person does on the page.
func (v victim) takesDisk(ctx context.Context, t *testing.T) {
	t.Helper()
	poll := time.NewTicker(300 * time.Millisecond)
	defer poll.Stop()
	for began := time.Now(); ; {
		code, body := ask(ctx, v.Addr(80), "/api/disks", "secret")
		if code == http.StatusOK && strings.Contains(body, `"state":"empty"`) {
			t.Logf("the empty disk is offered after %.1f s: %s", time.Since(began).Seconds(), strings.TrimSpace(body))
			break
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("disks: %d %s", code, body)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+v.Addr(80)+"/api/disks", strings.NewReader(`{"take": "sda"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(vm.User, "secret")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusNoContent {
		t.Fatalf("taking the disk: %d %s", resp.StatusCode, text)
	}
}

func (v victim) listed(ctx context.Context, t *testing.T) []recording.Entry {
	t.Helper()
	var said struct{ Recordings []recording.Entry }
	if code, body := ask(ctx, v.Addr(80), "/recordings/?format=json", "secret"); code != http.StatusOK || json.Unmarshal([]byte(body), &said) != nil {
		t.Fatalf("%d %s", code, body)
	}
	return said.Recordings
}

// wholeOnDisk checks the disk as it was left: its files play, and what was older
// than a second when it was pulled is there. It says with which frame that ends.
func (r *recorded) wholeOnDisk(t *testing.T, usb string, pulled time.Time) (last uint64) {
	t.Helper()
	if code, said := fsck(t.Context(), "-p", usb); code > 1 {
		t.Fatalf("fsck: %d %s", code, said)
	}
	err := mountedAt(usb, 0, func(dir string) error {
		files, err := filepath.Glob(filepath.Join(dir, "recordings/videobox/*.ts"))
		for _, f := range files {
			end, frames, perr := r.play(f)
			t.Logf("on the disk: %s, %d frames up to %d", filepath.Base(f), frames, end)
			err = errors.Join(err, perr, r.wasSent(f))
			last = max(last, min(end, r.newest(pulled))) // a file that plays has no hole, and may go on after the pull
		}
		return err
	})
	if want := r.newest(pulled.Add(-mayLose - r.stall(pulled))); err != nil || last < want {
		t.Errorf("the disk has frames up to %d, want %d or more: %v", last, want, err)
	}
	return last
}

// saysWhatIsMissing: in what was recorded on the card after the pull, the index
// tells what is on the disk from what is nowhere, if anything is that a reader of
// the stream got.
func (r *recorded) saysWhatIsMissing(t *testing.T, list []recording.Entry, last uint64) {
	t.Helper()
	leftOut := func(g recording.Gap) bool { return r.got(g.FirstFrame, g.LastFrame) == 0 } // by a busy machine
	for _, e := range list {
		gaps := slices.DeleteFunc(slices.Clone(e.Gaps), leftOut)
		if !e.Open && e.StartFrame <= last && last < e.EndFrame && len(gaps) == 0 {
			t.Logf("on the card: %s from frame %d to %d: the ring still had all that came meanwhile", e.File, e.StartFrame, e.EndFrame)
			return
		}
		if e.Open || len(gaps) == 0 || !strings.Contains(gaps[0].Cause, onDisk) {
			continue
		}
		t.Logf("on the card: %s from frame %d to %d, gaps %+v", e.File, e.StartFrame, e.EndFrame, e.Gaps)
		switch lost := gaps[1:]; {
		case len(lost) == 0 && e.StartFrame <= last+1:
		case len(lost) == 1 && strings.Contains(lost[0].Cause, "is gone") && lost[0].LastFrame == e.StartFrame-1 && lost[0].FirstFrame <= last+1:
		default:
			t.Errorf("the disk ends with frame %d, %s has %+v", last, e.File, e)
		}
		return
	}
	t.Errorf("no file says that the disk has what came before: %+v", list)
}
