package metrics

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const start = int64(1_800_000_000e9)

func reporter() (*Reporter, *clock.Held) {
	held := clock.NewHeld(start)
	return NewAt("mixer-host", "demo", held), held
}

func TestRatesOverTheLastSeconds(t *testing.T) {
	r, held := reporter()
	h := r.Hop("camera", "in", "tcp", "127.0.0.1:8899")
	stream := func(d time.Duration, bytes int) { // 25 frames a second
		for end := held.Now() + int64(d); held.Now() < end; held.Advance(40 * time.Millisecond) {
			h.Frame(0)
			h.Add(bytes)
		}
	}
	check := func(what string, bits, frames float64) {
		t.Helper()
		s := h.Snapshot()
		if math.Abs(s.BitsPerSecond-bits) > bits/20 || math.Abs(s.FramesPerSecond-frames) > frames/20 {
			t.Errorf("%s: %.0f bit/s, %.2f frames/s; want %.0f, %.2f", what, s.BitsPerSecond, s.FramesPerSecond, bits, frames)
		}
	}
	check("before anything", 0, 0)
	stream(10*time.Second, 20_000)
	check("steady", 4e6, 25)
	stream(4*time.Second, 5_000)
	check("lower", 1e6, 25)
	held.Advance(1500 * time.Millisecond)
	if s := h.Snapshot(); s.BitsPerSecond < 0.3e6 || s.BitsPerSecond > 0.7e6 {
		t.Errorf("halfway through a pause %.0f bit/s, want about half of 1e6", s.BitsPerSecond)
	}
	held.Advance(2 * time.Second)
	check("after 3.5 s of silence", 0, 0)
	held.Advance(time.Hour)
	stream(time.Second, 20_000)
	check("a second after an hour's pause", 4e6, 25)
	if s := h.Snapshot(); s.Bytes != 250*20_000+100*5_000+25*20_000 || s.Frames != 375 {
		t.Errorf("%d bytes, %d frames", s.Bytes, s.Frames)
	}
}

func TestLatencyAndAge(t *testing.T) {
	r, held := reporter()
	h := r.Hop("out", "out", "udp", "239.255.42.1:5004")
	if s := h.Snapshot(); s.LatencyMS != -1 || s.AgeMS != -1 {
		t.Errorf("before anything: latency %v, age %v; want -1", s.LatencyMS, s.AgeMS)
	}
	h.Frame(held.Now() - int64(250*time.Millisecond))
	held.Advance(1200 * time.Millisecond)
	if s := h.Snapshot(); s.LatencyMS != 250 || s.AgeMS != 1200 {
		t.Errorf("latency %v, age %v; want 250, 1200", s.LatencyMS, s.AgeMS)
	}
	h.Again()
	if s := h.Snapshot(); s.LatencyMS != 250 || s.AgeMS != 0 || s.Frames != 2 {
		t.Errorf("the same picture again: latency %v, age %v, %d frames; want 250, 0, 2", s.LatencyMS, s.AgeMS, s.Frames)
	}
	h.Frame(0) // a slate
	if s := h.Snapshot(); s.LatencyMS != -1 || s.AgeMS != 0 {
		t.Errorf("slate: latency %v, age %v; want -1, 0", s.LatencyMS, s.AgeMS)
	}
}

func TestSilentHopsSaySo(t *testing.T) {
	r, held := reporter()
	in := r.Hop("camera", "in", "tcp", "")
	out := r.Hop("main", "out", "udp", "")
	slow := r.Hop("segments", "out", "file", "")
	slow.SetStall(5*time.Second, Degraded)
	server := r.Hop("tcp", "out", "tcp", "")
	server.SetReaders(0)
	idle := r.Hop("blanker", "in", "tcp", "")
	idle.SetIdle(true)
	forever := r.Hop("control", "in", "tcp", "")
	forever.SetStall(0, OK)

	check := func(what string, want ...string) {
		t.Helper()
		var got []string
		for _, h := range r.Status().Hops {
			got = append(got, strings.TrimSuffix(string(h.State)+": "+h.Cause, ": "))
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q\nwant %q", what, got, want)
		}
	}
	check("at the start", "starting: no data yet", "starting: no data yet", "starting: no data yet", "ok", "ok", "ok")
	held.Advance(1900 * time.Millisecond)
	for _, h := range []*HopCounter{in, out, slow, server} {
		h.Add(1)
	}
	check("running", "ok", "ok", "ok", "ok", "ok", "ok")
	server.AddReaders(1)
	held.Advance(2 * time.Second)
	check("after 2 s", "ok", "ok", "ok", "ok", "ok", "ok")
	held.Advance(1200 * time.Millisecond)
	const silent = "no data for 3.2 s"
	check("after 3.2 s", "degraded: "+silent, "failed: "+silent, "ok", "failed: "+silent, "ok", "ok")
	server.AddReaders(-1)
	idle.SetIdle(false)
	in.SetState(Failed, "connection refused")
	check("with causes", "failed: connection refused", "failed: "+silent, "ok", "ok", "degraded: no data for 5.1 s", "ok")
	in.SetState(OK, "")
	in.Add(1)
	out.SetState(Degraded, "2 of 3 packets lost")
	out.Frame(0)
	check("back", "ok", "degraded: 2 of 3 packets lost", "ok", "ok", "degraded: no data for 5.1 s", "ok")
}

