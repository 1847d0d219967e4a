package main

import (
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/peers"
	"github.com/openvideobox/videobox/appliance/internal/watch"
	"github.com/openvideobox/videobox/display/screen"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/metrics"
)

// scene puts together what the screens show.
func (p *preview) scene(n watch.Newest, now time.Time) *scene {
	boxd, capture, record := p.peers.Get("boxd"), p.peers.Get("capture"), p.peers.Get("record")
	box := p.box.Load()
	s := &scene{State: screen.State{
		Room: box.Room, Role: box.Role, Name: box.Box.Name, Time: now,
		Signal: signalLine(capture), Stream: streamLine(n, p.in.Snapshot(), capture, now), Recording: recordingLine(record),
		Clock: clockLine(n, boxd), Version: metrics.Version(), Update: plainLeaf(boxd, "update"), Link: p.system.link(),
	}}
	p.network(&s.State)
	s.Temperature = temperature(boxd)
	p.choosePicture(s, n, now)
	s.Peaks, s.Held = levels(capture)
	s.Alarms = alarms(boxd, s.State)
	return s
}

// network fills in the addresses, or what is waited for.
func (p *preview) network(s *screen.State) {
	if all, err := net.InterfaceAddrs(); err == nil {
		s.IPv4, s.IPv6 = addresses(all)
	}
	_, port, _ := net.SplitHostPort(p.box.Load().Box.HTTPAddr)
	s.Page = page(s.IPv4, s.IPv6, port)
	switch {
	case s.Page != "":
	case s.Link.Level == screen.Bad:
		s.Waiting = "plug in the network cable"
	default:
		s.Waiting = "waiting for an address (DHCP)"
	}
}

func (p *preview) choosePicture(s *scene, n watch.Newest, now time.Time) {
	switch {
	case n.KeyTime.IsZero():
		s.NoPicture = "the stream has brought no picture yet"
	case now.Sub(n.KeyTime) > keyframePatience:
		s.NoPicture = fmt.Sprintf("no picture for %.0f s", now.Sub(n.KeyTime).Seconds())
	case p.broken != nil:
		s.NoPicture = p.broken.Error()
	default:
		s.picture = p.picture
	}
}

// temperature is what boxd found and judged: which of a board's sensors are the
// processor's, and how hot it may get, is known there.
func temperature(boxd peers.Peer) screen.Line {
	found, ok := boxd.Leaf("temperature")
	if !ok || !boxd.OK() {
		return screen.Line{}
	}
	l := screen.Line{Text: found.Value, Level: level(found.State)}
	if l.Level >= screen.Warning {
		l.Text = found.Cause
	}
	return l
}

// alarms are all leaves of boxd that aren't well; without boxd, what is known
// anyhow. The worst come first, else the order is boxd's. Leaves that suffer
// from the same thing share a line.
func alarms(boxd peers.Peer, s screen.State) (list []screen.Line) {
	leaves := boxd.Status.Health
	if !boxd.OK() {
		leaves = nil
	}
	var names []string
	add := func(name, cause string, l screen.Level) {
		if l < screen.Warning {
			return
		}
		same := slices.IndexFunc(list, func(o screen.Line) bool { return o == screen.Line{Text: cause, Level: l} })
		if same >= 0 && cause != "" {
			names[same] += ", " + name
			return
		}
		names, list = append(names, name), append(list, screen.Line{Text: cause, Level: l})
	}
	for _, l := range leaves {
		add(l.Name, l.Cause, level(l.State))
	}
	if !boxd.OK() {
		add("recording", s.Recording.Text, s.Recording.Level)
		add("stream", s.Stream.Text, s.Stream.Level)
		add("signal", s.Signal.Text, s.Signal.Level)
		add("boxd", "does not answer: "+boxd.Error, screen.Warning)
	}
	for i, name := range names {
		list[i].Text = name + ": " + list[i].Text
	}
	slices.SortStableFunc(list, func(a, b screen.Line) int { return int(b.Level - a.Level) })
	return list
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

// plainLeaf is a leaf that not every box has.
func plainLeaf(p peers.Peer, name string) screen.Line {
	l, ok := p.Leaf(name)
	if !ok || !p.OK() {
		return screen.Line{}
	}
	if l.Cause == "" {
		l.Cause = string(l.State)
	}
	return screen.Line{Text: l.Cause, Level: level(l.State)}
}

// clockLine is whether the clock is right, by the stream that says so itself.
func clockLine(n watch.Newest, boxd peers.Peer) screen.Line {
	l, ok := boxd.Leaf("clock")
	switch {
	case ok && boxd.OK() && level(l.State) >= screen.Warning:
		return screen.Line{Text: "not in sync", Level: level(l.State)}
	case !n.Stamped:
		return screen.Line{Text: "UTC", Level: screen.Unknown}
	case n.Stamp.Flags&h264.Synced == 0:
		return screen.Line{Text: "not in sync", Level: screen.Warning}
	}
	return screen.Line{Text: "in sync"}
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
		l.Text = fmt.Sprintf("%.0fx%.0f, %.1f a second", w, h, fps)
	}
	return l
}

// levels are what the meters show of the sound that is sent: level over 400 ms
// and true peak of the last 3 s, a channel each.
func levels(capture peers.Peer) (now, held []float64) {
	if !capture.OK() {
		return nil, nil
	}
	return numbers(capture, "input", "levels", "rms_dbfs"), numbers(capture, "input", "levels", "true_peak_dbtp")
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

// detail finds a value in a program's own part of its status.
func detail(p peers.Peer, path ...string) any {
	v := p.Status.Detail
	for _, key := range path {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

func number(p peers.Peer, path ...string) (float64, bool) {
	n, ok := detail(p, path...).(float64)
	return n, ok
}

func numbers(p peers.Peer, path ...string) (list []float64) {
	all, _ := detail(p, path...).([]any)
	for _, v := range all {
		if n, ok := v.(float64); ok {
			list = append(list, n)
		}
	}
	return list
}
