package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/appliance/boxd/internal/update"
	"github.com/openvideobox/videobox/internal/metrics"
)

func TestUpdateRows(t *testing.T) {
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name   string
		status update.Status
		want   []string // a text of each row
		state  metrics.State
	}{
		{"new", update.Status{State: update.Idle}, []string{"a version without a name, root A", "none under way", "none"}, metrics.OK},
		{"receiving", update.Status{State: update.Receiving, Incoming: update.Incoming{Version: "v2", Received: 5e6, Size: 70e6}}, []string{"", "receiving: 5.0 of 70.0 MB of v2", ""}, metrics.OK},
		{"restart", update.Status{State: update.Trial}, []string{"", "on trial: the box restarts", ""}, metrics.Starting},
		{"trial", update.Status{State: update.Trial, Seen: "signal is failed, was ok"}, []string{"", "on trial; worse than before: signal is failed, was ok", ""}, metrics.Starting},
		{"good trial", update.Status{State: update.Trial, Seen: update.AsWell}, []string{"", "on trial: all is as well as before, so far", ""}, metrics.Starting},
		{"busy and refused", update.Status{State: update.Idle, Refusal: &update.Refusal{Why: "too large", At: at}}, []string{"", "refused 10:00 UTC: too large", ""}, metrics.OK},
		{"failed", update.Status{State: update.Failed, Last: &update.Last{From: "v1", To: "v2", Result: update.Failed, Reason: "no stream", OutageMS: -1}}, []string{"", "none under way", "v2 failed, back on v1: no stream"}, metrics.OK},
		{"committed", update.Status{State: update.Committed, Last: &update.Last{From: "v1", To: "v2", Result: update.Committed, OutageMS: 14200, At: at,
			Took: []update.Step{{What: "restart", MS: 3000}}}}, []string{"", "", "v1 to v2: committed, 2026-11-23 10:00 UTC · stream away for 14.2 s (restart 3.0 s)"}, metrics.OK},
	} {
		tt.status.Running.Slot = "A"
		rows := updateRows(tt.status)
		if len(rows) != len(tt.want) || rows[1].State != tt.state {
			t.Fatalf("%s: %+v", tt.name, rows)
		}
		for i, want := range tt.want {
			if !strings.Contains(rows[i].Text, want) {
				t.Errorf("%s: %q, want %q", tt.name, rows[i].Text, want)
			}
		}
		var b strings.Builder
		if err := page.ExecuteTemplate(&b, "updates.html", map[string]any{"Name": "box1", "Rows": rows}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"<label>Bundle", `<label for="progress"`, `id="start"`, "<label>Why", "<h1>Update of box1</h1>"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: the page has no %s", tt.name, want)
			}
		}
	}
}

// TestAnswers asks programs that are well, broken, hanging and gone.
func TestAnswers(t *testing.T) {
	hold := make(chan struct{})
	serve := func(h http.HandlerFunc) string {
		web := httptest.NewServer(h)
		t.Cleanup(web.Close)
		return web.Listener.Addr().String()
	}
	defer close(hold) // before the servers' end, which waits for their requests
	for name, tt := range map[string]struct {
		addr string
		want metrics.State
	}{
		"well":   {serve(func(http.ResponseWriter, *http.Request) {}), metrics.OK},
		"broken": {serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }), metrics.OK},
		"hangs":  {serve(func(http.ResponseWriter, *http.Request) { <-hold }), metrics.Failed},
		"gone":   {nowhere(t), metrics.Failed},
	} {
		if got := answers(tt.addr); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// TestSightOfThePage is asked at the port that boxd listens at, which a flag can set.
func TestSightOfThePage(t *testing.T) {
	s, web := rig(t, nowhere(t), nowhere(t), "", t.TempDir())
	if got := s.updateSight(); got[update.Page] != metrics.Failed || got["guard"] != metrics.Failed {
		t.Errorf("before there is a page: %v", got)
	}
	at := web.Listener.Addr().String()
	s.listens.Store(&at)
	if got := s.updateSight(); got[update.Page] != metrics.OK {
		t.Errorf("with a page: %v", got)
	}
}
