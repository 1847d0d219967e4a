package parent

import (
	"context"
	"fmt"
	"time"

	"github.com/openvideobox/videobox/appliance/capture/internal/link"
	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/program"
	"github.com/openvideobox/videobox/internal/tee"
)

// Detail is capture's own part of its status.
type Detail struct {
	Source    string        `json:"source"`
	Video     string        `json:"video"`   // of the stream
	Bitrate   int           `json:"bitrate"` // of the video, bit/s, as asked for
	MuxMS     float64       `json:"mux_ms"`  // that the newest picture took through mux and ring
	Live      bool          `json:"live"`    // the newest frame sent shows the source
	Input     *link.Report  `json:"input,omitempty"`
	Warnings  []string      `json:"warnings"` // what is odd about picture and sound that come, in plain words
	Stream    program.Stats `json:"stream"`
	WorkerPID int64         `json:"worker_pid"` // 0: none
	Restarts  uint64        `json:"worker_restarts"`
	RingBytes int           `json:"ring_bytes"` // held
	RingSize  int           `json:"ring_size"`
	Lapped    uint64        `json:"readers_lapped"`
}

// status translates what happens into hops and health.
type status struct {
	p                               *Parent
	in, multicast                   *metrics.HopCounter
	device, signal, encoder, stream *metrics.LeafState

	reports  *link.Report // the last one
	datagram tee.SenderStats
}

func newStatus(p *Parent) *status {
	r := p.reporter
	r.SetRoom(p.cfg.Room)
	r.SetRole(p.cfg.Role)
	r.ReportChildren()
	s := &status{p: p}
	s.in = r.Hop("in", "in", "device", p.cfg.Source)
	if p.cfg.Multicast.Group != "" {
		s.multicast = r.Hop("multicast", "out", "udp", p.cfg.Multicast.Group)
	}
	s.device, s.signal = r.Leaf("device"), r.Leaf("signal")
	s.encoder, s.stream = r.Leaf("encoder"), r.Leaf("stream")
	r.SetDetail(func() any { return p.detail() })
	return s
}

func (p *Parent) detail() Detail {
	ring := p.ring.Stats()
	c := p.cfg.Program
	d := Detail{
		Source: p.cfg.Source, Video: fmt.Sprintf("%dx%d@%d", c.Width, c.Height, c.Rate), Bitrate: int(p.workers.bitrate.Load()),
		MuxMS: float64(p.workers.muxing.Load()) / 1e6, Stream: p.stream.Stats(), WorkerPID: p.workers.pid.Load(), Restarts: p.workers.restarts.Load(),
		Input: p.workers.report.Load(), RingBytes: ring.Held, RingSize: ring.Size, Lapped: ring.Lapped,
	}
	if d.Input != nil && d.WorkerPID != 0 {
		d.Warnings = warnings(d.Input)
	}
	d.Live = p.status.signal.Snapshot().State == metrics.OK
	return d
}

// sent is called by the stream for each frame of the output, under its lock.
func (s *status) sent(st h264.Stamp) {
	for _, srv := range s.p.servers {
		srv.hop.Frame(st.Capture)
	}
	if s.multicast != nil {
		s.multicast.Frame(st.Capture)
	}
	if live := st.Flags&h264.Slate == 0; !live {
		s.stream.Set(metrics.Degraded, "shows the slate")
	} else {
		s.stream.Set(metrics.OK, "")
	}
}

// received is called for each picture of the worker.
func (s *status) received(p program.Picture) {
	if p.Flags&h264.Slate == 0 && p.Flags&h264.Repeated == 0 {
		s.in.Add(len(p.Data))
		s.in.Frame(p.Capture)
	}
}

// reported takes the worker's report.
func (s *status) reported(r *link.Report) {
	s.encoder.Set(s.p.judgeEncoder(r, s.reports))
	if s.reports != nil && r.Dropped > s.reports.Dropped {
		s.in.Drop(int(r.Dropped - s.reports.Dropped))
	}
	s.reports = r
	switch r.State {
	case drivers.Streaming.String():
		s.in.SetState(metrics.OK, "")
		s.device.Set(metrics.OK, "")
		s.signal.Set(metrics.OK, "")
	case drivers.Starting.String():
		s.in.SetState(metrics.Starting, r.Cause)
		s.device.Set(metrics.Starting, r.Cause)
		s.signal.Set(metrics.Starting, r.Cause)
	default:
		s.bad(r)
	}
}

// bad tells a device that is missing from one that has no signal.
func (s *status) bad(r *link.Report) {
	cause := r.State
	if r.Cause != "" && r.Cause != r.State {
		cause += ": " + r.Cause
	}
	s.in.SetState(metrics.Degraded, cause)
	s.signal.Set(metrics.Degraded, cause)
	switch r.State {
	case drivers.NoDevice.String(), drivers.Frozen.String(), drivers.Failed.String():
		s.device.Set(metrics.Degraded, cause)
	default:
		s.device.Set(metrics.OK, "")
	}
}

// judgeEncoder says whether the encoder keeps up.
func (p *Parent) judgeEncoder(r, before *link.Report) (metrics.State, string) {
	if before != nil && r.Skipped > before.Skipped {
		return metrics.Degraded, fmt.Sprintf("too slow: skipped %d frames, %.0f ms each; use a faster preset", r.Skipped-before.Skipped, r.EncodeMS)
	}
	return metrics.OK, ""
}

// workerGone notes the end of a worker.
func (s *status) workerGone(err error, times int) {
	state := metrics.Degraded
	if times >= 3 {
		state = metrics.Failed
	}
	cause := fmt.Sprintf("worker restarting: %v", err)
	s.encoder.Set(state, cause)
	s.signal.Set(metrics.Degraded, cause)
	s.device.Set(metrics.Degraded, cause)
	s.in.SetState(metrics.Degraded, cause)
	s.reports = nil
}

// run brings the counters of the servers up to date, twice a second.
func (s *status) run(ctx context.Context) error {
	for {
		for _, srv := range s.p.servers {
			st := srv.tee.Stats()
			srv.hop.SetReaders(st.Readers)
			srv.hop.Add(int(st.Sent - srv.sent))
			srv.hop.Drop(int(st.Lapped - srv.gone))
			srv.sent, srv.gone = st.Sent, st.Lapped
		}
		if s.multicast != nil {
			st := s.p.sender.Stats()
			s.multicast.Add(int(st.Bytes - s.datagram.Bytes))
			s.multicast.Drop(int(st.Failed - s.datagram.Failed))
			s.datagram = st
		}
		if err := clock.Sleep(ctx, s.p.clk, 500*time.Millisecond); err != nil {
			return err
		}
	}
}