func TestTheWorstStateShows(t *testing.T) {
	r, held := reporter()
	expect := func(state State, cause string) {
		t.Helper()
		if s := r.Status(); s.State != state || s.Cause != cause {
			t.Errorf("%s %q, want %s %q", s.State, s.Cause, state, cause)
		}
	}
	expect(OK, "")
	disk := r.Leaf("disk")
	expect(Starting, "disk")
	disk.Set(OK, "")
	r.SetState(Degraded, "no camera")
	expect(Degraded, "no camera")
	disk.Set(Degraded, "90 % full")
	expect(Degraded, "no camera")
	held.Advance(time.Minute)
	disk.Set(Failed, "full")
	expect(Failed, "disk: full")
	since := r.Status().Health[0].Since
	held.Advance(time.Minute)
	disk.Set(Failed, "still full")
	if l := r.Status().Health[0]; l.Since != since || !since.Equal(time.Unix(0, start).Add(time.Minute)) || l.Cause != "still full" {
		t.Errorf("leaf %+v, since %v", l, since)
	}
	disk.Set(State("odd"), "")
	if !State("odd").Worse(Degraded) {
		t.Error("an unknown state counts as good")
	}
}

func TestLeavesThatTellNothing(t *testing.T) {
	r, held := reporter()
	voltage := r.Leaf("voltage")
	voltage.Found(Finding{NotApplicable, "no such sensor on this board", ""})
	if s := r.Status(); s.State != OK || s.Cause != "" {
		t.Errorf("what does not apply counts: %s %q", s.State, s.Cause)
	}
	held.Advance(time.Minute)
	voltage.Found(Finding{Unknown, "cannot be read", "0x"})
	if s := r.Status(); s.State != Degraded || s.Cause != "voltage: cannot be read" || s.Health[0].State != Unknown || s.Health[0].Value != "0x" {
		t.Errorf("what is unknown does not count: %s %q, %+v", s.State, s.Cause, s.Health)
	}
	held.Advance(time.Minute)
	voltage.Found(Finding{State: Unknown})
	now := time.Unix(0, held.Now()).UTC()
	if l := voltage.Snapshot(); l.Looked != now || l.Since != now.Add(-time.Minute) {
		t.Errorf("since %v, looked %v at %v", l.Since, l.Looked, now)
	}
}

// A step of the system's clock must not make a leaf older than it is.
func TestAgesOutliveASetClock(t *testing.T) {
	mono := time.Now()
	then := instant{utc: 1_000, mono: mono} // 1970: a board without a clock
	now := instant{utc: start, mono: mono.Add(time.Minute)}
	if got, want := then.seenFrom(now), time.Unix(0, start).Add(-time.Minute).UTC(); !got.Equal(want) {
		t.Errorf("seen from after the step: %v, want %v", got, want)
	}
	slewed := instant{utc: then.utc + int64(time.Minute+time.Millisecond), mono: mono.Add(time.Minute)}
	if got := then.seenFrom(slewed); got.UnixNano() != then.utc {
		t.Errorf("without a step: %v", got)
	}
}

func TestHopsKeepTheirCounters(t *testing.T) {
	r, _ := reporter()
	h := r.Hop("camera", "in", "tcp", "box1:8899")
	h.Add(7)
	again := r.Hop("camera", "in", "tcp", "box3:8899")
	if again != h || again.Snapshot().Bytes != 7 || again.Snapshot().Address != "box3:8899" {
		t.Errorf("hop %+v", again.Snapshot())
	}
	if out := r.Hop("camera", "out", "tcp", ""); out == h {
		t.Error("in and out of one name are one hop")
	}
	r.RemoveHop(h)
	if s := r.Status(); len(s.Hops) != 1 || s.Hops[0].Direction != "out" {
		t.Errorf("hops %+v", s.Hops)
	}
	if first := r.Leaf("clock"); r.Leaf("clock") != first {
		t.Error("two leaves of one name")
	}
}

