package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/mpegts"
)

// ask calls the status server.
func (b *box) ask(method, path, body string) (int, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, "http://"+b.status+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// keyframes counts the IDRs that came so far.
func (r *reader) keyframes() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var s mpegts.Scanner
	s.Scan(r.data.Bytes(), func(p mpegts.Packet) {
		if p.PID() == mpegts.PIDVideo && p.PayloadStart() && p.RandomAccess() {
			n++
		}
	})
	return n
}

// TestBitrateChangesLive changes it twice, and kills the worker in between: the
// stream goes on without a break, and the new worker has the new bitrate.
func TestBitrateChangesLive(t *testing.T) {
	b := start(t, "pattern")
	r := read(b.dial())
	rep := r.until(t, "a second of live picture", func(_ h264.Stamp, rep mpegts.Report) bool { return rep.LiveFrames >= 25 })
	keys := r.keyframes()
	if code, text := b.ask("PUT", "/api/bitrate", `{"bitrate": 1800000}`); code != 200 {
		t.Fatalf("%d %s", code, text)
	}
	begin := rep.Latest.Frame
	r.until(t, "two seconds", func(s h264.Stamp, _ mpegts.Report) bool { return s.Frame >= begin+50 })
	if more := r.keyframes() - keys; more < 1 || more > 3 {
		t.Errorf("%d IDRs in two seconds, want those of whole seconds", more)
	}
	code, text := b.ask("POST", "/api/worker/restart", "")
	var killed struct{ Killed int }
	if err := json.Unmarshal([]byte(text), &killed); code != 200 || err != nil || killed.Killed == 0 {
		t.Fatalf("restart: %d %s", code, text)
	}
	b.await("another worker is live", func(d detail) bool {
		return d.Detail.WorkerPID != 0 && d.Detail.WorkerPID != killed.Killed && d.Detail.Live && d.Detail.Restarts == 1
	})
	if _, text := b.ask("GET", "/api/bitrate", ""); !strings.Contains(text, `"bitrate":1800000,"event_bitrate":1000000`) {
		t.Errorf("after the restart: %s", text)
	}
	if code, text := b.ask("PUT", "/api/bitrate", `{"bitrate": 9000000}`); code != 400 || !strings.Contains(text, "2000000") {
		t.Errorf("above the maximum: %d %s", code, text)
	}
	begin = r.until(t, "a frame", live).Latest.Frame
	unbroken(t, b, r.until(t, "another second", func(s h264.Stamp, _ mpegts.Report) bool { return s.Frame >= begin+25 }))
}
