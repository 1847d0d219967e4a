package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openvideobox/videobox/appliance/boxd/internal/heal"
	"github.com/openvideobox/videobox/appliance/internal/boxtest"
	"github.com/openvideobox/videobox/appliance/internal/peers"
	"github.com/openvideobox/videobox/appliance/internal/restart"
	"github.com/openvideobox/videobox/appliance/internal/self"
	"github.com/openvideobox/videobox/drivers/drivertest"
	"github.com/openvideobox/videobox/drivers/usb"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/metrics"
)

// pretended are remedies that note what they are asked for.
type pretended struct {
	taken  []heal.Step
	fails  error
	tidied bool
}

func (p *pretended) take(_ context.Context, s heal.Step) error {
	p.taken = append(p.taken, s)
	return p.fails
}
func (p *pretended) mayRestart() bool { return true }
func (p *pretended) tidy()            { p.tidied = true }

func TestHealer(t *testing.T) {
	held, p := clock.NewHeld(1_800_000_000_000_000_000), &pretended{}
	sight := heal.Sight{Frames: true, Live: false, Answers: false}
	h := newHealer(func() heal.Sight { return sight }, p, held)
	begin := held.Now()
	h.now = func() time.Duration { return time.Duration(held.Now() - begin) }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.run(ctx) }()
	seconds := func(n int) {
		for range n {
			if _, err := held.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := held.Waited(t.Context()); err != nil { // what was due is done
			t.Fatal(err)
		}
	}
	seconds(17)
	if want := []heal.Step{heal.Worker, heal.Capture}; !slices.Equal(p.taken, want) || !p.tidied {
		t.Errorf("taken %v, want %v", p.taken, want)
	}
	if last := h.snapshot(); last == nil || last.Step != "capture" || last.Count != 2 || last.Error != "" {
		t.Errorf("%+v", last)
	}
	p.fails = errors.New("no USB device")
	seconds(17)
	if want := []heal.Step{heal.Worker, heal.Capture, heal.Reset, heal.Authorize, heal.Restart}; !slices.Equal(p.taken, want) {
		t.Errorf("taken %v, want %v", p.taken, want)
	}
	last := h.snapshot()
	if r := last.row(last.Time.Add(time.Minute)); r.State != metrics.Degraded || !strings.Contains(r.Text, "restart of the box 1 min 0 s ago, 5 in all · could not be done: no USB device") {
		t.Errorf("%+v", r)
	}
	r := metrics.New("boxd", "box1")
	if err := r.Register(h.taken); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for _, step := range []string{"worker", "capture", "usb-reset", "usb-authorize", "box-restart"} {
		if want := `videobox_healing_steps_total{name="box1",program="boxd",step="` + step + `"} 1`; !strings.Contains(w.Body.String(), want) {
			t.Errorf("not in the metrics: %s", want)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// A box that boots has sent nothing yet, and is left alone for a minute.
func TestHealerLetsABoxBoot(t *testing.T) {
	for _, c := range []struct {
		frames time.Duration // until when they come; from the start
		want   time.Duration // when the first step is taken
	}{{0, booting + 5*time.Second}, {10 * time.Second, 15 * time.Second}} {
		p, now := &pretended{}, time.Duration(0)
		h := newHealer(func() heal.Sight { return heal.Sight{Frames: now < c.frames, Live: now < c.frames} }, p, clock.NewHeld(1))
		h.now = func() time.Duration { return now }
		for len(p.taken) == 0 && now < time.Hour {
			now += time.Second
			h.look(t.Context())
		}
		if now != c.want {
			t.Errorf("frames until %v: the first step after %v, want %v", c.frames, now, c.want)
		}
	}
}

// hanging is a remedy that is broken, blocked one that never ends.
type hanging struct{ pretended }

func (*hanging) take(context.Context, heal.Step) error { panic("no such device") }

func TestAStepThatGoesWrong(t *testing.T) {
	h := newHealer(nil, &hanging{}, clock.NewHeld(1))
	if err := h.take(t.Context(), heal.Reset); err == nil || !strings.Contains(err.Error(), "no such device") {
		t.Errorf("a panic: %v", err)
	}
	block := make(chan struct{})
	h.remedies = &blocked{block: block}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.take(ctx, heal.Reset); !errors.Is(err, errStepHangs) {
		t.Errorf("one that hangs: %v", err)
	}
	close(block)
}

type blocked struct {
	pretended
	block chan struct{}
}

func (b *blocked) take(context.Context, heal.Step) error { <-b.block; return nil }

// box is a remedy whose system is made up.
func box(t *testing.T, handler http.HandlerFunc) (*remedy, *[]string, *drivertest.Sysfs) {
	t.Helper()
	status := nowhere(t)
	if handler != nil {
		web := httptest.NewServer(handler)
		t.Cleanup(web.Close)
		status = strings.TrimPrefix(web.URL, "http://")
	}
	b, err := self.Load(testEvent(t, nowhere(t), status, ""), "box1")
	if err != nil {
		t.Fatal(err)
	}
	var did []string
	fs := drivertest.NewSysfs(t.TempDir())
	return &remedy{
		box: b, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		capture: func() peers.Peer {
			return peers.Peer{Status: metrics.Status{Detail: map[string]any{"worker_pid": 77.0, "source": "v4l2:/dev/video0,none"}}}
		},
		kill: func(program, box string) (int, error) {
			did = append(did, "kill "+program+" "+box)
			if box == self.Auto {
				return 0, nil
			}
			return 1, nil
		},
		signal: func(pid int, s syscall.Signal) error { did = append(did, "signal "+s.String()); return nil },
		isChild: func(pid int, program, command string) bool {
			return pid == 77 && program == "capture" && command == "worker"
		},
		usb: usb.Root{Sys: fs.Sys, Dev: "/dev", Reset: func(node string) error {
			did = append(did, "reset "+strings.TrimPrefix(node, "/dev"))
			return nil
		}},
		restart: restart.System(),
		sleep:   func(context.Context, time.Duration) error { did = append(did, "wait"); return nil },
	}, &did, fs
}

func TestRemedies(t *testing.T) {
	stick := drivertest.USB{Port: "1-1", Vendor: 0x345f, Product: 0x2131, Number: 5, Video: []string{"video0"}}
	other := drivertest.USB{Port: "1-2", Vendor: 0x345f, Product: 0x2131, Number: 6, Video: []string{"video1"}}
	asked := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method != "POST" || r.URL.Path != "/api/worker/restart" {
				code = http.StatusNotFound
			}
			w.WriteHeader(code)
		}
	}
	for _, c := range []struct {
		name    string
		step    heal.Step
		capture http.HandlerFunc // nil: doesn't answer
		plugged []drivertest.USB
		did     string
		fails   string
	}{
		{"capture restarts its worker", heal.Worker, asked(200), nil, "", ""},
		{"capture has none", heal.Worker, asked(409), nil, "signal killed", ""},
		{"capture does not answer", heal.Worker, nil, nil, "signal killed", ""},
		{"capture is killed", heal.Capture, nil, nil, "kill capture auto, kill capture box1", ""},
		{"reset", heal.Reset, nil, []drivertest.USB{other, stick}, "reset /bus/usb/001/005", ""},
		{"reset of what is there", heal.Reset, nil, []drivertest.USB{other}, "reset /bus/usb/001/006", ""},
		{"nothing to reset", heal.Reset, nil, nil, "", "no USB device"},
		{"off and on", heal.Authorize, nil, []drivertest.USB{stick}, "wait", ""},
		{"nothing to take off", heal.Authorize, nil, nil, "", "no USB device"},
		{"a host that is no box", heal.Restart, nil, nil, "", "no videobox image"},
	} {
		r, did, fs := box(t, c.capture)
		for _, d := range c.plugged {
			fs.Plug(d)
		}
		err := r.take(t.Context(), c.step)
		if got := strings.Join(*did, ", "); got != c.did {
			t.Errorf("%s: did %s, want %s", c.name, got, c.did)
		}
		if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.fails)
		}
	}
	r, _, _ := box(t, nil)
	r.isChild = func(int, string, string) bool { return false } // the number is another's by now
	if err := r.take(t.Context(), heal.Worker); err == nil || !strings.Contains(err.Error(), "no worker is known") {
		t.Errorf("%v", err)
	}
}

