package main

import (
	"fmt"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/peers"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/metrics"
)

// streamPatience is for how long the stream may bring no frame.
const streamPatience = 2 * time.Second

// health is the box's health tree: leaves with fixed names, whatever runs.
type health struct {
	device, signal, encoder *metrics.LeafState
	stream, recorder        *metrics.LeafState
	disk, clock             *metrics.LeafState
}

func newHealth(r *metrics.Reporter) *health {
	return &health{
		device: r.Leaf("device"), signal: r.Leaf("signal"), encoder: r.Leaf("encoder"),
		stream: r.Leaf("stream growing"), recorder: r.Leaf("recorder growing"),
		disk: r.Leaf("disk space"), clock: r.Leaf("clock"),
	}
}

// judge brings the health tree up to date.
func (s *server) judge() {
	h := s.health
	capture, record := s.peers.Get("capture"), s.peers.Get("record")
	h.device.Set(leafOf(capture, "device"))
	h.signal.Set(leafOf(capture, "signal"))
	h.encoder.Set(leafOf(capture, "encoder"))
	h.recorder.Set(leafOf(record, "recorder growing"))
	h.disk.Set(leafOf(record, "disk space"))
	d := s.streamDetail()
	h.stream.Set(judgeStream(d))
	h.clock.Set(judgeClock(d))
}

// leafOf passes on what a program says of itself, or that it says nothing.
func leafOf(p peers.Peer, name string) (metrics.State, string) {
	if !p.OK() {
		return metrics.Failed, p.Program + " does not answer: " + p.Error
	}
	l, ok := p.Leaf(name)
	if !ok {
		return metrics.Starting, p.Program + " does not say yet"
	}
	return l.State, l.Cause
}

func judgeStream(d streamDetail) (metrics.State, string) {
	switch {
	case d.FrameAgeMS < 0:
		return metrics.Failed, "no frame has come yet"
	case d.FrameAgeMS > float64(streamPatience.Milliseconds()):
		return metrics.Failed, fmt.Sprintf("no frame for %.0f s", d.FrameAgeMS/1000)
	case d.Picture == showsSlate:
		return metrics.Degraded, "sends the slate"
	}
	return metrics.OK, ""
}

func judgeClock(d streamDetail) (metrics.State, string) {
	switch {
	case d.FrameAgeMS < 0 || !d.Stamped:
		return metrics.Starting, "no frame has told yet"
	case d.FrameAgeMS > float64(streamPatience.Milliseconds()):
		return metrics.Degraded, "unknown: no frame tells"
	case !d.Synced:
		return metrics.Degraded, "not in sync: no time server has answered"
	}
	return metrics.OK, ""
}

// What the newest frame shows.
const (
	showsLive   = "live"
	showsRepeat = "the last picture again"
	showsSlate  = "slate"
	showsNone   = "nothing"
)

// streamDetail is the stream as a TCP reader gets it.
type streamDetail struct {
	Picture       string    `json:"picture"`
	Frame         uint64    `json:"frame"`
	Epoch         uint32    `json:"epoch"`
	Program       time.Time `json:"program,omitzero"`
	Stamped       bool      `json:"stamped"`
	Synced        bool      `json:"synced"`
	FrameAgeMS    float64   `json:"frame_age_ms"`    // -1 before the first
	KeyframeAgeMS float64   `json:"keyframe_age_ms"` // -1 before the first
	LatencyMS     float64   `json:"latency_ms"`      // -1 unknown
	BitsPerSecond float64   `json:"bits_per_second"`
}

func (s *server) streamDetail() streamDetail {
	n, hop := s.stream.Newest(), s.hop.Snapshot()
	d := streamDetail{
		Picture: showsNone, Frame: n.Stamp.Frame, Epoch: n.Stamp.Epoch, Stamped: n.Stamped,
		Synced:     n.Stamp.Flags&h264.Synced != 0,
		FrameAgeMS: ageMS(n.Frame), KeyframeAgeMS: ageMS(n.KeyTime),
		LatencyMS: hop.LatencyMS, BitsPerSecond: hop.BitsPerSecond,
	}
	if n.Stamped {
		d.Program = time.Unix(0, n.Stamp.Program).UTC()
	}
	switch fresh := d.FrameAgeMS >= 0 && d.FrameAgeMS <= float64(streamPatience.Milliseconds()); {
	case !fresh:
	case n.Stamp.Flags&h264.Slate != 0:
		d.Picture = showsSlate
	case n.Stamp.Flags&h264.Repeated != 0:
		d.Picture = showsRepeat
	default:
		d.Picture = showsLive
	}
	return d
}

func ageMS(t time.Time) float64 {
	if t.IsZero() {
		return -1
	}
	return float64(time.Since(t).Milliseconds())
}
