package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/appliance/boxd/internal/board"
	"github.com/openvideobox/videobox/appliance/internal/peers"
	"github.com/openvideobox/videobox/internal/metrics"
)

// well is what boxd sees of a box that works.
func well() *scene {
	ok := func(names ...string) metrics.Status {
		s := metrics.Status{}
		for _, n := range names {
			s.Health = append(s.Health, metrics.Leaf{Name: n, State: metrics.OK})
		}
		return s
	}
	s := &scene{
		role: camera, up: time.Hour,
		capture: peers.Peer{Program: "capture", Answered: time.Now(), Status: ok("device", "signal", "encoder")},
		record:  peers.Peer{Program: "record", Answered: time.Now(), Status: ok("recorder growing")},
		stream:  streamDetail{Picture: showsLive, Stamped: true, Synced: true, FrameAgeMS: 40, BitsPerSecond: 4e6},
		files:   fileGrowth{name: "box1-20261123100000.ts", bytes: 1e7, still: time.Second},
		update:  metrics.Finding{State: metrics.OK},
		disk:    board.Disk(board.Space{Free: 100e9, Total: 120e9}, nil, board.Recording{Keep: keepFree, Rate: 5e5}),
	}
	s.report("streaming", 0)
	for _, f := range []*metrics.Finding{&s.clock, &s.temperature, &s.voltage, &s.network} {
		*f = metrics.Finding{State: metrics.OK}
	}
	return s
}

// report is what capture's worker says of its input.
func (s *scene) report(state string, frozen time.Duration) {
	s.capture.Status.Detail = map[string]any{
		"worker_pid": 7.0, "input": map[string]any{"state": state, "picture": map[string]any{"frozen_ns": float64(frozen)}},
	}
}

// says sets a leaf of a program's own.
func says(p *peers.Peer, name string, state metrics.State, cause string) {
	p.Status.Health = slices.Clone(p.Status.Health)
	for i, l := range p.Status.Health {
		if l.Name == name {
			p.Status.Health[i].State, p.Status.Health[i].Cause = state, cause
		}
	}
}

func (s *scene) lost(state, cause string) {
	s.report(state, 0)
	s.stream.Picture = showsSlate
	says(&s.capture, "signal", metrics.Degraded, cause)
	if gone(cause) {
		says(&s.capture, "device", metrics.Degraded, cause)
	}
}

func full() metrics.Finding {
	return board.Disk(board.Space{Free: 1e8, Total: 120e9}, nil, board.Recording{Keep: keepFree})
}

