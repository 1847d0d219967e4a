package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/openvideobox/videobox/appliance/boxd/internal/network"
	"github.com/openvideobox/videobox/appliance/boxd/internal/update"
	"github.com/openvideobox/videobox/appliance/internal/self"
	"github.com/openvideobox/videobox/internal/metrics"
)

// judged are the leaves that an update must not make worse.
var judged = []string{"device", "signal", "encoder", "stream growing", "recorder growing", "network link"}

// updatedBy tells updates what to look at, and where the room's talks are.
func (s *server) updatedBy(l *life) {
	l.where.Store(&scheduled{s.box.Event.Schedule, s.box.Room})
	l.update.SetLook(s.updateSight)
	if err := s.reporter.Register(l.update); err != nil {
		panic(err) // a name is taken: a mistake in this program
	}
}

// updateSight is the box as an update's trial is judged by.
func (s *server) updateSight() update.Sight {
	sight := update.Sight{update.FirstFrame: metrics.Unknown, update.Address: metrics.Failed, "gateway": metrics.Failed}
	sight[update.Page] = answers(self.Local(s.address()))
	sight["guard"] = answers(s.box.Box.StatusAddr("guard"))
	for _, name := range judged {
		sight[name] = s.health.found(name).State
	}
	if !s.stream.Newest().Frame.IsZero() {
		sight[update.FirstFrame] = metrics.OK
	}
	if len(network.Addresses()) > 0 {
		sight[update.Address] = metrics.OK
	}
	if network.GatewayAnswers("/proc/net") {
		sight["gateway"] = metrics.OK
	}
	return sight
}

// askTimeout is for how long a program may think about whether it is well: a
// machine that starts is slow.
const askTimeout = 3 * time.Second

// asking keeps no connection: one that was made before a program hung says
// nothing about who comes next.
var asking = &http.Client{Timeout: askTimeout, Transport: &http.Transport{DisableKeepAlives: true}}

// answers asks a program as guard does; any answer will do, for what is wrong
// with the box is judged elsewhere.
func answers(addr string) metrics.State {
	resp, err := asking.Get("http://" + addr + "/healthz")
	if err != nil {
		return metrics.Failed
	}
	resp.Body.Close()
	return metrics.OK
}

func (s *server) updateFinding() metrics.Finding {
	if s.life == nil {
		return metrics.Finding{State: metrics.NotApplicable, Cause: "not applicable: only a videobox image takes updates"}
	}
	return s.life.update.Finding()
}

// updates is the API of updates, for those who have the credentials.
func (s *server) updates() http.Handler {
	if s.life == nil {
		return s.files.lock.behind(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"error": "only a videobox image takes updates"}`, http.StatusNotFound)
		}))
	}
	return s.files.lock.behind(s.life.update.Handler())
}

// system is gokrazy's own update, which must stay out of a trial's way.
func (s *server) system() http.Handler {
	if s.life == nil {
		return system(s.files.lock, initSocket)
	}
	return behindLock(s.files.lock, s.life.update.Gokrazy(toInit(initSocket)))
}

// serveUpdates is the page of the box's update.
func (s *server) serveUpdates(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_ = page.ExecuteTemplate(w, "updates.html", map[string]any{"Name": s.box.Box.Name, "Rows": updateRows(s.life.update.Status())})
}

// updateRows are what runs, how far an update is, and how the last one ended.
func updateRows(u update.Status) []row {
	version := fmt.Sprintf("%s, root %s", u.Running, u.Running.Slot)
	if u.Running.Build > 0 {
		version += ", built " + time.Unix(u.Running.Build, 0).UTC().Format("2006-01-02 15:04 UTC")
	}
	return []row{{ID: "version", Label: "Version", Text: version}, nowRow(u), lastRow(u.Last)}
}

func nowRow(u update.Status) row {
	r := row{ID: "update", Label: "Update", Text: "none under way", State: metrics.OK}
	switch {
	case u.State == update.Trial && u.Seen == "":
		r.Text, r.State = "on trial: the box restarts", metrics.Starting
	case u.Seen == update.AsWell:
		r.Text, r.State = "on trial: all is as well as before, so far", metrics.Starting
	case u.State == update.Trial:
		r.Text, r.State = "on trial; worse than before: "+u.Seen, metrics.Starting
	case u.Incoming.Size > 0:
		r.Text = fmt.Sprintf("%s: %.1f of %.1f MB of %s", u.State, float64(u.Incoming.Received)/1e6, float64(u.Incoming.Size)/1e6, u.Incoming.Version)
	}
	if u.Busy.Busy {
		r.Text += " · the room is busy: " + u.Busy.Reason
	}
	if u.Refusal != nil {
		r.Text += fmt.Sprintf(" · refused %s UTC: %s", u.Refusal.At.Format("15:04"), u.Refusal.Why)
	}
	return r
}

func lastRow(l *update.Last) row {
	r := row{ID: "lastupdate", Label: "Last update", Text: "none"}
	if l == nil {
		return r
	}
	r.State, r.Text = metrics.OK, fmt.Sprintf("%s to %s: %s, %s UTC", l.From, l.To, l.Result, l.At.Format("2006-01-02 15:04"))
	if l.Result == update.Failed {
		r.State, r.Text = metrics.Degraded, fmt.Sprintf("%s failed, back on %s: %s", l.To, l.From, l.Reason)
	}
	if l.OutageMS >= 0 {
		var took []string
		for _, s := range l.Took {
			took = append(took, fmt.Sprintf("%s %.1f s", s.What, s.MS/1000))
		}
		r.Text += fmt.Sprintf(" · stream away for %.1f s (%s)", l.OutageMS/1000, strings.Join(took, ", "))
	}
	return r
}
