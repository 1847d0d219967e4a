package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/openvideobox/videobox/internal/event"
)

func TestBitrateIsForThoseWhoMay(t *testing.T) {
	capture := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || strings.Contains(string(body), "-1") {
			http.Error(w, "bitrate -1 is out of range", http.StatusBadRequest)
			return
		}
		io.WriteString(w, strings.Join([]string{r.Method, r.URL.Path, string(body), r.Header.Get("Authorization")}, " "))
	}))
	defer capture.Close()
	addr := strings.TrimPrefix(capture.URL, "http://")
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	locked := newLock(event.BoxLogin{User: "box", Bcrypt: string(hash)})
	const wish = `{"bitrate": 2500000}`
	for _, c := range []struct {
		name, method, password, site, body string
		lock                               *lock
		capture                            string
		code                               int
		answer                             string
	}{
		{"right", "PUT", "secret", "same-origin", wish, locked, addr, 200, "PUT /api/bitrate " + wish + " "},
		{"a program", "PUT", "secret", "", wish, locked, addr, 200, "PUT /api/bitrate " + wish + " "},
		{"asked for", "GET", "secret", "", "", locked, addr, 200, "GET /api/bitrate  "},
		{"capture says no", "PUT", "secret", "", "-1", locked, addr, 400, "out of range"},
		{"much too long", "PUT", "secret", "", strings.Repeat(" ", 5000) + wish, locked, addr, 400, ""},
		{"no password", "PUT", "", "", wish, locked, addr, 401, ""},
		{"wrong password", "PUT", "wrong", "", wish, locked, addr, 401, ""},
		{"another site's page", "PUT", "secret", "cross-site", wish, locked, addr, 403, ""},
		{"no credentials set", "PUT", "secret", "", wish, newLock(event.BoxLogin{}), addr, 403, ""},
		{"capture is away", "PUT", "secret", "", wish, locked, nowhere(t), 502, "capture does not answer"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, "/api/bitrate", strings.NewReader(c.body))
		r.Header.Set("Sec-Fetch-Site", c.site)
		if c.password != "" {
			r.SetBasicAuth("box", c.password)
		}
		w := httptest.NewRecorder()
		passOn(c.lock, "capture", c.capture).ServeHTTP(w, r)
		ok := w.Code == c.code || c.name == "much too long" && w.Code >= 400
		if !ok || !strings.Contains(w.Body.String(), c.answer) {
			t.Errorf("%s: %d %q, want %d %q", c.name, w.Code, w.Body, c.code, c.answer)
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}
