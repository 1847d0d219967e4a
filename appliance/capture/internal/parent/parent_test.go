package parent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/appliance/capture/internal/link"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/picture"
	"github.com/openvideobox/videobox/internal/program"
	"github.com/openvideobox/videobox/internal/run"
	"github.com/openvideobox/videobox/internal/tee"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var shape = program.Config{Width: 160, Height: 90, Rate: 25, Bitrate: 300_000, AudioBitrate: 64_000, Preset: "ultrafast"}

// script is an executable that stands in for capture's children.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "capture")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSlateChildEncodesWhatItIsTold(t *testing.T) {
	task, _ := json.Marshal(SlateTask{shape, picture.SlateText{Name: "box1", Cause: "on its way"}})
	var out bytes.Buffer
	if err := EncodeSlate(bytes.NewReader(task), &out); err != nil {
		t.Fatal(err)
	}
	var s program.Slate
	if err := s.UnmarshalBinary(out.Bytes()); err != nil || len(s.Pictures) != 25 || !h264.IsIDR(s.Pictures[0]) {
		t.Errorf("%d pictures, %v", len(s.Pictures), err)
	}
	for _, bad := range []string{"", "{", `{"program":{"Width":3}}`} {
		if err := EncodeSlate(strings.NewReader(bad), io.Discard); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

type shown chan *program.Slate

func (s shown) SetSlate(x *program.Slate) { s <- x }

// TestSlateIsTriedAgain has a child that fails once.
func TestSlateIsTriedAgain(t *testing.T) {
	task, _ := json.Marshal(SlateTask{shape, picture.SlateText{}})
	var slate bytes.Buffer
	if err := EncodeSlate(bytes.NewReader(task), &slate); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "slate"), slate.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	exe := script(t, "cat >/dev/null; if mkdir "+dir+"/once 2>/dev/null; then echo boom >&2; exit 1; fi; cat "+dir+"/slate")
	got := make(shown, 1)
	s := newSlates(Config{Program: shape, Executable: exe}, got)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	select {
	case x := <-got:
		if len(x.Pictures) != 25 {
			t.Errorf("%d pictures", len(x.Pictures))
		}
	case <-ctx.Done():
		t.Error("no slate")
	}
	cancel()
	<-done
}

