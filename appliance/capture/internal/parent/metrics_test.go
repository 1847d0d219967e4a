package parent

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/appliance/capture/internal/link"
	"github.com/openvideobox/videobox/internal/level"
)

func TestReportBecomesMetrics(t *testing.T) {
	p, _ := newParent(t)
	if err := p.reporter.Register(collector{p}); err != nil {
		t.Fatal(err)
	}
	if body := call(p, "GET", "/metrics", "", nil).Body.String(); strings.Contains(body, "videobox_input_") || !strings.Contains(body, "videobox_worker_restarts_total") {
		t.Error("without a worker there are metrics of one, or none of the parent")
	}
	p.workers.pid.Store(17)
	p.workers.report.Store(&link.Report{
		Width: 1280, FPS: 24.5, FramesIn: 100, Dropped: 3, Repeated: 4, Skipped: 5, EncodeMS: 12.5, EncodeMaxMS: 40, Queue: 2,
		Picture: level.PictureValues{Black: true, BlackFor: 12 * time.Second},
		Levels:  level.Values{Momentary: -23.1, ShortTerm: -24, TruePeak: [2]float64{-3, -4}, Dead: level.Right, Clips: [2]uint64{2, 5}},
	})
	body := call(p, "GET", "/metrics", "", nil).Body.String()
	for _, want := range []string{
		"videobox_input_width_pixels{name=\"box1\",program=\"capture\"} 1280\n", "videobox_input_frames_per_second", "} 24.5\n",
		"videobox_input_dropped_frames_total", "videobox_encoder_seconds{name=\"box1\",program=\"capture\"} 0.0125\n",
		"videobox_encoder_queue_frames", "videobox_sound_momentary_lufs{name=\"box1\",program=\"capture\"} -23.1\n",
		"videobox_sound_right_true_peak_dbtp{name=\"box1\",program=\"capture\"} -4\n", "videobox_sound_right_dead{name=\"box1\",program=\"capture\"} 1\n",
		"videobox_sound_left_dead{name=\"box1\",program=\"capture\"} 0\n", "videobox_picture_black{name=\"box1\",program=\"capture\"} 1\n",
		"videobox_sound_clips_total{name=\"box1\",program=\"capture\"} 7\n",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	if n := strings.Count(body, "videobox_"); n < len(reportMetrics) {
		t.Errorf("%d lines for %d metrics", n, len(reportMetrics))
	}
}

func TestWarningsAreInWords(t *testing.T) {
	for want, r := range map[string]link.Report{
		"":                     {Levels: level.Values{Momentary: -20}},
		"black for 12s":        {Picture: level.PictureValues{Black: true, BlackFor: 12345 * time.Millisecond, Frozen: true}},
		"not changed for 1m0s": {Picture: level.PictureValues{Frozen: true, FrozenFor: time.Minute}},
		"no sound for 10s":     {Levels: level.Values{Silent: true, SilentFor: 10 * time.Second}},
		"the left channel":     {Levels: level.Values{Dead: level.Left}},
		"no sound card":        {SoundCause: "the capture device has no sound card", Levels: level.Values{Silent: true}},
		"turn it down":         {Levels: level.Values{Clipping: true}},
	} {
		got := strings.Join(warnings(&r), "; ")
		if !strings.Contains(got, want) || (want == "") != (got == "") || strings.Contains(got, ";") {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := warnings(&link.Report{Muted: true, Levels: level.Values{Silent: true, Momentary: math.Inf(-1)}}); got != nil {
		t.Errorf("muted by the slate: %q", got)
	}
}
