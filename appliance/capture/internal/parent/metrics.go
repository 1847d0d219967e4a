package parent

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/openvideobox/videobox/appliance/capture/internal/link"
	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/internal/level"
)

// collector makes metrics of the worker's last report. Counters run from the
// worker's start, as the report's do; a restart sets them back.
type collector struct{ p *Parent }

// metric is one number of a report.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*link.Report) float64
}

func gauge(name, help string, value func(*link.Report) float64) metric {
	return metric{prometheus.NewDesc("videobox_"+name, help, nil, nil), prometheus.GaugeValue, value}
}

func counter(name, help string, value func(*link.Report) float64) metric {
	return metric{prometheus.NewDesc("videobox_"+name, help, nil, nil), prometheus.CounterValue, value}
}

// count is one of the capture device's driver's.
func count(name, help string) metric {
	return counter("device_"+name+"_total", help, func(r *link.Report) float64 { return float64(r.Counts[name]) })
}

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// metrics are what the report becomes. Levels are in dB as the standards have
// them, all else in base units.
var reportMetrics = []metric{
	gauge("input_width_pixels", "Of the newest frame that came in.", func(r *link.Report) float64 { return float64(r.Width) }),
	gauge("input_height_pixels", "Of the newest frame that came in.", func(r *link.Report) float64 { return float64(r.Height) }),
	gauge("input_frames_per_second", "That came in lately.", func(r *link.Report) float64 { return r.FPS }),
	counter("input_frames_total", "Frames that came in.", func(r *link.Report) float64 { return float64(r.FramesIn) }),
	counter("input_dropped_frames_total", "Frames that came in too early for the grid.", func(r *link.Report) float64 { return float64(r.Dropped) }),
	counter("input_repeated_frames_total", "Grid frames for which none had come.", func(r *link.Report) float64 { return float64(r.Repeated) }),
	counter("input_restarts_total", "Times that the source was started again.", func(r *link.Report) float64 { return float64(r.Restarts) }),
	count("damaged", "Frames that came in short or corrupt."),
	count("disorder", "Frames that came in after a newer one."),
	count("stale", "Frames left out because a newer one had come."),
	count("lost", "Frames missing in the capture device's count."),
	count("reopened", "Times that the capture device hung and was opened again."),
	count("reset", "Times that it was reset."),
	count("reauthorized", "Times that it was taken off the bus and back."),
	gauge("sound_device_ok", "0 when the source says that no sound comes; silence is sent.", func(r *link.Report) float64 {
		return yes(r.SoundState == "" || r.SoundState == drivers.Streaming.String())
	}),
	counter("slate_frames_total", "Grid frames that showed the slate, made by the worker.", func(r *link.Report) float64 { return float64(r.Slates) }),
	counter("encoder_skipped_frames_total", "Grid frames left out because the encoder was too slow.", func(r *link.Report) float64 { return float64(r.Skipped) }),
	gauge("encoder_seconds", "To encode a frame, mean of the last half second.", func(r *link.Report) float64 { return r.EncodeMS / 1000 }),
	gauge("encoder_max_seconds", "To encode a frame, longest of the last half second.", func(r *link.Report) float64 { return r.EncodeMaxMS / 1000 }),
	gauge("scale_seconds", "To bring a frame to the event's size, mean of the last half second.", func(r *link.Report) float64 { return r.ScaleMS / 1000 }),
	gauge("convert_seconds", "To bring a frame to BT.709 limited range, mean of the last half second.", func(r *link.Report) float64 { return r.ConvertMS / 1000 }),
	gauge("encoder_queue_frames", "By which the encoder was behind the grid, most of the last half second.", func(r *link.Report) float64 { return float64(r.Queue) }),
	gauge("picture_black", "1 when the picture has been black for long.", func(r *link.Report) float64 { return yes(r.Picture.Black) }),
	gauge("picture_black_seconds", "For how long it has been black.", func(r *link.Report) float64 { return r.Picture.BlackFor.Seconds() }),
	gauge("picture_frozen", "1 when the picture has not changed for long; slides don't, either.", func(r *link.Report) float64 { return yes(r.Picture.Frozen) }),
	gauge("picture_frozen_seconds", "For how long it has not changed.", func(r *link.Report) float64 { return r.Picture.FrozenFor.Seconds() }),
	gauge("sound_momentary_lufs", "Loudness of the last 400 ms.", func(r *link.Report) float64 { return r.Levels.Momentary }),
	gauge("sound_short_term_lufs", "Loudness of the last 3 s.", func(r *link.Report) float64 { return r.Levels.ShortTerm }),
	gauge("sound_integrated_lufs", "Gated loudness since the worker's start.", func(r *link.Report) float64 { return r.Levels.Integrated }),
	gauge("sound_left_true_peak_dbtp", "Of the last 3 s.", func(r *link.Report) float64 { return r.Levels.TruePeak[0] }),
	gauge("sound_right_true_peak_dbtp", "Of the last 3 s.", func(r *link.Report) float64 { return r.Levels.TruePeak[1] }),
	gauge("sound_silent", "1 when both channels have been silent for long.", func(r *link.Report) float64 { return yes(r.Levels.Silent) }),
	gauge("sound_silent_seconds", "For how long both channels have been silent.", func(r *link.Report) float64 { return r.Levels.SilentFor.Seconds() }),
	gauge("sound_clipping", "1 when it clipped within the last 2 s.", func(r *link.Report) float64 { return yes(r.Levels.Clipping) }),
	counter("sound_clips_total", "Runs of full-scale samples, of both channels.", func(r *link.Report) float64 { return float64(r.Levels.Clips[0] + r.Levels.Clips[1]) }),
	gauge("sound_left_dead", "1 when the left channel is silent and the right one isn't, for long.", func(r *link.Report) float64 { return yes(r.Levels.Dead == level.Left) }),
	gauge("sound_right_dead", "1 when the right channel is silent and the left one isn't, for long.", func(r *link.Report) float64 { return yes(r.Levels.Dead == level.Right) }),
	gauge("sound_drift_ppm", "Of the sound device against UTC; positive: it is fast.", func(r *link.Report) float64 { return r.Sound.DriftPPM }),
	counter("sound_gaps_total", "Times that the sound device lost or doubled samples.", func(r *link.Report) float64 { return float64(r.Sound.Gaps) }),
	counter("sound_inserted_samples_total", "Silence put where samples were lost or none came.", func(r *link.Report) float64 { return float64(r.Inserted) }),
	counter("sound_cut_samples_total", "Samples left out because they came twice.", func(r *link.Report) float64 { return float64(r.Cut) }),
}

