package metrics

import "github.com/prometheus/client_golang/prometheus"

// collector turns a reporter's hops and health into Prometheus metrics, which
// are named as its conventions want: base units, _total for counters.
type collector struct{ r *Reporter }

var (
	hopLabels = []string{"hop", "direction", "kind"}

	hopBytes      = hopDesc("bytes_total", "Bytes that passed the hop.")
	hopFrames     = hopDesc("frames_total", "Frames that passed the hop.")
	hopDropped    = hopDesc("dropped_total", "What the hop gave up because a queue was full or a reader too slow.")
	hopContinuity = hopDesc("continuity_errors_total", "Breaks of the MPEG-TS continuity counter.")
	hopReaders    = hopDesc("readers", "Readers that are connected.")
	hopLatency    = hopDesc("latency_seconds", "Since capture, of the newest frame when it passed.")
	hopAge        = hopDesc("age_seconds", "Since data last passed.")

	stateLabels = []string{"part", "kind", "state"}
	partState   = prometheus.NewDesc("videobox_state", "1 for the state that the program, a hop or a leaf of its health is in, 0 for the others.", stateLabels, nil)

	leafLooked = prometheus.NewDesc("videobox_health_looked_seconds", "When a leaf of the health was last looked at, since 1970.", []string{"part"}, nil)
	leafSince  = prometheus.NewDesc("videobox_health_since_seconds", "When a leaf of the health got into the state it is in, since 1970.", []string{"part"}, nil)

	childrenCPU    = prometheus.NewDesc("videobox_children_cpu_seconds_total", "CPU time of child processes and theirs.", nil, nil)
	childrenMemory = prometheus.NewDesc("videobox_children_resident_memory_bytes", "Resident memory of child processes and theirs.", nil, nil)
	startTime      = prometheus.NewDesc("videobox_start_time_seconds", "When the program started, since 1970.", []string{"version"}, nil)
)

func hopDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("videobox_hop_"+name, help, hopLabels, nil)
}

// Describe sends no descriptions: hops come and go.
func (c collector) Describe(chan<- *prometheus.Desc) {}

func (c collector) Collect(out chan<- prometheus.Metric) {
	s := c.r.Status()
	for _, h := range s.Hops {
		collectHop(out, h)
		collectState(out, h.Name, "hop_"+h.Direction, h.State)
	}
	for _, l := range s.Health {
		collectState(out, l.Name, "health", l.State)
		out <- prometheus.MustNewConstMetric(leafLooked, prometheus.GaugeValue, float64(l.Looked.UnixNano())/1e9, l.Name)
		out <- prometheus.MustNewConstMetric(leafSince, prometheus.GaugeValue, float64(l.Since.UnixNano())/1e9, l.Name)
	}
	collectState(out, s.Program, "program", s.State)
	out <- prometheus.MustNewConstMetric(startTime, prometheus.GaugeValue, float64(s.Started.UnixNano())/1e9, s.Version)
	if s.Process.Children > 0 || s.Process.ChildrenCPUSeconds > 0 {
		out <- prometheus.MustNewConstMetric(childrenCPU, prometheus.CounterValue, s.Process.ChildrenCPUSeconds)
		out <- prometheus.MustNewConstMetric(childrenMemory, prometheus.GaugeValue, float64(s.Process.ChildrenResidentBytes))
	}
}

func collectHop(out chan<- prometheus.Metric, h Hop) {
	send := func(d *prometheus.Desc, t prometheus.ValueType, v float64) {
		out <- prometheus.MustNewConstMetric(d, t, v, h.Name, h.Direction, h.Kind)
	}
	send(hopBytes, prometheus.CounterValue, float64(h.Bytes))
	send(hopFrames, prometheus.CounterValue, float64(h.Frames))
	send(hopDropped, prometheus.CounterValue, float64(h.Dropped))
	send(hopContinuity, prometheus.CounterValue, float64(h.ContinuityErrors))
	send(hopReaders, prometheus.GaugeValue, float64(h.Readers))
	if h.LatencyMS >= 0 {
		send(hopLatency, prometheus.GaugeValue, h.LatencyMS/1000)
	}
	if h.AgeMS >= 0 {
		send(hopAge, prometheus.GaugeValue, h.AgeMS/1000)
	}
}

func collectState(out chan<- prometheus.Metric, part, kind string, state State) {
	for _, s := range []State{OK, Starting, Degraded, Failed, Unknown, NotApplicable} {
		v := 0.0
		if s == state {
			v = 1
		}
		out <- prometheus.MustNewConstMetric(partState, prometheus.GaugeValue, v, part, kind, string(s))
	}
}