func TestBadSlateChildIsAnError(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"fails":    {"cat >/dev/null; echo no x264 >&2; exit 2", "no x264"},
		"nonsense": {"cat >/dev/null; echo hello", "slate"},
		"endless":  {"cat >/dev/null; cat /dev/zero", "more than"},
	} {
		s := newSlates(Config{Program: shape, Executable: script(t, c.script)}, make(shown, 1))
		if _, err := s.encode(t.Context(), picture.SlateText{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// newParent is one that listens nowhere.
func newParent(t *testing.T) (*Parent, *clock.Held) {
	t.Helper()
	clk := clock.NewHeld(1_800_000_000_000_000_000)
	p := &Parent{cfg: Config{Program: shape, Name: "box1", Source: "test"}, clk: clk, reporter: metrics.NewAt("capture", "box1", clk)}
	p.ring = tee.NewRing(1 << 20)
	t.Cleanup(func() { p.ring.Close() })
	p.status = newStatus(p)
	p.stream = program.NewStream(shape, io.Discard, program.Options{Clock: clk, Frame: p.status.sent})
	p.slates = newSlates(p.cfg, make(shown, 1))
	p.workers = newWorkers(p)
	return p, clk
}

func TestReportsBecomeHealth(t *testing.T) {
	p, _ := newParent(t)
	for _, c := range []struct {
		report                  link.Report
		device, signal, encoder metrics.State
		cause                   string
	}{
		{link.Report{State: "starting"}, metrics.Starting, metrics.Starting, metrics.OK, ""},
		{link.Report{State: "streaming"}, metrics.OK, metrics.OK, metrics.OK, ""},
		{link.Report{State: "no signal", Cause: "asleep"}, metrics.OK, metrics.Degraded, metrics.OK, "no signal: asleep"},
		{link.Report{State: "no cable"}, metrics.OK, metrics.Degraded, metrics.OK, "no cable"},
		{link.Report{State: "no device", Cause: "gone"}, metrics.Degraded, metrics.Degraded, metrics.OK, "no device: gone"},
		{link.Report{State: "frozen"}, metrics.Degraded, metrics.Degraded, metrics.OK, "frozen"},
		{link.Report{State: "streaming", Skipped: 5, EncodeMS: 55}, metrics.OK, metrics.OK, metrics.Degraded, ""},
		{link.Report{State: "streaming", Skipped: 5}, metrics.OK, metrics.OK, metrics.OK, ""},
	} {
		p.status.reported(&c.report)
		d, s, e := p.status.device.Snapshot(), p.status.signal.Snapshot(), p.status.encoder.Snapshot()
		if d.State != c.device || s.State != c.signal || e.State != c.encoder || s.Cause != c.cause {
			t.Errorf("%+v: device %+v, signal %+v, encoder %+v", c.report, d, s, e)
		}
	}
	p.status.workerGone(errors.New("boom"), 1)
	if e := p.status.encoder.Snapshot(); e.State != metrics.Degraded || !strings.Contains(e.Cause, "boom") {
		t.Errorf("after one death: %+v", e)
	}
	p.status.workerGone(errors.New("boom"), 3)
	if e := p.status.encoder.Snapshot(); e.State != metrics.Failed {
		t.Errorf("after three: %+v", e)
	}
}

func TestWorkerThatTalksNonsenseIsLeft(t *testing.T) {
	p, _ := newParent(t)
	if err := p.workers.read(strings.NewReader("Segmentation fault")); !errors.Is(err, link.ErrNotLink) {
		t.Errorf("%v", err)
	}
	var b bytes.Buffer
	w, _ := link.NewWriter(&b)
	w.JSON(link.Health, link.Report{State: "streaming", FPS: 25})
	w.Picture(program.Picture{Frame: -1, Data: []byte{1}})
	if err := p.workers.read(&b); !errors.Is(err, link.ErrMessage) {
		t.Errorf("%v", err)
	}
	if r := p.workers.report.Load(); r == nil || r.FPS != 25 {
		t.Errorf("report %+v", r)
	}
}

func TestWhyAWorkerEnded(t *testing.T) {
	broken := errors.New("broken pipe")
	killed := exec.Command("sh", "-c", "kill -9 $$").Run()
	failed := exec.Command("sh", "-c", "exit 3").Run()
	for _, c := range []struct {
		exit, read error
		want       string
	}{
		{nil, broken, "broken pipe"},
		{killed, broken, "signal: killed"},
		{failed, broken, "exit status 3"},
	} {
		if got := ended(c.exit, c.read); got.Error() != c.want {
			t.Errorf("%v, %v: %q, want %q", c.exit, c.read, got, c.want)
		}
	}
	if w := words(broken, 2); w != restartCause {
		t.Errorf("at first: %q", w)
	}
	if w := words(broken, 4); !strings.Contains(w, "4th time: broken pipe") {
		t.Errorf("at last: %q", w)
	}
}

// TestAskKeyNeverBlocks is what the stream relies on: it calls it locked.
func TestAskKeyNeverBlocks(t *testing.T) {
	p, _ := newParent(t)
	for range 100 {
		p.workers.askKey()
	}
	if len(p.workers.keys) != 1 {
		t.Errorf("%d calls are kept, want 1", len(p.workers.keys))
	}
}

// TestNewLabelsReachTheSlate: the room and the address that a box learns while
// it runs, with the cause that the slate had.
func TestNewLabelsReachTheSlate(t *testing.T) {
	p, _ := newParent(t)
	p.slates.say("The cable is out", "Plug it in.", time.Time{})
	if err := p.relabel(Labels{Room: "janson", Role: "slides", Address: "http://192.0.2.2:80"}); err != nil {
		t.Fatal(err)
	}
	if got, want := <-p.slates.want, (picture.SlateText{
		Name: "box1", Room: "janson", Address: "http://192.0.2.2:80", Cause: "The cable is out", Advice: "Plug it in.",
	}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if w := p.workers.task(); w.Room != "janson" || w.Address != "http://192.0.2.2:80" || w.Name != "box1" {
		t.Errorf("the worker is told %+v", w)
	}
	select {
	case <-p.workers.relabelled:
	default:
		t.Error("a running worker isn't told")
	}
	if s := p.reporter.Status(); s.Room != "janson" || s.Role != "slides" {
		t.Errorf("status %+v", s)
	}
}

// A worker that delivers isn't killed because the clock is set by years.
func TestWorkersPatienceIsNotOfTheClock(t *testing.T) {
	p, clk := newParent(t)
	proc, err := run.Child{Name: "sleep", Path: "/bin/sleep", Args: []string{"60"}, PipeStdout: true}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Kill()
	defer proc.Stdout.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.workers.watch(ctx, proc) }()
	p.workers.last.Store(clock.Elapsed(clk))
	for _, d := range []time.Duration{50 * 365 * 24 * time.Hour, -time.Hour} {
		clk.Step(d)
		for range 4 {
			if _, err := clk.Next(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("killed: %v", err)
	}
}
