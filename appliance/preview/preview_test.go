package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/spi/spitest"

	"github.com/openvideobox/videobox/appliance/internal/boxtest"
	"github.com/openvideobox/videobox/appliance/internal/peers"
	"github.com/openvideobox/videobox/appliance/internal/self"
	"github.com/openvideobox/videobox/appliance/internal/watch"
	"github.com/openvideobox/videobox/display/screen"
	"github.com/openvideobox/videobox/display/tft"
	"github.com/openvideobox/videobox/hardware"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/picture"
	"github.com/openvideobox/videobox/internal/run/runtest"
)

func TestMain(m *testing.M) {
	if args := os.Getenv(childArgs); args != "" {
		os.Args = append(os.Args[:1], strings.Split(args, "\n")...)
		main()
		os.Exit(0)
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	goleak.VerifyTestMain(m)
}

// start runs preview on a box until the test ends.
func start(t *testing.T, b *boxtest.Box, kinds ...kind) *preview {
	t.Helper()
	box, err := self.Load(b.Config, "box1")
	if err != nil {
		t.Fatal(err)
	}
	p := newPreview(box, 100*time.Millisecond, kinds)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.run(ctx, "127.0.0.1:0") }()
	t.Cleanup(func() { cancel(); <-done })
	return p
}

// shownNumber reads the test picture's frame number off a screen.
func shownNumber(img image.Image) (int64, error) {
	var frame media.Frame
	picture.FromImage(&frame, img)
	size := img.Bounds().Size()
	r := screen.New(size.X, size.Y).PictureRect(16, 9)
	return picture.ReadNumber(&frame, picture.Rect{X: r.Min.X, Y: r.Min.Y, W: r.Dx(), H: r.Dy()})
}

func fileNumber(name string) (int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		return 0, err
	}
	return shownNumber(img)
}

// The screen shows the newest keyframe of the stream, and moves on.
func TestShowsTheStream(t *testing.T) {
	b := boxtest.Start(t, "")
	b.Capture.Leaf("signal").Set(metrics.OK, "")
	b.Record.Leaf("recorder growing").Set(metrics.OK, "")
	out := filepath.Join(t.TempDir(), "screen.png")
	p := start(t, b, filePanel(out, image.Pt(640, 480)))

	var first int64
	runtest.Eventually(t, "the picture can be read off the screen", func() bool {
		n, err := fileNumber(out)
		first = n
		return err == nil && n > 0
	})
	runtest.Eventually(t, "a later keyframe is shown", func() bool {
		n, err := fileNumber(out)
		return err == nil && n >= first+25
	})
	// A picture is counted once it is drawn, when it may be seen already. One of a
	// busy machine may be old; not each.
	runtest.Eventually(t, "both are counted, at most 3 s after they were captured", func() bool {
		h, ok := p.reporter.Status().Hop("screen " + out)
		return ok && h.Frames >= 2 && h.LatencyMS >= 0 && h.LatencyMS <= 3000
	})
	b.Paused.Store(true)
	runtest.Eventually(t, "an old picture is not shown for long", func() bool {
		_, err := fileNumber(out)
		return err != nil
	})
}

// fake is a screen in memory.
type fake struct {
	mu     sync.Mutex
	there  bool
	fail   error
	hang   chan struct{} // until it is closed
	size   image.Point
	drawn  int
	opened int
	closed int
	number int64
}

func (f *fake) kind(name string) kind {
	return kind{"device", func() []string {
		f.mu.Lock()
		defer f.mu.Unlock()
		if !f.there {
			return nil
		}
		return []string{name}
	}, func(string) (panel, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.opened++
		return f, f.fail
	}}
}

func (f *fake) Size() image.Point { return f.size }
func (f *fake) Close() error      { f.set(func() { f.closed++ }); return nil }

