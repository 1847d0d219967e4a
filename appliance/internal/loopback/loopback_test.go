package loopback

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestGuard(t *testing.T) {
	h := Guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, c := range []struct {
		method, host, site string
		ok                 bool
	}{
		{"PUT", "127.0.0.1:8891", "", true},
		{"PUT", "[::1]:8891", "", true},
		{"PUT", "localhost:8891", "same-origin", true},
		{"GET", "box.example:8891", "cross-site", true},
		{"PUT", "evil.example:8891", "", false},
		{"POST", "evil.example", "same-origin", false},
		{"PUT", "127.0.0.1:8891", "cross-site", false},
		{"DELETE", "127.0.0.1", "same-site", false},
	} {
		r := httptest.NewRequest(c.method, "/", nil)
		r.Host = c.host
		r.Header.Set("Sec-Fetch-Site", c.site)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if (w.Code == http.StatusOK) != c.ok {
			t.Errorf("%s to %s from %s: %d", c.method, c.host, c.site, w.Code)
		}
	}
}

func TestReadJSON(t *testing.T) {
	for body, want := range map[string]string{
		`{"on": true}`:                        "",
		` {"on": false} ` + "\n":              "",
		`{"on": true, "of": 1}`:               "unknown field",
		`{"on": true}{"on": true}`:            "more than one",
		`{"on": "yes"}`:                       "cannot unmarshal",
		``:                                    "EOF",
		`{"on":` + strings.Repeat(" ", 2<<10): "too large",
	} {
		var v struct {
			On bool `json:"on"`
		}
		err := ReadJSON(httptest.NewRecorder(), httptest.NewRequest("PUT", "/", strings.NewReader(body)), &v)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: %v, want %q", body, err, want)
		}
	}
}
