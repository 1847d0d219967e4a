package main

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/peers"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/recording"
)

//go:embed page
var pageFiles embed.FS

var page = template.Must(template.New("").Funcs(template.FuncMap{
	"size": size, "clock": clockTime, "missing": missing,
}).ParseFS(pageFiles, "page/*.html"))

// rows are what the page shows, in words; the page's script asks for them anew
// each second.
type rows struct {
	Name   string        `json:"name"`
	Title  string        `json:"title"`
	State  metrics.State `json:"state"`
	Cause  string        `json:"cause"`
	Rows   []row         `json:"rows"`
	Health []row         `json:"health"`
}

type row struct {
	ID    string        `json:"id"`
	Label string        `json:"label"`
	Text  string        `json:"text"`
	State metrics.State `json:"state,omitempty"` // "" is neither good nor bad
	Age   string        `json:"age,omitempty"`   // how long it has been so
}

func (s *server) rows() rows {
	status := s.reporter.Status()
	r := rows{Name: s.box.Box.Name, Title: title(s.box.Room, s.box.Role), State: status.State, Cause: status.Cause}
	capture, record, d := s.peers.Get("capture"), s.peers.Get("record"), s.streamDetail()
	r.Rows = append(r.Rows, pictureRow(d), signalRow(capture))
	r.Rows = append(r.Rows, streamRow(capture, d), readersRow(capture), latencyRow(d))
	if s.box.Box.Multicast != "" {
		r.Rows = append(r.Rows, multicastRow(capture, s.box.Box.Multicast))
	}
	r.Rows = append(r.Rows, recordingRow(record), diskRow(record))
	for i, l := range status.Health {
		r.Health = append(r.Health, row{
			ID: fmt.Sprintf("h%d", i), Label: l.Name, Text: orOK(l.Cause), State: l.State, Age: length(time.Since(l.Since)),
		})
	}
	return r
}

func title(room, role string) string {
	if room == "" {
		return "no room yet"
	}
	return room + " · " + role
}

func orOK(cause string) string {
	if cause == "" {
		return "ok"
	}
	return cause
}

func pictureRow(d streamDetail) row {
	r := row{ID: "picture", Label: "Picture", Text: d.Picture, State: metrics.OK}
	switch d.Picture {
	case showsNone:
		r.State = metrics.Failed
	case showsSlate, showsRepeat:
		r.State = metrics.Degraded
	}
	if d.Stamped && d.Picture != showsNone {
		r.Text += fmt.Sprintf(" · frame %d", d.Frame)
	}
	return r
}

func leafRow(p peers.Peer, leaf, label string) row {
	state, cause := leafOf(p, leaf)
	return row{ID: leaf, Label: label, Text: orOK(cause), State: state}
}

// signalRow is what comes in: size, rate and sound.
func signalRow(capture peers.Peer) row {
	r := leafRow(capture, "signal", "Signal")
	m, _ := capture.Status.Detail.(map[string]any)
	in, _ := m["input"].(map[string]any)
	w, _ := in["width"].(float64)
	h, _ := in["height"].(float64)
	if r.State != metrics.OK || w == 0 || h == 0 {
		return r
	}
	fps, _ := in["fps"].(float64)
	r.Text = fmt.Sprintf("%.0fx%.0f, %.1f frames a second", w, h, fps)
	if peak, ok := in["peak_dbfs"].(float64); ok && peak > -100 {
		r.Text += fmt.Sprintf(" · sound peaks at %.0f dBFS", peak)
	} else if ok {
		r.Text += " · no sound"
	}
	return r
}

func streamRow(capture peers.Peer, d streamDetail) row {
	state, cause := judgeStream(d)
	r := row{ID: "stream", Label: "Stream", State: state, Text: cause}
	if state != metrics.Failed {
		r.Text = fmt.Sprintf("%.2f Mbit/s", d.BitsPerSecond/1e6)
		if video := text(capture, "video"); video != "" {
			r.Text = video + " · " + r.Text
		}
	}
	return r
}

// text is a string of a program's own part of its status.
func text(p peers.Peer, key string) string {
	m, _ := p.Status.Detail.(map[string]any)
	s, _ := m[key].(string)
	return s
}

func number(p peers.Peer, key string) float64 {
	m, _ := p.Status.Detail.(map[string]any)
	n, _ := m[key].(float64)
	return n
}

