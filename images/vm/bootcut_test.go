//go:build vm

package vm_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
	"github.com/openvideobox/videobox/internal/recording"
)

// mayTake is for how many seconds after QEMU's start nothing is recorded. Of the
// ten that a box has, a machine without KVM makes more.
const mayTake = 40

// bootCuts really boots the card after n power cuts of its recording: it must
// record again, in a new file, and what was there must still play.
func (r *recorded) bootCuts(t *testing.T, n int) {
	t.Helper()
	c := r.cuts(t, true)
	from, to := r.span(t, c.log)
	var took []float64
	for i, at := range points(to-from, n) {
		card := c.cut(t, from+at, uint64(i))
		cut := r.when(c.log.End(from + at))
		want := r.newest(cut.Add(-mayLose - r.stall(cut)))
		took = append(took, r.bootCut(t, card, want).Seconds())
		if last := took[len(took)-1]; last > mayTake {
			t.Errorf("recording again after %.1f s, want %d at most", last, mayTake)
		}
	}
	slices.Sort(took)
	t.Logf("recording again in a new file after QEMU's start, in s: %.1f", took)
}

// bootCut boots a card and says how long after QEMU's start it records again.
func (r *recorded) bootCut(t *testing.T, card string, want uint64) time.Duration {
	t.Helper()
	dir := t.TempDir()
	b := boot(t, func(c *vm.Config) { c.Image, c.Perm, c.Dir = card, nil, dir })
	old := r.recordsAgain(t, b)
	took := time.Since(b.Started)
	b.Stop()
	name := permFile(t, raw(t, dir))
	if _, err := repairPerm(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	err := mountedAt(name, 0, func(dir string) error {
		for _, f := range old {
			files, err := filepath.Glob(filepath.Join(dir, "recordings", "*", f))
			if err != nil || len(files) != 1 {
				t.Errorf("%s: %d files, %v", f, len(files), err)
				continue
			}
			last, _, err := r.play(files[0])
			if err != nil || last < want {
				t.Errorf("%s: ends with frame %d, want %d or more: %v", f, last, want, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(dir); err != nil { // twenty of them are much
		t.Error(err)
	}
	return took
}

// recordsAgain waits until a new file grows, and names the old ones.
func (r *recorded) recordsAgain(t *testing.T, b box) (old []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	poll := time.NewTicker(300 * time.Millisecond)
	defer poll.Stop()
	for {
		var said struct{ Recordings []recording.Entry }
		code, body := ask(ctx, b.Addr(80), "/recordings/?format=json", "secret")
		if code == http.StatusOK && json.Unmarshal([]byte(body), &said) == nil {
			old = nil
			grows := false
			for _, e := range said.Recordings {
				if e.Start.After(r.frames[len(r.frames)-1].at.Add(2 * time.Second)) {
					grows = grows || e.Bytes > 0
				} else {
					old = append(old, e.File)
				}
			}
			if grows && len(old) > 0 {
				return old
			}
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("no new file: %d %s\nconsole:\n%s", code, strings.TrimSpace(body), b.Console.Last(20))
		}
	}
}

// ask asks boxd; 0 is no answer.
func ask(ctx context.Context, addr, path, password string) (int, string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return 0, err.Error()
	}
	req.SetBasicAuth(vm.User, password)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(body)
}
