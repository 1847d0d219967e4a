package update

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const pentabarf = `<?xml version="1.0" encoding="UTF-8"?>
<schedule><conference><title>X</title></conference><day index="1" date="2026-01-31"><room name="K.1.105 (La Fontaine)">
<event id="1"><date>2026-01-31T10:00:00+01:00</date><start>10:00</start><duration>00:45</duration><room>K.1.105 (La Fontaine)</room><title>On boxes</title></event>
<event id="2"><date>then</date><duration>00:45</duration><room>K.1.105 (La Fontaine)</room><title>No date</title></event>
<event id="3"><date>2026-01-31T11:00:00+01:00</date><duration>01:00</duration><room>Janson</room><title>Elsewhere</title></event>
</room></day></schedule>`

func right() bool { return true }

func TestTalk(t *testing.T) {
	var broken atomic.Bool
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		_, _ = w.Write([]byte(pentabarf))
	}))
	defer web.Close()
	url, room := "", ""
	s := &Schedule{Client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, Where: func() (string, string) { return url, room }, InSync: right}
	day := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name, url, room, at, want string
	}{
		{"no schedule", "", "janson", "10:30", ""},
		{"no room", web.URL, "", "10:30", ""},
		{"long before", web.URL, "k1105", "08:54", ""},
		{"just before", web.URL, "k1105", "08:56", "On boxes, until 09:45 UTC"},
		{"in it", web.URL, "k1105-la-fontaine", "09:44", "On boxes"},
		{"after it", web.URL, "k1105", "09:45", ""},
		{"another room", web.URL, "janson", "09:30", ""},
		{"its own talk", web.URL, "janson", "10:30", "Elsewhere"},
	} {
		url, room = tt.url, tt.room
		at, err := time.Parse("15:04", tt.at)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Talk(t.Context(), day.Add(time.Duration(at.Hour())*time.Hour+time.Duration(at.Minute())*time.Minute))
		if err != nil || tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
	broken.Store(true)
	if got, err := s.Talk(t.Context(), day.Add(10*time.Hour+40*time.Minute)); got == "" {
		t.Errorf("a schedule that was known is forgotten: %q, %v", got, err)
	}
	url = web.URL + "/other"
	if got, err := s.Talk(t.Context(), day.Add(10*time.Hour+40*time.Minute)); err == nil || got != "" {
		t.Errorf("another event's talks: %q, %v", got, err)
	}
}

// TestTalkByAWrongClock: a box without a time server does not promise that there
// is no talk, unless there is no schedule.
func TestTalkByAWrongClock(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(pentabarf)) }))
	defer web.Close()
	url := web.URL
	s := &Schedule{
		Client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, Where: func() (string, string) { return url, "k1105" },
		InSync: func() bool { return false },
	}
	in := time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC)
	if talk, err := s.Talk(t.Context(), in); talk == "" || err != nil {
		t.Errorf("in a talk, as far as anybody knows: %q, %v", talk, err)
	}
	if talk, err := s.Talk(t.Context(), in.Add(-5*time.Hour)); talk != "" || !errors.Is(err, ErrClock) {
		t.Errorf("in no talk: %q, %v", talk, err)
	}
	url = ""
	if talk, err := s.Talk(t.Context(), in); talk != "" || err != nil {
		t.Errorf("no schedule: %q, %v", talk, err)
	}
	r := newRig(t)
	r.talkErr = ErrClock
	if _, u, _ := r.ask("GET", "/api/update", nil); u.Note != "the clock is not right yet, so nobody knows whether there is a talk" || u.Refused != "" {
		t.Errorf("%+v", u)
	}
}

// TestScheduleThatIsAway is asked for once a minute, whoever wants to know.
func TestScheduleThatIsAway(t *testing.T) {
	var asked atomic.Int32
	var there atomic.Bool
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1); !there.Load() {
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte(pentabarf))
	}))
	defer web.Close()
	s := &Schedule{Client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, Where: func() (string, string) { return web.URL, "k1105" }, InSync: right}
	at := time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC)
	ask := func(after time.Duration, wantAsked int32, want string) {
		t.Helper()
		talk, err := s.Talk(t.Context(), at.Add(after))
		if asked.Load() != wantAsked || talk != "" || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("after %v: %q, %v, asked for %d times; want %q and %d", after, talk, err, asked.Load(), want, wantAsked)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Talk(gone, at); !errors.Is(err, context.Canceled) {
		t.Errorf("who has stopped asking: %v", err)
	}
	ask(0, 1, "503")
	ask(time.Second, 1, "503")
	ask(59*time.Second, 1, "503")
	ask(60*time.Second, 2, "503")
	ask(-time.Hour, 3, "503") // the clock was set
	there.Store(true)
	if talk, err := s.Talk(t.Context(), at.Add(2*time.Minute)); talk == "" || err != nil || asked.Load() != 4 {
		t.Errorf("there again: %q, %v, asked for %d times", talk, err, asked.Load())
	}
}

func TestReadTalksRefuses(t *testing.T) {
	for _, bad := range []string{"", "<schedule>", "<schedule/>", `<schedule><event><date>x</event></schedule>`, "{}"} {
		if list, err := readTalks(strings.NewReader(bad)); err == nil {
			t.Errorf("%q: %v", bad, list)
		}
	}
}

func FuzzReadTalks(f *testing.F) {
	f.Add(pentabarf)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := readTalks(strings.NewReader(text))
		if err == nil && len(list) == 0 {
			t.Error("no talks and no error")
		}
	})
}