var (
	workerRestarts = prometheus.NewDesc("videobox_worker_restarts_total", "Times that capture's worker was started again.", nil, nil)
	targetBitrate  = prometheus.NewDesc("videobox_encoder_bitrate_bits_per_second", "That the encoder is asked for.", nil, nil)
)

// Describe sends no descriptions: while no worker runs there are no metrics.
func (c collector) Describe(chan<- *prometheus.Desc) {}

func (c collector) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(workerRestarts, prometheus.CounterValue, float64(c.p.workers.restarts.Load()))
	out <- prometheus.MustNewConstMetric(targetBitrate, prometheus.GaugeValue, float64(c.p.workers.bitrate.Load()))
	r := c.p.workers.report.Load()
	if r == nil || c.p.workers.pid.Load() == 0 {
		return
	}
	for _, m := range reportMetrics {
		out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(r))
	}
}

// warnings are what a person should know of a signal that comes: in plain words,
// for the page, the screen and the alarms alike.
func warnings(r *link.Report) (all []string) {
	warn := func(is bool, format string, args ...any) {
		if is {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	seconds := func(d time.Duration) time.Duration { return d.Truncate(time.Second) }
	warn(r.Warning != "", "%s", r.Warning)
	warn(r.Picture.Black, "the picture has been black for %v", seconds(r.Picture.BlackFor))
	warn(r.Picture.Frozen && !r.Picture.Black, "the picture has not changed for %v", seconds(r.Picture.FrozenFor))
	warn(r.SoundCause != "" && !r.Muted, "%s", r.SoundCause)
	warn(r.Levels.Silent && !r.Muted && r.SoundCause == "", "no sound for %v", seconds(r.Levels.SilentFor))
	warn(r.Levels.Dead != level.None, "no sound on the %s channel", r.Levels.Dead)
	warn(r.Levels.Clipping, "the sound clips: turn it down")
	return all
}