func TestDevicesAreBackOnTheBus(t *testing.T) {
	r, _, fs := box(t, nil)
	path := fs.Plug(drivertest.USB{Port: "1-1", Vendor: 0x345f, Product: 0x2131, Number: 5, Video: []string{"video0"}})
	d, err := r.usb.Of("/dev/video0")
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range []func(){r.tidy, func() {
		if err := r.take(t.Context(), heal.Authorize); err != nil {
			t.Error(err)
		}
	}} {
		if err := d.Authorize(false); err != nil {
			t.Fatal(err)
		}
		end()
		if on := readFile(t, filepath.Join(path, "authorized")); !strings.HasPrefix(on, "1") {
			t.Errorf("authorized: %q", on)
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSight(t *testing.T) {
	b := boxtest.Start(t, "")
	b.Capture.SetDetail(func() any { return map[string]any{"input": map[string]any{"state": "streaming"}} })
	s, _ := rigOf(t, b.Config, t.TempDir())
	sees := func(name string, want heal.Sight) {
		t.Helper()
		eventually(t, name, func() bool { return s.sight() == want })
	}
	sees("live", heal.Sight{Frames: true, Live: true, Answers: true, Input: "streaming"})
	b.Flags.Store(uint32(h264.Slate))
	sees("slates", heal.Sight{Frames: true, Answers: true, Input: "streaming"})
	b.Flags.Store(uint32(h264.Live | h264.Repeated))
	sees("a picture that is repeated for now", heal.Sight{Frames: true, Live: true, Answers: true, Input: "streaming"})
	b.Paused.Store(true)
	sees("nothing", heal.Sight{Answers: true, Input: "streaming"})
}