func (f *fake) Draw(img *image.RGBA, _ image.Rectangle) error {
	if f.hang != nil {
		<-f.hang
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drawn++
	if n, err := shownNumber(img); err == nil {
		f.number = n
	}
	return f.fail
}

func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fake) get(ok func(*fake) bool) func() bool {
	return func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return ok(f)
	}
}

// Screens come and go; one that hangs or fails costs the others nothing.
func TestScreensComeAndGo(t *testing.T) {
	b := boxtest.Start(t, "")
	good := &fake{there: true, size: image.Pt(320, 240)}
	late := &fake{size: image.Pt(800, 480)}
	bad := &fake{there: true, fail: errors.New("no such device"), size: image.Pt(240, 135)}
	hangs := &fake{there: true, size: image.Pt(240, 135), hang: make(chan struct{})}
	start(t, b, hangs.kind("a"), bad.kind("b"), good.kind("c"), late.kind("d"))
	t.Cleanup(func() { close(hangs.hang) })
	runtest.Eventually(t, "the good one is drawn on", good.get(func(f *fake) bool { return f.drawn > 5 && f.number > 0 }))
	late.set(func() { late.there = true })
	runtest.Eventually(t, "one that is plugged in later too", late.get(func(f *fake) bool { return f.number > 0 }))
	late.set(func() { late.fail = errors.New("pulled out") })
	runtest.Eventually(t, "one that is pulled out is closed", late.get(func(f *fake) bool { return f.closed > 0 }))
	late.set(func() { late.fail = nil; late.number = 0 })
	runtest.Eventually(t, "and opened again", late.get(func(f *fake) bool { return f.number > 0 && f.opened > 1 }))
	if bad.get(func(f *fake) bool { return f.drawn > 0 || f.opened < 2 })() {
		t.Errorf("the bad one: %+v", bad)
	}
	var first int64
	good.set(func() { first = good.number })
	runtest.Eventually(t, "the good one goes on", good.get(func(f *fake) bool { return f.number > first }))
}

func peer(name string, detail map[string]any, health ...metrics.Leaf) peers.Peer {
	return peers.Peer{Program: name, Answered: time.Now(), Status: metrics.Status{Health: health, Detail: any(detail)}}
}

func TestLines(t *testing.T) {
	down := peers.Peer{Program: "record", Error: "connection refused"}
	if l := recordingLine(down); l.Level != screen.Bad || l.Text != "record does not answer: connection refused" {
		t.Errorf("%+v", l)
	}
	recorder := func(state metrics.State, cause string) metrics.Leaf {
		return metrics.Leaf{Name: "recorder growing", State: state, Cause: cause}
	}
	if l := recordingLine(peer("record", map[string]any{"bytes": 1.25e9, "hours_left": 40.2}, recorder(metrics.OK, ""))); l.Text != "1.25 GB · 40 h left" || l.Level != screen.Good {
		t.Errorf("%+v", l)
	}
	if l := recordingLine(peer("record", nil, recorder(metrics.Failed, "disk full"))); l.Text != "disk full" || l.Level != screen.Bad {
		t.Errorf("%+v", l)
	}
	in := map[string]any{"input": map[string]any{"width": 1280.0, "height": 720.0, "fps": 24.96,
		"levels": map[string]any{"rms_dbfs": []any{-20.0, -30.0}, "true_peak_dbtp": []any{-3.0, -4.0}}}}
	capture := peer("capture", in, metrics.Leaf{Name: "signal", State: metrics.OK})
	if l := signalLine(capture); l.Text != "1280x720, 25.0 a second" {
		t.Errorf("%+v", l)
	}
	if now, held := levels(capture); !slices.Equal(now, []float64{-20, -30}) || !slices.Equal(held, []float64{-3, -4}) {
		t.Errorf("%v %v", now, held)
	}
	if now, held := levels(down); now != nil || held != nil {
		t.Errorf("levels of a program that is away: %v %v", now, held)
	}
}

