package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/peers"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/recording"
	"github.com/openvideobox/videobox/internal/run"
	"github.com/openvideobox/videobox/internal/tee"
)

const (
	readSize = 64 << 10
	// A box's stream never stops: when nothing comes for so long, the
	// connection is dead.
	readTimeout    = 3 * time.Second
	statusInterval = 500 * time.Millisecond
	// What came before counts as one outage with what comes next.
	reconnectMin, reconnectMax = 50 * time.Millisecond, time.Second
)

type options struct {
	name, room, role         string
	stream, buffered, status string // host:port
	captureAddr              string // host:port of its status
	recording                recording.Config
	fallback                 string // the directory without such a disk
	diskAt                   string // where a disk for recordings is mounted, if there is one; "": never

	// follow tells the reporter what changes of the box's event; nil: nothing does.
	follow func(context.Context, *metrics.Reporter) error
}

// recorder is the program: a connection, what records it, and the status.
type recorder struct {
	options
	rec      *recording.Recorder
	reporter *metrics.Reporter
	in, file *metrics.HopCounter
	growing  *metrics.LeafState
	disk     *metrics.LeafState
	card     *metrics.LeafState
	capture  *peers.Peers
	trouble  diskErrors
	where    *whereabouts // nil where recordings never move

	connected bool // at least once
	written   uint64
	errors    uint64
	lost      uint64
}

// record records until the context ends.
func record(ctx context.Context, o options) error {
	r := &recorder{options: o, reporter: metrics.New("record", o.name)}
	r.reporter.SetRoom(o.room)
	r.reporter.SetRole(o.role)
	r.in = r.reporter.Hop("in", "in", "tcp", o.stream)
	r.file = r.reporter.Hop("file", "out", "file", o.recording.Dir+"/"+o.name)
	r.growing, r.disk, r.card = r.reporter.Leaf("recorder growing"), r.reporter.Leaf("disk space"), r.reporter.Leaf("disk")
	r.trouble.names = namesOf("/sys", o.recording.Dir)
	r.capture = peers.New(map[string]string{"capture": o.captureAddr})
	o.recording.OnFrame = func(s h264.Stamp) {
		r.in.Frame(s.Capture)
		r.file.Frame(s.Capture)
	}
	if o.diskAt != "" {
		r.where = &whereabouts{file: filepath.Join(filepath.Dir(o.diskAt), "recorded.json")}
		o.recording.Elsewhere = r.where.before(o.recording.Dir, o.diskAt)
	}
	var err error
	if r.rec, err = recording.New(o.recording); err != nil {
		return err
	}
	r.reporter.SetDetail(func() any { return r.detail() })
	g := run.NewGroup(ctx)
	g.Go("", func(ctx context.Context) error { return run.ServeHTTP(ctx, o.status, r.handler()) })
	g.Go("status", r.watch)
	g.Go("disk errors", func(ctx context.Context) error { return r.trouble.run(ctx, kernelLog) })
	g.Go("capture's measurements", func(ctx context.Context) error { return r.capture.Run(ctx, r.observe) })
	if o.diskAt != "" {
		g.Go("", func(ctx context.Context) error { return watchDisk(ctx, clock.System, o.diskAt, o.fallback) })
	}
	if o.follow != nil {
		g.Go("", func(ctx context.Context) error { return o.follow(ctx, r.reporter) })
	}
	g.Go("stream", func(ctx context.Context) error {
		b := run.Backoff{Min: reconnectMin, Max: reconnectMax}
		return run.Restart(ctx, "stream "+o.stream, b, r.read)
	})
	err = g.Wait()
	return errors.Join(err, r.rec.Close())
}