func TestFetchReadsWhatTheHandlerServes(t *testing.T) {
	r, held := reporter()
	r.SetRole("camera")
	r.SetRoom("demo")
	r.SetDetail(func() any { return map[string]any{"scene": "fullscreen"} })
	r.ReportChildren()
	h := r.Hop("main", "out", "udp", "239.255.42.1:5004")
	h.Add(188)
	h.Frame(held.Now() - 1e6)
	h.Drop(2)
	h.ContinuityError(3)
	h.SetReaders(4)
	r.Leaf("clock").Set(OK, "")
	srv := httptest.NewServer(r.Handler())
	defer srv.Close()

	got, err := Fetch(t.Context(), srv.Client(), srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	want := Status{
		Program: "mixer-host", Name: "demo", Role: "camera", Room: "demo", Version: Version(),
		Started: time.Unix(0, start).UTC(), Now: time.Unix(0, start).UTC(), State: OK,
		Hops: []Hop{{
			Name: "main", Direction: "out", Kind: "udp", Address: "239.255.42.1:5004", State: OK,
			Bytes: 188, BitsPerSecond: 3008, Frames: 1, FramesPerSecond: 2, Dropped: 2,
			ContinuityErrors: 3, Readers: 4, LatencyMS: 1,
		}},
		Health:  []Leaf{{Name: "clock", State: OK, Since: time.Unix(0, start).UTC(), Looked: time.Unix(0, start).UTC()}},
		Process: got.Process,
		Detail:  map[string]any{"scene": "fullscreen"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if p := got.Process; p.PID != os.Getpid() || p.ResidentBytes < 1<<20 {
		t.Errorf("process %+v", p)
	}
	if h, ok := got.Hop("main"); !ok || h.Bytes != 188 {
		t.Errorf("hop %+v, %v", h, ok)
	}
	srv.Client().CloseIdleConnections()
}

// TestShape fixes the keys that other programs and people's scripts read.
func TestShape(t *testing.T) {
	data, err := json.Marshal(Status{Hops: []Hop{{}}, Health: []Leaf{{}}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"program":"","name":"","version":"","started":"0001-01-01T00:00:00Z","now":"0001-01-01T00:00:00Z","state":"",` +
		`"hops":[{"name":"","direction":"","kind":"","state":"","bytes":0,"bits_per_second":0,"frames":0,"frames_per_second":0,"dropped":0,"continuity_errors":0,"readers":0,"latency_ms":0,"age_ms":0}],` +
		`"health":[{"name":"","state":"","since":"0001-01-01T00:00:00Z","looked":"0001-01-01T00:00:00Z"}],` +
		`"process":{"pid":0,"cpu_seconds":0,"resident_bytes":0,"children":0,"children_cpu_seconds":0,"children_resident_bytes":0}}`
	if string(data) != want {
		t.Errorf("got  %s\nwant %s", data, want)
	}
}

func TestFetchErrors(t *testing.T) {
	for _, c := range []struct {
		body string
		code int
		want string
	}{
		{"gone", http.StatusNotFound, "404 Not Found instead of 200 OK"},
		{"<html>", http.StatusOK, "invalid character"},
		{`"` + strings.Repeat("x", maxStatus) + `"`, http.StatusOK, "more than 4194304 bytes"},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.code)
			io.WriteString(w, c.body)
		}))
		_, err := Fetch(t.Context(), srv.Client(), srv.URL)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want one line with %q", err, c.want)
		}
		srv.Close()
	}
}

func TestCores(t *testing.T) {
	a := Status{Now: time.Unix(10, 0), Process: Process{PID: 1, CPUSeconds: 1, ChildrenCPUSeconds: 2}}
	b := Status{Now: time.Unix(14, 0), Process: Process{PID: 1, CPUSeconds: 2, ChildrenCPUSeconds: 3}}
	if got := b.Cores(a); got != 0.5 {
		t.Errorf("%v cores, want 0.5", got)
	}
	b.Process.PID = 2
	if got := b.Cores(a); got != 0 {
		t.Errorf("%v cores of another process, want 0", got)
	}
}

func TestManyGoroutinesCountOnce(t *testing.T) {
	r := New("capture", "box1")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			h := r.Hop("shared", "in", "tcp", fmt.Sprint(i))
			for range 2000 {
				h.Add(3)
				h.Frame(1)
				h.SetState(OK, "")
			}
		})
		wg.Go(func() { r.Status() })
	}
	wg.Wait()
	if s := r.Status().Hops[0]; s.Bytes != 48000 || s.Frames != 16000 {
		t.Errorf("%d bytes, %d frames; want 48000, 16000", s.Bytes, s.Frames)
	}
}

func TestCountingDoesNotAllocate(t *testing.T) {
	r, held := reporter()
	h := r.Hop("camera", "in", "tcp", "")
	if n := testing.AllocsPerRun(1000, func() {
		h.Add(1316)
		h.Frame(held.Now())
		h.Drop(1)
		h.ContinuityError(1)
		h.AddReaders(1)
		h.SetState(OK, "")
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	h := New("capture", "box1").Hop("main", "out", "tcp", "")
	b.ReportAllocs()
	for b.Loop() {
		h.Add(1316)
	}
}