// A fault makes exactly the leaves that are given other than ok; one of them is
// red, with the cause.
func TestOneFaultOneRedLeaf(t *testing.T) {
	const red, orange, unknown = metrics.Failed, metrics.Degraded, metrics.Unknown
	for _, c := range []struct {
		name  string
		fault func(s *scene)
		want  map[string]metrics.State
		cause string // of the red one
	}{
		{"nothing", func(*scene) {}, nil, ""},
		{"unplugged", func(s *scene) { s.lost("no device", "no device: /dev/video0 is gone") }, map[string]metrics.State{"device": red, "signal": unknown}, "is gone"},
		{"device sends nothing", func(s *scene) { s.lost("frozen", "frozen: delivers no picture") }, map[string]metrics.State{"device": red, "signal": unknown}, "delivers no picture"},
		{"the worker's report is newer than the leaves", func(s *scene) {
			s.lost("no device", "no device: /dev/video0 is gone")
			s.report("streaming", 0)
		}, map[string]metrics.State{"device": red, "signal": unknown}, "is gone"},
		{"one leaf is newer than the other", func(s *scene) {
			says(&s.capture, "signal", metrics.Degraded, "no device: /dev/video0 is gone")
		}, map[string]metrics.State{"signal": unknown}, ""},
		{"no signal", func(s *scene) { s.lost("no signal", "no signal") }, map[string]metrics.State{"signal": red}, "no signal"},
		{"no cable", func(s *scene) { s.lost("no cable", "no cable") }, map[string]metrics.State{"signal": red}, "no cable"},
		{"frozen picture", func(s *scene) { s.report("streaming", 7*time.Second) }, map[string]metrics.State{"signal": red}, "stood still for 7 s"},
		{"slides stand still", func(s *scene) { s.role = "slides"; s.report("streaming", time.Hour) }, nil, ""},
		{"a camera for 4 s", func(s *scene) { s.report("streaming", 4*time.Second) }, nil, ""},
		{"disk full", func(s *scene) { s.disk = full() }, map[string]metrics.State{"disk space": red}, "recording stops at"},
		{"disk full for longer", func(s *scene) { s.disk = full(); s.files.still = time.Minute }, map[string]metrics.State{"disk space": red, "recorder growing": orange}, "recording stops at"},
		{"the disk for recordings was pulled", func(s *scene) { s.lostDisk = "sda" }, map[string]metrics.State{"recorder growing": orange}, ""},
		{"two disks of one image", func(s *scene) { s.twinDisk = "sda" }, map[string]metrics.State{"disk space": orange}, ""},
		{"two disks of one image, and full", func(s *scene) { s.disk, s.twinDisk = full(), "sda" }, map[string]metrics.State{"disk space": red}, "recording stops at"},
		{"recorder hangs", func(s *scene) { s.files.still = time.Minute }, map[string]metrics.State{"recorder growing": red}, "has not grown for 60 s"},
		{"recorder is away", func(s *scene) { s.files.still, s.record.Error = time.Minute, "connection refused" }, map[string]metrics.State{"recorder growing": red}, "record does not answer: connection refused"},
		{"nothing was ever recorded", func(s *scene) { s.files = fileGrowth{still: time.Minute} }, map[string]metrics.State{"recorder growing": red}, "no recording has grown for 60 s"},
		{"the disk was freed just now", func(s *scene) { s.files.still, s.excused = 20*time.Second, true }, map[string]metrics.State{"recorder growing": orange}, ""},
		{"switched off", func(s *scene) {
			s.files.still, s.record.Status.Detail = time.Hour, map[string]any{"off": true}
			says(&s.record, "recorder growing", orange, "recording is switched off")
		}, map[string]metrics.State{"recorder growing": orange}, ""},
		{"what was written reads back as something else", func(s *scene) { says(&s.record, "recorder growing", red, "damaged on the disk") }, map[string]metrics.State{"recorder growing": red}, "damaged"},
		{"the disk is full, record says so at once", func(s *scene) { s.disk = full(); says(&s.record, "recorder growing", red, "full") }, map[string]metrics.State{"disk space": red, "recorder growing": orange}, "recording stops at"},
		{"recordings cannot be read", func(s *scene) { s.files.err = os.ErrPermission }, map[string]metrics.State{"recorder growing": unknown}, ""},
		{"a gap a moment ago", func(s *scene) { says(&s.record, "recorder growing", orange, "3 s are missing") }, map[string]metrics.State{"recorder growing": orange}, ""},
		{"stream stands still", func(s *scene) { s.stream.FrameAgeMS, s.stream.Picture = 3000, showsNone }, map[string]metrics.State{"stream growing": red}, "no new frame for 3 s"},
		{"for longer", func(s *scene) { s.stream.FrameAgeMS, s.files.still = 9000, 9*time.Second }, map[string]metrics.State{"stream growing": red, "recorder growing": orange}, "no new frame for 9 s"},
		{"capture is away", func(s *scene) { s.stream.FrameAgeMS, s.capture.Error = 3000, "connection refused" }, map[string]metrics.State{"stream growing": red, "device": unknown, "signal": unknown, "encoder": unknown}, "capture does not answer: connection refused"},
		{"capture says nothing, its stream goes on", func(s *scene) { s.capture.Error = "no answer in time" }, map[string]metrics.State{"device": unknown, "signal": unknown, "encoder": unknown}, ""},
		{"the worker dies again and again", func(s *scene) {
			s.capture.Status.Detail = map[string]any{"worker_pid": 0.0}
			for _, l := range []string{"device", "signal"} {
				says(&s.capture, l, orange, "worker restarting")
			}
			says(&s.capture, "encoder", red, "worker restarting: boom")
		}, map[string]metrics.State{"encoder": red, "device": unknown, "signal": unknown}, "boom"},
		{"a new worker has said nothing yet", func(s *scene) {
			s.lost("frozen", "frozen")
			for _, l := range []string{"device", "signal"} {
				says(&s.capture, l, orange, "worker restarting: asked for")
			}
		}, map[string]metrics.State{"device": unknown, "signal": unknown}, ""},
		{"boxd has just started", func(s *scene) { s.up, s.stream.FrameAgeMS, s.files = 0, -1, fileGrowth{} }, map[string]metrics.State{"stream growing": metrics.Starting, "recorder growing": metrics.Starting}, ""},
		{"no stream since", func(s *scene) { s.up, s.stream.FrameAgeMS = 6*time.Second, -1 }, map[string]metrics.State{"stream growing": red}, "no frame has come yet"},
		{"too hot", func(s *scene) { s.temperature = metrics.Finding{State: red, Cause: "91 °C"} }, map[string]metrics.State{"temperature": red}, "91 °C"},
	} {
		s := well()
		c.fault(s)
		got, cause := map[string]metrics.State{}, ""
		for _, l := range tree {
			f := l.look(s)
			if f.State != metrics.OK {
				got[l.name] = f.State
			}
			if f.State == red {
				cause += f.Cause
			}
			if (f.State == metrics.OK) != (f.Cause == "") {
				t.Errorf("%s: %s is %s with cause %q", c.name, l.name, f.State, f.Cause)
			}
		}
		if !maps.Equal(got, c.want) || !strings.Contains(cause, c.cause) {
			t.Errorf("%s: %v, %q; want %v, %q", c.name, got, cause, c.want, c.cause)
		}
	}
}

