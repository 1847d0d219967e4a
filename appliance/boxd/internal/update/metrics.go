package update

import "github.com/prometheus/client_golang/prometheus"

var (
	stateDesc    = prometheus.NewDesc("videobox_update_state", "1 for the state that the update of the box is in.", []string{"state"}, nil)
	receivedDesc = prometheus.NewDesc("videobox_update_received_bytes", "Bytes of a bundle that are there.", nil, nil)
	buildDesc    = prometheus.NewDesc("videobox_update_build_timestamp_seconds", "When the running image was built, Unix time; 0 unknown.", []string{"version", "board", "slot"}, nil)
	outageDesc   = prometheus.NewDesc("videobox_update_outage_seconds", "For how long the stream was away in the last update; below 0: unknown.", nil, nil)
)

// Describe is prometheus.Collector's.
func (u *Updater) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{stateDesc, receivedDesc, buildDesc, outageDesc} {
		out <- d
	}
}

// Collect is prometheus.Collector's.
func (u *Updater) Collect(out chan<- prometheus.Metric) {
	s := u.Status()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, state := range []State{Idle, Receiving, Ready, Trial, Committed, Failed} {
		is := 0.0
		if state == s.State {
			is = 1
		}
		gauge(stateDesc, is, string(state))
	}
	gauge(receivedDesc, float64(s.Incoming.Received))
	gauge(buildDesc, float64(s.Running.Build), s.Running.Version, s.Running.Board, s.Running.Slot)
	if s.Last != nil {
		gauge(outageDesc, max(-1, s.Last.OutageMS/1000))
	}
}
