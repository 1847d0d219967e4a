package main

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"iter"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/openvideobox/videobox/appliance/boxd/internal/board"
	"github.com/openvideobox/videobox/appliance/internal/peers"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/recording"
)

//go:embed page
var pageFiles embed.FS

var page = template.Must(template.New("").Funcs(template.FuncMap{
	"size": size, "clock": clockTime, "missing": missing,
	"head": func(title, script string) map[string]string {
		return map[string]string{"Title": title, "Script": script}
	},
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
	Old   string        `json:"old,omitempty"`   // "" while somebody looks
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
	r.Rows = append(r.Rows, recordingRow(s.health.found("recorder growing"), record), diskRow(s.health.found("disk space")))
	if last := s.healer.snapshot(); last != nil {
		r.Rows = append(r.Rows, last.row(status.Now))
	}
	if s.life != nil {
		r.Rows = append(r.Rows, s.life.onBox.rows()...)
		r.Rows = append(r.Rows, updateRows(s.life.update.Status())...)
	}
	for i, l := range status.Health {
		r.Health = append(r.Health, healthRow(i, l, status.Now))
	}
	return r
}

// lookedLately is how old a look at a leaf may be before the page says that it
// is: boxd looks every second, or every three when a program hangs.
const lookedLately = 6 * time.Second

// healthRow leaves out of the words what the state says already.
func healthRow(i int, l metrics.Leaf, now time.Time) row {
	r := row{
		ID: fmt.Sprintf("h%d", i), Label: l.Name, State: l.State, Age: length(now.Sub(l.Since)),
		Text: strings.TrimPrefix(l.Cause, string(l.State)+": "),
	}
	if r.Text == "" {
		r.Text = l.Value
	}
	if age := now.Sub(l.Looked); age > lookedLately {
		r.Old = "old: nobody has looked for " + length(age)
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
	f := leafOf(p, leaf)
	return row{ID: leaf, Label: label, Text: orOK(f.Cause), State: f.State}
}

// signalRow is what comes in: size, rate and sound.
func signalRow(capture peers.Peer) row {
	r := leafRow(capture, "signal", "Signal")
	in, _ := detailOf(capture)["input"].(map[string]any)
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
	f := d.grows()
	r := row{ID: "stream", Label: "Stream", State: f.State, Text: f.Cause}
	if f.State == metrics.OK {
		r.Text = fmt.Sprintf("%.2f Mbit/s", d.BitsPerSecond/1e6)
		if video := text(capture, "video"); video != "" {
			r.Text = video + " · " + r.Text
		}
	}
	return r
}

// text is a string of a program's own part of its status.
func text(p peers.Peer, key string) string {
	s, _ := detailOf(p)[key].(string)
	return s
}

func number(p peers.Peer, key string) float64 {
	n, _ := detailOf(p)[key].(float64)
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

func recordingRow(l metrics.Leaf, record peers.Peer) row {
	r := row{ID: "recording", Label: "Recording", Text: orOK(l.Cause), State: l.State}
	if l.State != metrics.OK {
		return r
	}
	r.Text = l.Value
	if !record.OK() {
		r.Text += " · record does not answer: " + record.Error
	}
	return r
}

func diskRow(l metrics.Leaf) row {
	r := row{ID: "disk", Label: "Disk", Text: orOK(l.Cause), State: l.State}
	if l.Cause == "" {
		r.Text = l.Value
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
		"HTTP": "http://" + r.Host + "/stream.ts", "Version": metrics.Version(), "Updates": s.life != nil,
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

func size(n int64) string { return board.Bytes(uint64(max(n, 0))) }

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
	for kind, d := range spanLengths(e.Spans) {
		lines = append(lines, fmt.Sprintf("%s for %s", kind, length(d)))
	}
	if e.ContinuityErrors > 0 {
		lines = append(lines, fmt.Sprintf("%d continuity errors", e.ContinuityErrors))
	}
	return lines
}

// spanLengths are by kind, in a fixed order.
func spanLengths(spans []recording.Span) iter.Seq2[string, time.Duration] {
	return func(yield func(string, time.Duration) bool) {
		for _, kind := range []string{recording.NoSignal, recording.Black, recording.Frozen, recording.Silent} {
			var sum time.Duration
			for _, s := range spans {
				if s.Kind == kind {
					sum += s.End.Sub(s.Start)
				}
			}
			if sum >= time.Second && !yield(kind, sum) {
				return
			}
		}
	}
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
