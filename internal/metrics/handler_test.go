package metrics

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestHealthz(t *testing.T) {
	r, held := reporter()
	h := r.Handler()
	expect := func(code int, body string) {
		t.Helper()
		if c, b := get(t, h, "/healthz"); c != code || b != body {
			t.Errorf("%d %q, want %d %q", c, b, code, body)
		}
	}
	expect(200, "ok\n")
	in, out := r.Hop("camera", "in", "tcp", ""), r.Hop("main", "out", "udp", "")
	expect(503, "starting: camera: no data yet\n")
	in.Add(1)
	out.Add(1)
	expect(200, "ok\n")
	held.Advance(2500 * time.Millisecond)
	out.Add(1)
	expect(200, "degraded: camera: no data for 2.5 s\n")
	held.Advance(2500 * time.Millisecond)
	expect(503, "failed: main: no data for 2.5 s\n")
}

func TestPrometheus(t *testing.T) {
	r, held := reporter()
	r.ReportChildren()
	h := r.Hop("main", "out", "udp", "")
	h.Add(376)
	h.Frame(held.Now() - 25e7)
	r.Leaf("disk").Set(Failed, "full")
	extra := prometheus.NewGauge(prometheus.GaugeOpts{Name: "videobox_loudness_lufs", Help: "Short-term loudness."})
	extra.Set(-16)
	if err := r.Register(extra); err != nil {
		t.Fatal(err)
	}
	if err := r.Register(extra); err == nil || !strings.HasPrefix(err.Error(), "metrics: ") {
		t.Errorf("registered twice: %v", err)
	}
	code, body := get(t, r.Handler(), "/metrics")
	if code != 200 {
		t.Fatalf("%d\n%s", code, body)
	}
	for _, want := range []string{
		`videobox_hop_bytes_total{direction="out",hop="main",kind="udp",name="demo",program="mixer-host"} 376`,
		`videobox_hop_frames_total{direction="out",hop="main",kind="udp",name="demo",program="mixer-host"} 1`,
		`videobox_hop_latency_seconds{direction="out",hop="main",kind="udp",name="demo",program="mixer-host"} 0.25`,
		`videobox_state{kind="health",name="demo",part="disk",program="mixer-host",state="failed"} 1`,
		`videobox_state{kind="health",name="demo",part="disk",program="mixer-host",state="ok"} 0`,
		`videobox_health_since_seconds{name="demo",part="disk",program="mixer-host"} 1.8e+09`,
		`videobox_health_looked_seconds{name="demo",part="disk",program="mixer-host"} 1.8e+09`,
		`videobox_state{kind="program",name="demo",part="mixer-host",program="mixer-host",state="failed"} 1`,
		`videobox_loudness_lufs{name="demo",program="mixer-host"} -16`,
		"\nprocess_cpu_seconds_total ", "\nprocess_resident_memory_bytes ", "\ngo_goroutines ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
}

func TestServeEndsWithTheContextAndNamesATakenPort(t *testing.T) {
	r, _ := reporter()
	srv := httptest.NewServer(r.Handler())
	defer srv.Close()
	addr := srv.Listener.Addr().String()
	if err := r.Serve(t.Context(), addr); err == nil || !strings.HasPrefix(err.Error(), "listen "+addr+": in use; ") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Serve(ctx, "127.0.0.1:0"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestDetailThatJSONCannotHold(t *testing.T) {
	r, _ := reporter()
	r.SetDetail(func() any { return math.NaN() })
	if code, body := get(t, r.Handler(), "/api/status"); code != 500 || !strings.HasPrefix(body, "status: json: unsupported value") {
		t.Errorf("%d %s", code, body)
	}
}
