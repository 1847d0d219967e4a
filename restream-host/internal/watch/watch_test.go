package watch

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHandler(t *testing.T) {
	h := Handler(func() Rooms {
		return Rooms{Event: "E", Rooms: []Room{{Name: "demo", Live: true, Playlist: "/hls/demo/index.m3u8"}}}
	})
	for path, want := range map[string]struct {
		code       int
		kind, body string
	}{
		"/":            {200, "text/html", `<script src="watch.js">`},
		"/watch.js":    {200, "text/javascript", "api/rooms"},
		"/player.js":   {200, "text/javascript", "class Player"},
		"/watch.css":   {200, "text/css", "--ground"},
		"/favicon.svg": {200, "image/svg+xml", "<svg"},
		"/vendor/":     {404, "text/plain", "the rooms are at /"},
		"/nothing":     {404, "text/plain", "the rooms are at /"},
		"/api/rooms":   {200, "application/json", `"live":true`},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "http://host"+path, nil))
		if w.Code != want.code || !strings.HasPrefix(w.Header().Get("Content-Type"), want.kind) || !strings.Contains(w.Body.String(), want.body) {
			t.Errorf("%s: %d %s, want %d %s with %s", path, w.Code, w.Header().Get("Content-Type"), want.code, want.kind, want.body)
		}
		if want.kind == "text/html" && !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: no policy", path)
		}
	}
}

// TestPageKnowsItsPlayer: the page asks /api/rooms whether hls.js is there.
func TestPageKnowsItsPlayer(t *testing.T) {
	w := httptest.NewRecorder()
	h := Handler(func() Rooms { return Rooms{} })
	h.ServeHTTP(w, httptest.NewRequest("GET", "/api/rooms", nil))
	var r Rooms
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	w = httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/"+player, nil))
	if there := w.Code == 200; there != r.Player {
		t.Errorf("/api/rooms says %v, the file says %v", r.Player, there)
	}
}
