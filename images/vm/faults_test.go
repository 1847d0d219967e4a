//go:build vm

package vm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/mpegts"
)

// captureJSON lets a test reach capture's own status, which listens on loopback
// on a box.
const captureJSON = `{"preset": "ultrafast", "threads": 1, "status": ":8890"}` + "\n"

// openCapture makes capture's status reachable.
func openCapture(c *vm.Config) {
	c.Perm["capture.json"] = captureJSON
	c.Ports[8890] = 0
}

// reader looks at all that a connected reader of the stream gets.
type reader struct {
	mu    sync.Mutex
	probe *mpegts.Probe
	keep  *bytes.Buffer // all of the stream; nil: it isn't wanted
	err   error
	next  chan struct{} // of capacity 1: more has come
	ended chan struct{}
}

func (b box) follow(t *testing.T) *reader {
	t.Helper()
	conn, err := net.Dial("tcp", b.Addr(8899))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).SetLinger(0) // see record
	r := &reader{probe: mpegts.NewProbe(), next: make(chan struct{}, 1), ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		_, err := io.Copy(r, conn)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.err = err; err == nil {
			r.err = io.EOF
		}
	}()
	t.Cleanup(func() { conn.Close(); <-r.ended })
	return r
}

func (r *reader) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.probe.Write(p)
	if r.keep != nil {
		r.keep.Write(p)
	}
	select {
	case r.next <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (r *reader) report() (mpegts.Report, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.probe.Report(), r.err
}

// until waits for a frame.
func (r *reader) until(ctx context.Context, t *testing.T, what string, want func(h264.Stamp) bool) mpegts.Report {
	t.Helper()
	for {
		rep, err := r.report()
		switch {
		case err != nil:
			t.Fatalf("%s: the reader was cut off: %v", what, err)
		case rep.Stamped > 0 && want(rep.Latest):
			return rep
		}
		select {
		case <-r.next:
		case <-ctx.Done():
			t.Fatalf("%s: not seen: %+v", what, rep)
		}
	}
}

func isLive(s h264.Stamp) bool  { return s.Flags&(h264.Slate|h264.Repeated) == 0 && s.Capture != 0 }
func isSlate(s h264.Stamp) bool { return s.Flags&h264.Slate != 0 }

// capture is what a test wants of capture's status.
type capture struct {
	Cause  string
	Health []struct{ Name, State, Cause string }
	Detail struct {
		WorkerPID int `json:"worker_pid"`
		Live      bool
		Stream    struct{ Skipped uint64 }
		Input     struct {
			Cause  string
			Offset float64 `json:"sound_offset_ms"`
			Sound  struct {
				DriftPPM float64 `json:"drift_ppm"`
				OffsetMS float64 `json:"offset_ms"`
				Gaps     uint64
			}
		}
	}
	Process struct {
		Own      int64 `json:"resident_bytes"`
		Children int64 `json:"children_resident_bytes"`
	}
}

func (b box) capture(t *testing.T) (c capture) {
	t.Helper()
	resp, err := http.Get("http://" + b.Addr(8890) + "/api/status")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

// causes is every cause in it.
func (c capture) causes() string {
	all := []string{c.Cause, c.Detail.Input.Cause}
	for _, l := range c.Health {
		all = append(all, l.Cause)
	}
	return strings.Join(all, "\n")
}

// stickFault is one command to the stick, and the one that ends it.
type stickFault struct {
	on, off string
	slate   string        // that the status must say; "": the picture stays, or comes back by itself
	limit   time.Duration // from its end to a live picture
}

const soon, reset = 5 * time.Second, 8 * time.Second

var shortFaults = []stickFault{
	{"unplug", "plug", "no capture device", soon},
	{"nosignal", "signal", "signal", soon},
	{"stop", "start", "no picture", reset},
	{"corrupt 5", "", "", soon},
	{"silence", "sound", "", soon},
	{"worker restart", "", "", soon},
}

var allFaults = append(shortFaults, []stickFault{
	{"nocable", "signal", "cable", soon},
	{"hangup", "", "", soon},
	{"hang", "", "", reset},
	{"freeze", "thaw", "", soon},
	{"short 5", "", "", soon},
	{"flag 5", "", "", soon},
	{"stall 2", "", "", reset},
	{"stamps random", "stamps ok", "", soon},
	{"stamps zero", "stamps ok", "", soon},
	{"stamps back", "stamps ok", "", soon},
	{"pause 400", "", "", soon},
	{"input 1280x720@50", "input 1920x1080@60", "", soon},
	{"offer 640x480", "offer all", "", soon},
}...)

// strikes plays faults one after another, for some seconds each, and judges the
// stream that one reader has got all the while.
func (b box) strikes(ctx context.Context, t *testing.T, list []stickFault, on, every time.Duration) {
	t.Helper()
	r := b.follow(t)
	first := r.until(ctx, t, "live picture", isLive).Latest.Frame
	r.until(ctx, t, "a box that has done with starting", func(s h264.Stamp) bool { return isLive(s) && s.Frame > first+100 })
	for _, f := range list {
		began := time.Now()
		b.strike(ctx, t, r, f, on)
		if rest := every - time.Since(began); rest > 0 {
			time.Sleep(rest)
		}
	}
	b.judge(ctx, t, r)
}

// judge says what was wrong with all that a reader has got.
func (b box) judge(ctx context.Context, t *testing.T, r *reader) {
	t.Helper()
	start := r.until(ctx, t, "a frame", isLive).Latest.Frame
	rep := r.until(ctx, t, "two more seconds", func(s h264.Stamp) bool { return s.Frame >= start+20 })
	skipped := b.capture(t).Detail.Stream.Skipped
	t.Logf("%d frames live, %d of slate, %d missing, %d counted as skipped", rep.LiveFrames, rep.SlateFrames, rep.MissingFrames, skipped)
	if rep.Continuity != 0 || rep.PCRJumps != 0 || rep.AudioPTSJumps != 0 || rep.DuplicateFrames != 0 || rep.BackwardFrames != 0 ||
		rep.SyncLosses != 0 || rep.MissingFrames > skipped || rep.MissingFrames == 0 && rep.VideoPTSJumps != 0 {
		t.Errorf("faults: %v\n%+v", rep.Faults(), rep)
	}
}

func (b box) strike(ctx context.Context, t *testing.T, r *reader, f stickFault, on time.Duration) {
	t.Helper()
	ends := time.Now()
	if f.on == "worker restart" {
		resp, err := http.Post("http://"+b.Addr(8890)+"/api/worker/restart", "", nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("worker restart: %v, %v", resp, err)
		}
		resp.Body.Close()
	} else if answer := b.stick.Command(f.on); answer != "ok" {
		t.Fatalf("%s: %s", f.on, answer)
	}
	if f.slate != "" {
		r.until(ctx, t, f.on+": the slate", isSlate)
		for !strings.Contains(strings.ToLower(b.capture(t).causes()), f.slate) {
			if time.Since(ends) > 10*time.Second {
				t.Errorf("%s: the status says %q, want something of %q", f.on, b.capture(t).causes(), f.slate)
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Logf("%s: %s", f.on, strings.Split(b.capture(t).causes(), "\n")[1])
	}
	if f.off != "" {
		time.Sleep(time.Until(ends.Add(on)))
		ends = time.Now()
		if answer := b.stick.Command(f.off); answer != "ok" {
			t.Fatalf("%s: %s", f.off, answer)
		}
	} else {
		time.Sleep(500 * time.Millisecond) // for it to show
	}
	r.until(ctx, t, "live picture after "+f.on, func(s h264.Stamp) bool { return isLive(s) && s.Capture > ends.UnixNano() })
	back := time.Since(ends)
	t.Logf("%-18s live again after %.1f s", f.on, back.Seconds())
	if back > f.limit {
		t.Errorf("%s: live again after %.1f s, want %v", f.on, back.Seconds(), f.limit)
	}
}

// TestDrillFaultsBriefly pulls the stick out and does to it what such sticks do.
func TestDrillFaultsBriefly(t *testing.T) {
	b := boot(t, openCapture)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	b.streams(ctx, t)
	b.strikes(ctx, t, shortFaults, time.Second, 0)
	p := b.capture(t).Process
	t.Logf("capture holds %d MB, its worker %d MB", p.Own>>20, p.Children>>20)
}

// TestDrillFaults is every fault of the stick, a new one every 20 s for more
// than ten minutes.
func TestDrillFaults(t *testing.T) {
	b := boot(t, openCapture)
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Minute)
	defer cancel()
	b.streams(ctx, t)
	b.strikes(ctx, t, append(allFaults, allFaults...), 6*time.Second, 20*time.Second)
}