func TestFilesGrow(t *testing.T) {
	dir := t.TempDir()
	w := newWatchedFiles(dir, "box1")
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	write := func(name string, size int) {
		t.Helper()
		path := filepath.Join(dir, "box1", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
		os.Chtimes(path, time.Unix(0, 0), time.Unix(0, 0)) // what a box without a clock does
	}
	const one, two = "box1-20261123100000.ts", "box1-20261123101000.ts"
	for i, step := range []struct {
		does  func()
		name  string
		still time.Duration
	}{
		{func() {}, "", 0},
		{func() {}, "", time.Second},
		{func() { write(one, 188) }, one, 0},
		{func() { write(one, 376) }, one, 0},
		{func() {}, one, time.Second},
		{func() { write("box1.jsonl", 500); write("notes.txt", 7) }, one, 2 * time.Second},
		{func() { write(one, 188) }, one, 3 * time.Second}, // shrinking is no growth
		{func() { write(two, 0) }, one, 4 * time.Second},
		{func() { write(two, 188) }, two, 0},
		{func() { os.Remove(filepath.Join(dir, "box1", one)) }, two, time.Second},
	} {
		step.does()
		g := w.look(at.Add(time.Duration(i) * time.Second))
		if g.name != step.name || g.still != step.still || g.err != nil {
			t.Errorf("step %d: %+v, want %s for %v", i, g, step.name, step.still)
		}
	}
	old := newWatchedFiles(dir, "box1") // boxd starts again: files that are there have not grown
	if g := old.look(at); g.name != "" {
		t.Errorf("%+v", g)
	}
	if g := old.look(at.Add(time.Minute)); g.still != time.Minute {
		t.Errorf("%+v", g)
	}
	if g := newWatchedFiles("/dev/null", "x").look(at); g.err == nil {
		t.Error("a folder that is none is no error")
	}
}

func TestOldFindingsLookOld(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	l := metrics.Leaf{Name: "disk space", State: metrics.Unknown, Cause: "unknown: no answer", Since: now.Add(-time.Hour), Looked: now.Add(-time.Second)}
	if r := healthRow(0, l, now); r.Old != "" || r.Text != "no answer" || r.Age != "1 h 0 min" {
		t.Errorf("%+v", r)
	}
	l.Looked = now.Add(-20 * time.Second)
	if r := healthRow(0, l, now); r.Old != "old: nobody has looked for 20 s" {
		t.Errorf("%+v", r)
	}
	l.State, l.Cause, l.Value = metrics.OK, "", "54 °C"
	if r := healthRow(0, l, now); fmt.Sprint(r.State, r.Text) != "ok54 °C" {
		t.Errorf("%+v", r)
	}
}
