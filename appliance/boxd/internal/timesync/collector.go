package timesync

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/openvideobox/videobox/internal/clock/discipline"
)

var (
	synced   = desc("synced", "1 when UTC can be used.")
	lost     = desc("lost", "1 when no time server has answered lately, whether or not UTC can still be used.")
	offset   = desc("offset_seconds", "UTC of the time servers against the box's: what is being slewed.")
	jitter   = desc("jitter_seconds", "Of the time servers' answers.")
	delay    = desc("delay_seconds", "Lowest round trip to the chosen time server.")
	estError = desc("estimated_error_seconds", "Probable error of UTC.")
	maxError = desc("maximum_error_seconds", "How far UTC can be off at the most.")
	unheard  = desc("last_answer_age_seconds", "Since a majority of the time servers was heard last.")
	speed    = desc("frequency_adjustment_ratio", "How much faster than the crystal UTC runs, the slew included.")
	stepped  = desc("steps_total", "Steps of the clock since boxd's start; there is one after boot.")

	serverOffset = desc("server_offset_seconds", "The server's UTC against that of the majority.", "server")
	serverDelay  = desc("server_delay_seconds", "Lowest round trip to the server.", "server")
	serverMissed = desc("server_unanswered", "Questions in a row that the server has not answered.", "server")
	serverState  = desc("server_state", "1 for what is thought of the server, 0 for the rest.", "server", "state")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("videobox_clock_"+name, help, labels, nil)
}

// Describe sends no descriptions: servers come and go.
func (s *Sync) Describe(chan<- *prometheus.Desc) {}

// Collect gives the clock's metrics; none where nobody keeps it.
func (s *Sync) Collect(out chan<- prometheus.Metric) {
	st := s.Status()
	if st == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(synced, number(st.Synced))
	gauge(lost, number(st.Lost))
	out <- prometheus.MustNewConstMetric(stepped, prometheus.CounterValue, float64(st.Steps))
	if st.Unheard < 0 {
		return // nothing is known yet
	}
	for d, v := range map[*prometheus.Desc]time.Duration{
		offset: st.Offset, jitter: st.Jitter, delay: st.Delay, estError: st.EstError, maxError: st.MaxError, unheard: st.Unheard,
	} {
		gauge(d, v.Seconds())
	}
	gauge(speed, st.Speed/1e6)
	for _, srv := range st.Servers {
		gauge(serverMissed, float64(srv.Missed), srv.Name)
		for _, v := range []discipline.Verdict{discipline.Unheard, discipline.Chosen, discipline.Agrees, discipline.Liar, discipline.Alone, discipline.Silent} {
			gauge(serverState, number(srv.Verdict == v), srv.Name, string(v))
		}
		if srv.Samples > 0 {
			gauge(serverOffset, srv.Offset.Seconds(), srv.Name)
			gauge(serverDelay, srv.Delay.Seconds(), srv.Name)
		}
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