// read records one connection.
func (r *recorder) read(ctx context.Context) error {
	addr := r.stream
	// From half the ring back, so that what was sent while record was away, or
	// moved to another disk, isn't lost.
	if r.connected || r.rec.Resuming() || r.diskAt != "" {
		addr = r.buffered
	}
	src, err := tee.Open(ctx, "tcp://"+addr, tee.OpenOptions{ReadTimeout: readTimeout})
	if err != nil {
		r.in.SetState(metrics.Failed, err.Error())
		return err
	}
	defer src.Close()
	if r.connected {
		r.rec.Rejoin("the connection to the stream was lost")
	}
	r.connected = true
	r.in.SetAddress(addr)
	r.in.SetState(metrics.OK, "")
	err = r.copy(src)
	if ctx.Err() == nil {
		r.in.SetState(metrics.Failed, err.Error())
	}
	return err
}

func (r *recorder) copy(src io.Reader) error {
	buf := make([]byte, readSize)
	for {
		n, err := src.Read(buf)
		r.in.Add(n)
		if _, werr := r.rec.Write(buf[:n]); werr != nil {
			return werr
		}
		if err == io.EOF {
			return errors.New("the stream ended")
		}
		if err != nil {
			return fmt.Errorf("reading the stream: %w", err)
		}
	}
}

// watch brings what the recorder says into the status.
func (r *recorder) watch(ctx context.Context) error {
	tick := time.NewTicker(statusInterval)
	defer tick.Stop()
	for {
		r.update(r.rec.Status())
		if r.where != nil {
			if err := r.where.note(r.rec); err != nil {
				slog.Warn("where recordings are is not noted", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (r *recorder) update(s recording.Status) {
	r.file.Add(int(s.Bytes - r.written))
	r.in.ContinuityError(int(s.ContinuityErrors - r.errors))
	r.file.Drop(int((s.LostBytes - r.lost) / 188))
	r.written, r.errors, r.lost = s.Bytes, s.ContinuityErrors, s.LostBytes
	r.file.SetState(metrics.State(s.State), s.Cause)
	r.growing.Set(metrics.State(s.State), s.Cause)
	r.disk.Set(diskState(s))
	r.card.Set(r.cardState(s))
}

// detail is record's own part of its status.
type detail struct {
	recording.Status
	Kernel kernelErrors `json:"kernel_disk_errors"`
	Wear   *wear        `json:"wear,omitempty"` // null: the device doesn't tell
}

func (r *recorder) detail() detail {
	s := r.rec.Status()
	return detail{s, r.trouble.status(), wearOf("/sys", s.Dir)}
}

// remembered is for how long the kernel's complaint about a disk is shown.
const remembered = 10 * time.Minute

// cardState is how far the disk itself can be trusted.
func (r *recorder) cardState(s recording.Status) (metrics.State, string) {
	k := r.trouble.status()
	switch worn := wearOf("/sys", s.Dir).worn(); {
	case s.ReadBack != nil && s.ReadBack.Error != "":
		return metrics.Failed, s.ReadBack.File + ": " + s.ReadBack.Error
	case k.Count > 0 && time.Since(k.At) < remembered:
		return metrics.Degraded, fmt.Sprintf("the kernel reports errors (%d so far): %s", k.Count, k.Last)
	case worn != "":
		return metrics.Degraded, worn
	}
	return metrics.OK, ""
}

// howToFree says what a person can do.
const howToFree = "; copy recordings and acknowledge them, then they go by themselves"

// diskState warns before the disk is full: at 20 % of it, and at 5 %. What
// acknowledged files hold counts as free, since it will be.
func diskState(s recording.Status) (metrics.State, string) {
	if s.TotalBytes == 0 {
		return metrics.Starting, "not measured yet"
	}
	free := 100 * float64(s.FreeBytes+s.ReleasableBytes) / float64(s.TotalBytes)
	switch cause := fmt.Sprintf("%.0f %% of the disk is free, %.1f hours", free, s.HoursLeft); {
	case s.HoursLeft == 0:
		return metrics.Failed, "full: " + cause + howToFree
	case free < 5:
		return metrics.Degraded, "nearly full: " + cause + howToFree
	case free < 20:
		return metrics.Degraded, cause + howToFree
	}
	return metrics.OK, ""
}
