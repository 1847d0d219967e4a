package main

import (
	"fmt"
	"math"
	"net"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/peers"
	"github.com/openvideobox/videobox/appliance/internal/watch"
	"github.com/openvideobox/videobox/display/screen"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/metrics"
)

// holdPeak is for how long the highest peak stays marked.
const holdPeak = 3 * time.Second

// held remembers the highest peak of the last seconds.
type held struct {
	peak float64
	at   time.Time
}

func (h *held) add(peak float64, now time.Time) float64 {
	if peak >= h.peak || now.Sub(h.at) > holdPeak {
		h.peak, h.at = peak, now
	}
	return h.peak
}

// state puts together what the screen shows.
func (p *preview) state(n watch.Newest, now time.Time) screen.State {
	capture, record, hop := p.peers.Get("capture"), p.peers.Get("record"), p.in.Snapshot()
	s := screen.State{
		Room: p.box.Room, Role: p.box.Role, Name: p.box.Box.Name, Time: now,
		InSync: n.Stamped && n.Stamp.Flags&h264.Synced != 0,
		Signal: signalLine(capture), Stream: streamLine(n, hop, capture, now), Recording: recordingLine(record),
	}
	if all, err := net.InterfaceAddrs(); err == nil {
		s.Addresses = addresses(all)
	}
	if len(s.Addresses) == 0 {
		s.Waiting = "waiting for an address"
	}
	switch {
	case n.KeyTime.IsZero():
		s.NoPicture = "the stream has brought no picture yet"
	case now.Sub(n.KeyTime) > keyframePatience:
		s.NoPicture = fmt.Sprintf("no picture for %.0f s", now.Sub(n.KeyTime).Seconds())
	case p.broken != nil:
		s.NoPicture = p.broken.Error()
	default:
		s.Picture = p.image
	}
	if peak, ok := number(capture, "input", "peak_dbfs"); ok && capture.OK() {
		s.Peaks, s.Held = []float64{peak}, []float64{p.peaks.add(peak, now)}
	}
	s.Alarm = worst(map[string]screen.Line{"signal": s.Signal, "stream": s.Stream, "recording": s.Recording}, "recording", "stream", "signal")
	return s
}

// worst is the line that is to be seen from afar; of equals, the first.
func worst(lines map[string]screen.Line, order ...string) (alarm screen.Line) {
	for _, name := range order {
		if l := lines[name]; l.Level >= screen.Warning && l.Level > alarm.Level {
			alarm = screen.Line{Text: name + ": " + l.Text, Level: l.Level}
		}
	}
	return alarm
}

func level(s metrics.State) screen.Level {
	switch s {
	case metrics.OK:
		return screen.Good
	case metrics.Degraded:
		return screen.Warning
	case metrics.Failed:
		return screen.Bad
	}
	return screen.Unknown
}

// leaf is a part of a program's health in words.
func leaf(p peers.Peer, name string) screen.Line {
	if !p.OK() {
		return screen.Line{Text: p.Program + " does not answer: " + p.Error, Level: screen.Bad}
	}
	l, ok := p.Leaf(name)
	if !ok {
		return screen.Line{Text: "unknown", Level: screen.Unknown}
	}
	return screen.Line{Text: l.Cause, Level: level(l.State)}
}

func signalLine(capture peers.Peer) screen.Line {
	l := leaf(capture, "signal")
	if l.Level != screen.Good {
		return l
	}
	w, _ := number(capture, "input", "width")
	h, _ := number(capture, "input", "height")
	fps, _ := number(capture, "input", "fps")
	l.Text = "there"
	if w > 0 && h > 0 {
		l.Text = fmt.Sprintf("%.0fx%.0f, %.1f a second", w, h, math.Round(fps*10)/10)
	}
	return l
}

func streamLine(n watch.Newest, hop metrics.Hop, capture peers.Peer, now time.Time) screen.Line {
	switch {
	case n.Frame.IsZero():
		return screen.Line{Text: "nothing is sent", Level: screen.Bad}
	case now.Sub(n.Frame) > 2*time.Second:
		return screen.Line{Text: fmt.Sprintf("nothing is sent for %.0f s", now.Sub(n.Frame).Seconds()), Level: screen.Bad}
	}
	text := fmt.Sprintf("%.1f Mbit/s", hop.BitsPerSecond/1e6)
	readers := 0
	for _, h := range capture.Status.Hops {
		if h.Direction == "out" && h.Kind == "tcp" {
			readers += h.Readers
		}
	}
	if capture.OK() {
		text += fmt.Sprintf(" · %d readers", readers)
	}
	if n.Stamp.Flags&h264.Slate != 0 {
		return screen.Line{Text: "sends the slate · " + text, Level: screen.Warning}
	}
	return screen.Line{Text: text, Level: screen.Good}
}

func recordingLine(record peers.Peer) screen.Line {
	l := leaf(record, "recorder growing")
	if l.Level >= screen.Warning {
		return l
	}
	bytes, _ := number(record, "bytes")
	if l.Text == "" {
		l.Text = fmt.Sprintf("%.2f GB", bytes/1e9)
	}
	if hours, ok := number(record, "hours_left"); ok && hours >= 0 {
		l.Text += fmt.Sprintf(" · %.0f h left", hours)
	}
	return l
}

// number finds a number in a program's own part of its status.
func number(p peers.Peer, path ...string) (float64, bool) {
	v := p.Status.Detail
	for _, key := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return 0, false
		}
		v = m[key]
	}
	n, ok := v.(float64)
	return n, ok
}
