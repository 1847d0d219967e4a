package main

import (
	"fmt"
	"time"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/metrics"
)

// streamPatience is for how long the stream may bring no frame.
const streamPatience = 2 * time.Second

// What the newest frame shows.
const (
	showsLive   = "the source"
	showsRepeat = "the last picture again"
	showsSlate  = "the slate"
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
	switch {
	case !d.flows():
	case n.Stamp.Flags&h264.Slate != 0:
		d.Picture = showsSlate
	case n.Stands():
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

// flows says whether new frames come to a reader.
func (d streamDetail) flows() bool {
	return d.FrameAgeMS >= 0 && d.FrameAgeMS <= float64(streamPatience.Milliseconds())
}

// still says since when there are none, in words.
func (d streamDetail) still() string {
	if d.FrameAgeMS < 0 {
		return "no frame has come yet"
	}
	return fmt.Sprintf("no new frame for %.0f s", d.FrameAgeMS/1000)
}

// grows judges what a TCP reader gets. A slate is no fault of the stream.
func (d streamDetail) grows() metrics.Finding {
	if !d.flows() {
		return metrics.Finding{State: metrics.Failed, Cause: d.still()}
	}
	return metrics.Finding{State: metrics.OK, Value: fmt.Sprintf("%.2f Mbit/s, shows %s", d.BitsPerSecond/1e6, d.Picture)}
}
