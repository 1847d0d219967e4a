package main

import (
	"context"
	"image/png"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/appliance/internal/boxtest"
	"github.com/openvideobox/videobox/appliance/internal/peers"
	"github.com/openvideobox/videobox/appliance/internal/self"
	"github.com/openvideobox/videobox/display/screen"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/picture"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	goleak.VerifyTestMain(m)
}

// shownNumber reads the test picture's frame number off the screen.
func shownNumber(name string) (int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		return 0, err
	}
	var frame media.Frame
	picture.FromImage(&frame, img)
	return picture.ReadNumber(&frame, picture.Rect{X: 6 * 2, Y: 38 * 2, W: 208 * 2, H: 117 * 2})
}

// The screen shows the newest keyframe of the stream, and moves on.
func TestShowsTheStream(t *testing.T) {
	b := boxtest.Start(t, "")
	b.Capture.Leaf("signal").Set(metrics.OK, "")
	b.Record.Leaf("recorder growing").Set(metrics.OK, "")
	box, err := self.Load(b.Config, "box1")
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "screen.png")
	p := newPreview(box, out, 640, 480, 100*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.run(ctx, "127.0.0.1:0") }()
	defer func() { cancel(); <-done }()

	var first int64
	eventually(t, "the picture can be read off the screen", func() bool {
		n, err := shownNumber(out)
		first = n
		return err == nil && n > 0
	})
	eventually(t, "a later keyframe is shown", func() bool {
		n, err := shownNumber(out)
		return err == nil && n >= first+25
	})
	if h := p.hop.Snapshot(); h.Frames < 2 || h.LatencyMS < 0 || h.LatencyMS > 3000 {
		t.Errorf("hop %+v", h)
	}
	b.Paused.Store(true)
	eventually(t, "an old picture is not shown for long", func() bool {
		_, err := shownNumber(out)
		return err != nil
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestLines(t *testing.T) {
	down := peers.Peer{Program: "record", Error: "connection refused"}
	if l := recordingLine(down); l.Level != screen.Bad || l.Text != "record does not answer: connection refused" {
		t.Errorf("%+v", l)
	}
	up := func(state metrics.State, cause string, detail map[string]any) peers.Peer {
		return peers.Peer{Program: "x", Answered: time.Now(), Status: metrics.Status{
			Health: []metrics.Leaf{{Name: "recorder growing", State: state, Cause: cause}, {Name: "signal", State: state, Cause: cause}},
			Detail: any(detail),
		}}
	}
	if l := recordingLine(up(metrics.OK, "", map[string]any{"bytes": 1.25e9, "hours_left": 40.2})); l.Text != "1.25 GB · 40 h left" || l.Level != screen.Good {
		t.Errorf("%+v", l)
	}
	if l := recordingLine(up(metrics.Failed, "disk full", nil)); l.Text != "disk full" || l.Level != screen.Bad {
		t.Errorf("%+v", l)
	}
	if l := signalLine(up(metrics.OK, "", map[string]any{"input": map[string]any{"width": 1280.0, "height": 720.0, "fps": 24.96}})); l.Text != "1280x720, 25.0 a second" {
		t.Errorf("%+v", l)
	}
	lines := map[string]screen.Line{"a": {Text: "x", Level: screen.Warning}, "b": {Text: "y", Level: screen.Bad}, "c": {Text: "z", Level: screen.Bad}}
	if l := worst(lines, "a", "b", "c"); l.Text != "b: y" || l.Level != screen.Bad {
		t.Errorf("%+v", l)
	}
}

func TestAddresses(t *testing.T) {
	var all []net.Addr
	for _, s := range []string{"127.0.0.1/8", "fe80::1/64", "2001:db8::1/64", "192.0.2.12/24"} {
		ip, n, err := net.ParseCIDR(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &net.IPNet{IP: ip, Mask: n.Mask})
	}
	if got := addresses(all); len(got) != 2 || got[0] != "192.0.2.12" || got[1] != "2001:db8::1" {
		t.Errorf("%v", got)
	}
}

func TestParseSize(t *testing.T) {
	for s, ok := range map[string]bool{"320x240": true, "1920x1080": true, "100x100": false, "320": false, "320x240x2": false, "x": false, "99999x9999": false} {
		if _, _, err := parseSize(s); (err == nil) != ok {
			t.Errorf("%s: %v", s, err)
		}
	}
}
