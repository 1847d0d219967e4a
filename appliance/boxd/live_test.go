package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/jpeg"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/boxtest"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/mpegts"
)

// liveRig is boxd beside a box that works.
func liveRig(t *testing.T) (*boxtest.Box, func(path string) (int, string)) {
	b := boxtest.Start(t, "")
	for _, leaf := range []string{"device", "signal", "encoder", "stream"} {
		b.Capture.Leaf(leaf).Set(metrics.OK, "")
	}
	b.Record.Leaf("recorder growing").Set(metrics.OK, "")
	b.Record.Leaf("disk space").Set(metrics.OK, "")
	b.Capture.SetDetail(func() any { return map[string]any{"video": "320x180@25"} })
	dir := t.TempDir()
	recordInto(t, filepath.Join(dir, "box1"))
	_, web := rigOf(t, b.Config, dir)
	return b, func(path string) (int, string) {
		resp, body := get(t, web, path)
		return resp.StatusCode, body
	}
}

// recordInto lets a file grow until the test ends.
func recordInto(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "box1-20261123100000.ts"))
	if err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		defer f.Close()
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				f.Write(make([]byte, 1880))
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped })
}

func leaf(t *testing.T, body, name string) metrics.Leaf {
	t.Helper()
	var s metrics.Status
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		t.Fatal(err)
	}
	for _, l := range s.Health {
		if l.Name == name {
			return l
		}
	}
	t.Fatalf("no leaf %q in %s", name, body)
	return metrics.Leaf{}
}

func TestABoxThatWorks(t *testing.T) {
	b, ask := liveRig(t)
	becomes := func(name string, state metrics.State, cause string) {
		t.Helper()
		var l metrics.Leaf
		eventually(t, name+" is "+string(state), func() bool {
			_, body := ask("/api/status")
			l = leaf(t, body, name)
			return l.State == state && strings.Contains(l.Cause, cause)
		})
	}
	becomes("stream growing", metrics.OK, "")
	becomes("clock", metrics.OK, "")
	becomes("device", metrics.OK, "")
	becomes("recorder growing", metrics.OK, "")
	becomes("disk space", metrics.OK, "")
	if code, body := ask("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: %d, %s", code, body)
	}
	if _, body := ask("/"); !strings.Contains(body, "demo · camera") || !strings.Contains(body, "320x180@25 · ") {
		t.Errorf("page: %s", body)
	}

	b.Flags.Store(uint32(h264.Slate))
	becomes("clock", metrics.Degraded, "no time server")
	becomes("stream growing", metrics.OK, "") // a slate is no fault of the stream
	b.Capture.Leaf("signal").Set(metrics.Degraded, "no cable")
	becomes("signal", metrics.Unknown, "no cable") // the worker is away
	b.Capture.SetDetail(func() any { return map[string]any{"worker_pid": 7} })
	becomes("signal", metrics.Failed, "no cable")
	b.Record.Leaf("recorder growing").Set(metrics.Failed, "disk full: 3 MB free")
	becomes("recorder growing", metrics.Failed, "disk full")
	if code, body := ask("/healthz"); code != http.StatusServiceUnavailable || body != "failed: signal: no cable\n" {
		t.Errorf("/healthz: %d, %s", code, body)
	}
	b.Flags.Store(uint32(h264.Synced | h264.Live))
	b.Record.Leaf("recorder growing").Set(metrics.OK, "")
	b.Capture.Leaf("signal").Set(metrics.OK, "")
	becomes("signal", metrics.OK, "")
	becomes("recorder growing", metrics.OK, "")
	b.Paused.Store(true)
	// Each new connection gets the ring's last second again: that is no life. A look
	// a second may pass over any one number of seconds.
	eventually(t, "no new frame for 6 s or longer", func() bool {
		_, body := ask("/api/status")
		var s float64
		_, err := fmt.Sscanf(leaf(t, body, "stream growing").Cause, "no new frame for %f s", &s)
		return err == nil && s >= 6
	})
}

func TestPreview(t *testing.T) {
	_, ask := liveRig(t)
	var body string
	eventually(t, "there is a picture", func() bool {
		code, b := ask("/preview.jpg")
		body = b
		return code == http.StatusOK
	})
	img, err := jpeg.Decode(strings.NewReader(body))
	if err != nil || img.Bounds().Dx() != 320 || img.Bounds().Dy() != 180 {
		t.Fatalf("%v, %v", img.Bounds(), err)
	}
	eventually(t, "the picture moves", func() bool {
		_, b := ask("/preview.jpg")
		return b != body
	})
}

// One client of /stream.ts never reads. The other gets an unbroken stream.
func TestStreamToClients(t *testing.T) {
	b := boxtest.Start(t, "")
	_, web := rigOf(t, b.Config, t.TempDir())
	stuck, err := net.Dial("tcp", strings.TrimPrefix(web.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	if _, err := stuck.Write([]byte("GET /stream.ts HTTP/1.1\r\nHost: box\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, web.URL+"/stream.ts", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := web.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("Content-Type") != "video/mp2t" {
		t.Errorf("%v", resp.Header)
	}
	probe := mpegts.NewProbe()
	r := bufio.NewReader(resp.Body)
	var first []byte
	for probe.Report().Frames < 60 {
		p := make([]byte, mpegts.PacketSize)
		if _, err := io.ReadFull(r, p); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = bytes.Clone(p)
		}
		probe.Write(p)
	}
	if mpegts.Packet(first).PID() != mpegts.PIDPAT {
		t.Errorf("the first packet has PID %d", mpegts.Packet(first).PID())
	}
	if rep := probe.Report(); rep.Continuity != 0 || rep.MissingFrames != 0 || rep.SyncLosses != 0 {
		t.Errorf("%v", rep)
	}
}
