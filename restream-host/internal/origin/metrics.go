package origin

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/openvideobox/videobox/internal/recording"
	"github.com/openvideobox/videobox/restream-host/internal/hls"
)

// detail is the origin's own part of /api/status.
type detail struct {
	Streams map[string]streamDetail `json:"streams"`
	RTMP    map[string]uint64       `json:"rtmp"`
}

type streamDetail struct {
	HLS       hls.Status        `json:"hls"`
	Recording *recording.Status `json:"recording,omitempty"`
}

// rejected are the reasons why publishers were turned away, with their counts.
func (o *Origin) rejected() map[string]uint64 {
	s := o.rtmp.Stats()
	return map[string]uint64{
		"bad_key": s.BadKey.Load(), "bad_stream": s.BadStream.Load(), "busy": s.Busy.Load(),
		"bad_request": s.BadRequest.Load(), "broken": s.Broken.Load(), "too_many": s.Refused.Load(), "panic": s.Panics.Load(),
	}
}

func (o *Origin) detail() any {
	d := detail{Streams: make(map[string]streamDetail), RTMP: o.rejected()}
	s := o.rtmp.Stats()
	d.RTMP["connections"], d.RTMP["publishers"] = uint64(s.Connections.Load()), uint64(s.Publishers.Load())
	d.RTMP["accepted"] = s.Accepted.Load()
	for _, st := range o.streams {
		x := streamDetail{HLS: st.hls.Status()}
		if st.rec != nil {
			r := st.rec.Status()
			x.Recording = &r
		}
		d.Streams[st.name] = x
	}
	return d
}

func (o *Origin) registerMetrics() error {
	o.reporter.SetDetail(o.detail)
	return o.reporter.Register(collector{o})
}

var (
	rejectedDesc = prometheus.NewDesc("videobox_rtmp_rejected_total", "Connections turned away or broken off, by reason.", []string{"reason"}, nil)
	segmentsDesc = prometheus.NewDesc("videobox_hls_segments_total", "Segments finished.", []string{"stream"}, nil)
	partialDesc  = prometheus.NewDesc("videobox_hls_partial_segments_total", "Segments that lack frames.", []string{"stream"}, nil)
	droppedDesc  = prometheus.NewDesc("videobox_hls_dropped_units_total", "Access units that went into no segment.", []string{"stream"}, nil)
	memoryDesc   = prometheus.NewDesc("videobox_hls_memory_bytes", "Segments held.", []string{"stream"}, nil)
)

type collector struct{ o *Origin }

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{rejectedDesc, segmentsDesc, partialDesc, droppedDesc, memoryDesc} {
		ch <- d
	}
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, v uint64, label string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), label)
	}
	for reason, n := range c.o.rejected() {
		count(rejectedDesc, n, reason)
	}
	for _, s := range c.o.streams {
		st := s.hls.Status()
		count(segmentsDesc, st.Finished, s.name)
		count(partialDesc, st.Partial, s.name)
		count(droppedDesc, st.Dropped, s.name)
		ch <- prometheus.MustNewConstMetric(memoryDesc, prometheus.GaugeValue, float64(st.Bytes), s.name)
	}
}