func TestAlarms(t *testing.T) {
	boxd := peer("boxd", nil, metrics.Leaf{Name: "device", State: metrics.OK}, metrics.Leaf{Name: "signal", State: metrics.Degraded, Cause: "no cable"},
		metrics.Leaf{Name: "clock", State: metrics.Starting}, metrics.Leaf{Name: "disk space", State: metrics.Failed, Cause: "full"},
		metrics.Leaf{Name: "encoder", State: metrics.Degraded, Cause: "no cable"}, metrics.Leaf{Name: "voltage", State: metrics.NotApplicable, Cause: "no sensor"})
	got := alarms(boxd, screen.State{})
	if want := []screen.Line{{Text: "disk space: full", Level: screen.Bad}, {Text: "signal, encoder: no cable", Level: screen.Warning}}; !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	got = alarms(peers.Peer{Error: "connection refused"}, screen.State{Stream: screen.Line{Text: "nothing is sent", Level: screen.Bad}})
	if want := []screen.Line{{Text: "stream: nothing is sent", Level: screen.Bad}, {Text: "boxd: does not answer: connection refused", Level: screen.Warning}}; !slices.Equal(got, want) {
		t.Errorf("without boxd: %+v", got)
	}
}

func TestClockLine(t *testing.T) {
	synced := watch.Newest{Stamped: true, Stamp: h264.Stamp{Flags: h264.Synced}}
	for want, l := range map[string]screen.Line{
		"in sync 0": clockLine(synced, peers.Peer{}), "UTC 1": clockLine(watch.Newest{}, peers.Peer{}),
		"not in sync 2": clockLine(watch.Newest{Stamped: true}, peers.Peer{}),
		"not in sync 3": clockLine(synced, peer("boxd", nil, metrics.Leaf{Name: "clock", State: metrics.Failed})),
	} {
		if got := l.Text + " " + string(rune('0'+l.Level)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestTemperature: the screen shows what the page shows. A PC's first thermal zone
// is its firmware's and may always say the same.
func TestTemperature(t *testing.T) {
	found := func(f metrics.Finding) peers.Peer {
		return peer("boxd", nil, metrics.Leaf{Name: "temperature", State: f.State, Cause: f.Cause, Value: f.Value})
	}
	away := found(metrics.Finding{State: metrics.OK, Value: "61 °C"})
	away.Error = "connection refused"
	for _, c := range []struct {
		boxd peers.Peer
		want screen.Line
	}{
		{found(metrics.Finding{State: metrics.OK, Value: "61 °C"}), screen.Line{Text: "61 °C"}},
		{found(metrics.Finding{State: metrics.Degraded, Value: "86 °C", Cause: "86 °C: hot"}), screen.Line{Text: "86 °C: hot", Level: screen.Warning}},
		{found(metrics.Finding{State: metrics.Failed, Value: "96 °C", Cause: "96 °C: too hot"}), screen.Line{Text: "96 °C: too hot", Level: screen.Bad}},
		{found(metrics.Finding{State: metrics.NotApplicable, Cause: "not applicable: this board shows no temperature"}), screen.Line{Level: screen.Unknown}},
		{away, screen.Line{}},
		{peer("boxd", nil), screen.Line{}},
	} {
		if l := temperature(c.boxd); l != c.want {
			t.Errorf("%+v: %+v, want %+v", c.boxd.Status.Health, l, c.want)
		}
	}
}

func TestAddresses(t *testing.T) {
	var all []net.Addr
	for _, s := range []string{"127.0.0.1/8", "fe80::1/64", "2001:db8::1/64", "192.0.2.12/24", "192.0.2.13/24"} {
		ip, n, err := net.ParseCIDR(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &net.IPNet{IP: ip, Mask: n.Mask})
	}
	if v4, v6 := addresses(all); v4 != "192.0.2.12" || v6 != "2001:db8::1" {
		t.Errorf("%v %v", v4, v6)
	}
	for want, got := range map[string]string{
		"": page("", "", "80"), "http://192.0.2.12/": page("192.0.2.12", "2001:db8::1", "80"),
		"http://[2001:db8::1]/": page("", "2001:db8::1", "80"), "http://192.0.2.12:8101/": page("192.0.2.12", "", "8101"),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestSystem(t *testing.T) {
	s := newSystem(t.TempDir())
	if l := s.link(); l.Text != "" {
		t.Errorf("without a card: %+v", l)
	}
	put := func(text string, path ...string) {
		name := filepath.Join(append([]string{s.sys}, path...)...)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text+"\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	put("1", "class/net/lo/carrier")
	put("", "class/net/eth0/device/x")
	for want, c := range map[string][2]string{
		"no link": {"0", "-1"}, "1 Gbit/s": {"1", "1000"}, "2.5 Gbit/s": {"1", "2500"}, "100 Mbit/s": {"1", "100"}, "link up": {"1", "-1"},
	} {
		put(c[0], "class/net/eth0/carrier")
		put(c[1], "class/net/eth0/speed")
		if l := s.link(); l.Text != want || (l.Level == screen.Bad) != (want == "no link") {
			t.Errorf("%+v, want %s", l, want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for s, ok := range map[string]bool{"320x240": true, "1920x1080": true, "240x135": true, "100x100": false, "320": false, "320x240x2": false, "x": false, "99999x9999": false} {
		if _, err := parseSize(s); (err == nil) != ok {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestNothingToDrawOnIsSaid(t *testing.T) {
	err := cli{Size: "320x240", Interval: time.Second, Panel: "auto"}.run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "--out") {
		t.Error(err)
	}
}

func TestChoosePanel(t *testing.T) {
	file := filepath.Join(t.TempDir(), "panel")
	choose := func(name, model string) string {
		p, ok, err := choosePanel(name, file, model)
		if err != nil || !ok {
			return fmt.Sprint(err)
		}
		return p.Name
	}
	const pi = "Raspberry Pi 4 Model B Rev 1.4"
	for _, c := range []struct{ name, model, written, want string }{
		{"auto", pi, "", "lcdwiki-2.8inch"}, {"none", pi, "", "<nil>"}, {"auto", "a PC", "", "<nil>"},
		{"adafruit-1.14", "a PC", "", "adafruit-1.14"}, {"auto", pi, "waveshare-1.3inch\n", "waveshare-1.3inch"}, {"auto", pi, "none\n", "<nil>"},
	} {
		os.Remove(file)
		if c.written != "" {
			if err := os.WriteFile(file, []byte(c.written), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := choose(c.name, c.model); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	if got := choose("other", pi); !strings.Contains(got, "known are lcdwiki-2.8inch") {
		t.Error(got)
	}
}

// pin is a line that leads nowhere.
type pin struct{ gpio.PinIO }

func (pin) Out(gpio.Level) error { return nil }

// Every panel of the profiles is one that the driver takes.
func TestProfilesFitTheDriver(t *testing.T) {
	for _, p := range hardware.Panels() {
		d, err := tft.New(spitest.NewRecordRaw(io.Discard), tft.Lines{Data: pin{gpio.INVALID}}, panelConfig(p), func(time.Duration) {})
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
			continue
		}
		if s := d.Size(); s.X < screen.MinWidth || s.Y < screen.MinHeight {
			t.Errorf("%s: %v is smaller than what can be drawn", p.Name, s)
		}
	}
}

func TestPanelIsThereWhenItsBusIs(t *testing.T) {
	p, _ := hardware.PanelNamed("waveshare-2inch")
	dir := t.TempDir()
	k := spiPanel(p, dir)
	if got := k.list(); got != nil {
		t.Error(got)
	}
	if err := os.WriteFile(filepath.Join(dir, "spidev0.0"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := k.list(); !slices.Equal(got, []string{"waveshare-2inch"}) {
		t.Error(got)
	}
}