func readersRow(capture peers.Peer) row {
	n := 0
	for _, h := range capture.Status.Hops {
		if h.Direction == "out" && h.Kind == "tcp" {
			n += h.Readers
		}
	}
	if !capture.OK() {
		return row{ID: "readers", Label: "Readers", Text: "unknown"}
	}
	return row{ID: "readers", Label: "Readers", Text: fmt.Sprintf("%d by TCP, this page's own among them", n)}
}

func latencyRow(d streamDetail) row {
	r := row{ID: "latency", Label: "Latency", Text: "unknown: nothing live is in the picture"}
	if d.LatencyMS >= 0 && d.Picture == showsLive {
		r.Text = fmt.Sprintf("%.0f ms from capture to a reader here", d.LatencyMS)
	}
	return r
}

func multicastRow(capture peers.Peer, group string) row {
	r := row{ID: "multicast", Label: "Multicast", Text: group + " · unknown", State: metrics.Degraded}
	if h, ok := capture.Status.Hop("multicast"); ok && capture.OK() {
		r.State, r.Text = h.State, fmt.Sprintf("%s · %.2f Mbit/s", group, h.BitsPerSecond/1e6)
		if h.Cause != "" {
			r.Text = group + " · " + h.Cause
		}
	}
	return r
}

func recordingRow(record peers.Peer) row {
	state, cause := leafOf(record, "recorder growing")
	r := row{ID: "recording", Label: "Recording", Text: cause, State: state}
	if file := text(record, "file"); record.OK() && file != "" {
		r.Text = fmt.Sprintf("%s · %s", size(int64(number(record, "file_bytes"))), file)
		if cause != "" {
			r.Text += " · " + cause
		}
	}
	return r
}

func diskRow(record peers.Peer) row {
	r := leafRow(record, "disk space", "Disk")
	if record.OK() && number(record, "total_bytes") > 0 {
		r.Text = fmt.Sprintf("%s free of %s", size(int64(number(record, "free_bytes"))), size(int64(number(record, "total_bytes"))))
		if h := number(record, "hours_left"); h >= 0 {
			r.Text += " · " + length(time.Duration(h*float64(time.Hour))) + " left"
		}
	}
	return r
}

func (s *server) serveRows(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(s.rows())
}

// servePage shows the page as it is now; it can be read without the script.
func (s *server) servePage(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if h, _, err := net.SplitHostPort(r.Host); err == nil {
		host = h
	}
	_, port, _ := net.SplitHostPort(s.box.Box.StreamAddr)
	_, buffered, _ := net.SplitHostPort(s.box.Box.BufferedAddr)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	page.ExecuteTemplate(w, "box.html", map[string]any{
		"Box": s.rows(), "Multicast": s.box.Box.Multicast, "Recordings": s.files.lock.usable(),
		"Stream": "tcp://" + net.JoinHostPort(strings.Trim(host, "[]"), port), "Buffered": buffered,
		"HTTP": "http://" + r.Host + "/stream.ts", "Version": metrics.Version(),
	})
}

// servePageFile gives the style and the script.
func servePageFile(w http.ResponseWriter, r *http.Request) {
	file := r.PathValue("file")
	if !strings.HasSuffix(file, ".css") && !strings.HasSuffix(file, ".js") {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeFileFS(w, r, pageFiles, "page/"+file)
}

func size(n int64) string {
	switch f := float64(n); {
	case n >= 1e10:
		return fmt.Sprintf("%.0f GB", f/1e9)
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", f/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", f/1e6)
	}
	return fmt.Sprintf("%.0f kB", float64(n)/1e3)
}

func clockTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// missing says what a recording lacks, the first of it in full.
func missing(e recording.Entry) (lines []string) {
	const full = 3
	for i, g := range e.Gaps {
		if i == full {
			lines = append(lines, fmt.Sprintf("and %d more gaps", len(e.Gaps)+e.GapsOmitted-full))
			break
		}
		lines = append(lines, fmt.Sprintf("%s: %.1f s, %s", g.Start.UTC().Format("15:04:05"), g.End.Sub(g.Start).Seconds(), g.Cause))
	}
	if e.ContinuityErrors > 0 {
		lines = append(lines, fmt.Sprintf("%d continuity errors", e.ContinuityErrors))
	}
	return lines
}

// length writes a time span as people say it.
func length(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d s", int(d.Seconds()))
}
