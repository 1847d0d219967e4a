package parent

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// call asks the parent's status server.
func call(p *Parent, method, path, body string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8890"+path, strings.NewReader(body))
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	p.handler().ServeHTTP(w, r)
	return w
}

func TestBitrateByAPI(t *testing.T) {
	p, _ := newParent(t)
	p.cfg.Program.MaxBitrate = 2 * shape.Bitrate
	for _, c := range []struct {
		body, want string
		code       int
	}{
		{`{"bitrate": 450000}`, `"bitrate":450000`, 200},
		{`{"bitrate": 600000}`, `"max":600000`, 200},
		{`{"bitrate": 600001}`, "from 100000 to 600000", 400},
		{`{"bitrate": 99999}`, "from 100000 to 600000", 400},
		{`{"bitrate": -1}`, "from 100000", 400},
		{`{"bitrate": 1e99}`, "in bit/s", 400},
		{`{"bitrate": "2M"}`, "in bit/s", 400},
		{`{"bitrates": 500000}`, "unknown field", 400},
		{`{}`, "no bitrate", 400},
		{``, "in bit/s", 400},
		{`{"bitrate": 500000} {}`, "more than one value", 400},
		{`{"bitrate": 500000` + strings.Repeat(" ", 2000) + `}`, "too large", 400},
	} {
		before := p.workers.bitrate.Load()
		w := call(p, "PUT", "/api/bitrate", c.body, nil)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%.40s: %d %s, want %d with %q", c.body, w.Code, w.Body, c.code, c.want)
		}
		if now := p.workers.bitrate.Load(); c.code == 400 && now != before {
			t.Errorf("%.40s: refused, but the bitrate went from %d to %d", c.body, before, now)
		}
	}
	if len(p.workers.rates) != 1 {
		t.Error("the worker isn't told")
	}
	if w := call(p, "GET", "/api/bitrate", "", nil); !strings.Contains(w.Body.String(), `"bitrate":600000,"event_bitrate":300000`) {
		t.Errorf("GET: %d %s", w.Code, w.Body)
	}
}

func TestOtherPagesChangeNothing(t *testing.T) {
	p, _ := newParent(t)
	p.cfg.Program.MaxBitrate = 2 * shape.Bitrate
	for name, change := range map[string]func(*http.Request){
		"another site":   func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"another origin": func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") },
		"a name for this address": func(r *http.Request) {
			r.Host = "evil.example:8890"
			r.Header.Set("Origin", "http://evil.example:8890")
		},
	} {
		if w := call(p, "PUT", "/api/bitrate", `{"bitrate": 400000}`, change); w.Code != http.StatusForbidden {
			t.Errorf("%s: %d", name, w.Code)
		}
		if w := call(p, "POST", "/api/worker/restart", "", change); w.Code != http.StatusForbidden {
			t.Errorf("%s: restart: %d", name, w.Code)
		}
	}
	for _, host := range []string{"localhost:8890", "127.0.0.1", "[::1]:8890", "[::1]"} {
		if w := call(p, "PUT", "/api/bitrate", `{"bitrate": 400000}`, func(r *http.Request) { r.Host = host }); w.Code != 200 {
			t.Errorf("host %s: %d %s", host, w.Code, w.Body)
		}
	}
	if w := call(p, "GET", "/api/worker/restart", "", nil); w.Code != http.StatusNotFound {
		t.Errorf("GET restarts: %d", w.Code)
	}
	if w := call(p, "POST", "/api/worker/restart", "", nil); w.Code != http.StatusConflict {
		t.Errorf("restart without a worker: %d", w.Code)
	}
	if w := call(p, "GET", "/api/status", "", nil); w.Code != 200 || !strings.Contains(w.Body.String(), `"capture"`) {
		t.Errorf("the status: %d", w.Code)
	}
}
