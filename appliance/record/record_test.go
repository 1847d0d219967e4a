package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/recording"
	"github.com/openvideobox/videobox/internal/run/runtest"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	goleak.VerifyTestMain(m)
}

// stream makes seconds of a box's stream at 25 frames a second.
func stream(t *testing.T, seconds int64) (ts []byte, starts []int) {
	t.Helper()
	var b bytes.Buffer
	m := mpegts.NewMuxer(&b, mpegts.Options{})
	origin := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC).Unix() * 25
	sps := []byte{0, 0, 0, 1, 0x67, 0x64, 0, 0x1f, 0xac, 0, 0, 0, 1, 0x68, 0xee, 0x3c, 0x80}
	for i := range seconds * 25 {
		n := origin + i
		key := n%25 == 0
		au := []byte{0, 0, 0, 1, 9, 0xf0}
		slice := byte(0x41)
		if key {
			starts = append(starts, b.Len())
			au, slice = append(au, sps...), 0x65
		}
		au = append(append(au, 0, 0, 0, 1, slice), bytes.Repeat([]byte{0x80 | byte(i)}, 2000)...)
		au = h264.InsertStamp(nil, au, h264.Stamp{Flags: h264.Synced, Frame: uint64(n), Program: n / 25 * 1e9, Capture: time.Now().UnixNano()})
		if err := m.WriteVideo(media.Unit{PTS: n * 3600, DTS: n * 3600, Key: key, Data: au}); err != nil {
			t.Fatal(err)
		}
		if err := m.WriteAudio(media.Unit{Track: media.Audio, PTS: n * 3600, DTS: n * 3600, Data: make([]byte, 200)}); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes(), starts
}

// box serves a stream as a box does, and breaks connections where it is told.
type box struct {
	newest, buffered net.Listener
	serve            chan span
	gone             chan struct{}
}

// span is what one connection gets; port says which one is expected.
type span struct {
	port     string
	from, to int
}

func newBox(t *testing.T, ts []byte) *box {
	t.Helper()
	b := &box{serve: make(chan span, 16), gone: make(chan struct{})}
	for _, l := range []*net.Listener{&b.newest, &b.buffered} {
		var err error
		if *l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := range b.serve {
			l := b.newest
			if s.port == "buffered" {
				l = b.buffered
			}
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Write(ts[s.from:s.to])
			if s.to == len(ts) {
				<-b.gone
			}
			c.Close()
		}
	}()
	t.Cleanup(func() { close(b.gone); close(b.serve); b.newest.Close(); b.buffered.Close(); <-done })
	return b
}

// started runs the program until the returned function is called.
func started(t *testing.T, b *box, dir string) (status string, stop func()) {
	t.Helper()
	return startedWith(t, options{
		name: "box1", room: "demo", role: "camera",
		stream: b.newest.Addr().String(), buffered: b.buffered.Addr().String(), captureAddr: "127.0.0.1:1",
		recording: recording.Config{Dir: dir, Name: "box1", Segment: 5 * time.Second},
	})
}

// startedWith chooses a port for the status.
func startedWith(t *testing.T, o options) (status string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.status = l.Addr().String()
	l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- record(ctx, o) }()
	return o.status, func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	}
}

// statusOf is the recorder's own part of the program's status.
func statusOf(t *testing.T, m metrics.Status) (s recording.Status) {
	t.Helper()
	raw, err := json.Marshal(m.Detail)
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// until waits for the status to become so.
func until(t *testing.T, addr string, what string, ok func(metrics.Status) bool) metrics.Status {
	t.Helper()
	deadline := time.Now().Add(runtest.Patience)
	for {
		s, err := metrics.Fetch(t.Context(), http.DefaultClient, "http://"+addr)
		if err == nil && ok(s) {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("never %s: %+v, %v", what, s, err)
		}
		time.Sleep(20 * time.Millisecond) // polling only
	}
}

func written(n int) func(metrics.Status) bool {
	return func(s metrics.Status) bool { h, ok := s.Hop("file"); return ok && h.Bytes >= uint64(n) }
}

func recorded(t *testing.T, dir string) (all []byte, entries []recording.Entry) {
	t.Helper()
	entries, err := recording.List(recording.Disk{}, dir, "box1")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		d, err := os.ReadFile(filepath.Join(dir, "box1", e.File))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d...)
	}
	return all, entries
}

// The connection breaks twice and the program is started again once: every
// byte is recorded once.
func TestLosesNothing(t *testing.T) {
	ts, starts := stream(t, 20)
	dir := t.TempDir()
	b := newBox(t, ts)
	b.serve <- span{"newest", 0, starts[4] + 1234}
	b.serve <- span{"buffered", starts[2], starts[9] + 77}
	b.serve <- span{"buffered", starts[5], len(ts)/2 + 1}
	first := len(ts) / 2 / 188 * 188
	status, stop := started(t, b, dir)
	until(t, status, "half recorded", written(first-8*188))
	stop()

	b = newBox(t, ts) // whose ports hold no connection of the first run
	b.serve <- span{"buffered", starts[8], len(ts)}
	status, stop = started(t, b, dir)
	s := until(t, status, "recorded to the end", written(len(ts)-first))
	in, _ := s.Hop("in")
	if in.ContinuityErrors != 0 || in.Frames == 0 || s.Room != "demo" || s.Role != "camera" {
		t.Errorf("status %+v", s)
	}
	stop()
	all, entries := recorded(t, dir)
	if !bytes.Equal(all, ts) {
		t.Errorf("%d bytes recorded of %d", len(all), len(ts))
	}
	if len(entries) != 4 {
		t.Errorf("%d files", len(entries))
	}
	for _, e := range entries {
		if e.Open || len(e.Gaps) > 0 || e.MissingFrames > 0 || e.ContinuityErrors > 0 || e.SHA256 == "" {
			t.Errorf("%+v", e)
		}
	}
	p := mpegts.NewProbe()
	p.Write(all)
	if r := p.Report(); r.Continuity != 0 || r.MissingFrames != 0 || r.DuplicateFrames != 0 || r.Frames != 500 {
		t.Errorf("probe: %v", r)
	}
}

func TestBoxIsDown(t *testing.T) {
	dir := t.TempDir()
	b := newBox(t, nil)
	b.newest.Close()
	status, stop := started(t, b, dir)
	defer stop()
	s := until(t, status, "red", func(s metrics.Status) bool {
		h, _ := s.Hop("in")
		return h.State == metrics.Failed && h.Cause != ""
	})
	if s.State == metrics.OK {
		t.Errorf("%+v", s)
	}
}
