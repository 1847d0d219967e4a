// Package dump records every stream of an event to disk as it is: boxes and
// mixes, each for itself, connecting again for ever.
package dump

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/recording"
	"github.com/openvideobox/videobox/internal/run"
	"github.com/openvideobox/videobox/internal/tee"
)

const (
	recordingLength = 30 * time.Minute
	silence         = 3 * time.Second // a source may send nothing, then it is opened anew
	dialTime        = 2 * time.Second
	readSize        = 64 << 10
	judgeEvery      = time.Second
)

// Run records every stream of the event until ctx ends. reporter gets two hops
// a stream: what comes in, and the file.
func Run(ctx context.Context, e *event.Event, d event.Dumper, reporter *metrics.Reporter, log *slog.Logger) error {
	if d.Dir == "" {
		return fmt.Errorf("%s: dumper %s has no dir; it says where recordings go", e.Path, d.Name)
	}
	g := run.NewGroup(ctx)
	for _, s := range e.Streams() {
		rec, err := recording.New(recording.Config{
			Dir: d.Dir, Name: s.Name, Segment: recordingLength, Policy: recording.Policy{KeepFree: uint64(d.KeepFree)},
			Bitrate: e.Video.Bitrate + e.Audio.Bitrate, Log: log,
		})
		if err != nil {
			g.Stop()
			return err
		}
		st := newStream(s, rec, reporter)
		g.Go("", func(ctx context.Context) error { return st.run(ctx, log) })
		g.Go("", st.judge)
	}
	return g.Wait()
}

// stream is one recording.
type stream struct {
	event.Stream
	rec      *recording.Recorder
	in, file *metrics.HopCounter
}

func newStream(s event.Stream, rec *recording.Recorder, reporter *metrics.Reporter) *stream {
	kind, _, _ := strings.Cut(s.URL, "://")
	st := &stream{Stream: s, rec: rec}
	st.in = reporter.Hop(s.Name, "in", kind, s.URL)
	st.file = reporter.Hop(s.Name+" file", "out", "file", rec.Status().Dir)
	st.file.SetStall(0, metrics.OK) // the recorder judges by itself
	return st
}

func (s *stream) run(ctx context.Context, log *slog.Logger) error {
	defer func() {
		if err := s.rec.Close(); err != nil {
			log.Warn("dump: recording", "stream", s.Name, "error", err)
		}
	}()
	b := run.Backoff{Min: 200 * time.Millisecond, Max: 2 * time.Second, Good: 5 * time.Second, Log: log}
	b.OnRestart = func(_ uint64, cause error) {
		s.in.SetState(metrics.Failed, cause.Error())
		s.rec.Rejoin(cause.Error())
	}
	return run.Restart(ctx, s.Name, b, s.connection)
}

// connection records one connection to its end.
func (s *stream) connection(ctx context.Context) error {
	src, err := tee.Open(ctx, s.URL, tee.OpenOptions{Interface: s.Interface, DialTimeout: dialTime, ReadTimeout: silence})
	if err != nil {
		return err
	}
	defer src.Close()
	buf := make([]byte, readSize)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			s.took(buf[:n])
		}
		if err != nil {
			return err
		}
	}
}

func (s *stream) took(p []byte) {
	s.in.Add(len(p))
	s.in.SetState(metrics.OK, "")
	if stamp, ok := mpegts.FirstStamp(p); ok {
		s.in.Frame(stamp.Capture)
	}
	n, _ := s.rec.Write(p) // fails only after Close
	s.file.Add(n)
}

// judge brings the recorder's own words to the hop of its file.
func (s *stream) judge(ctx context.Context) error {
	for {
		st := s.rec.Status()
		s.file.SetState(metrics.State(st.State), st.Cause)
		if err := clock.Sleep(ctx, clock.System, judgeEvery); err != nil {
			return err
		}
	}
}
