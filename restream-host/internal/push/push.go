// Package push sends the streams of an event to its origins by RTMP: each
// stream from its multicast group (or TCP) to every origin, each pair for
// itself.
//
// Between a source and its senders lies a backlog of six seconds. An origin
// that stalls loses whole GOPs and delays nobody else. One that was restarted
// gets the backlog again from its oldest keyframe, so that the segment it was
// building when it died becomes whole; an origin that had those units already
// ignores them. RTMP time is program time since the first picture sent, in ms.
//
// Tested against the project's own origin, with origins that stall, refuse and
// vanish, and with timestamps that wrap (33 bits in MPEG-TS, 32 in RTMP).
package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"time"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/run"
	"github.com/openvideobox/videobox/restream-host/internal/rtmp"
)

// Defaults of Config.
const (
	defaultBacklog = 6 * time.Second
	defaultTimeout = 2 * time.Second
	backlogBytes   = 32 << 20 // 6 s of 40 Mbit/s
)

// Stream is one stream to push.
type Stream struct {
	Name string
	Open func(context.Context) (io.ReadCloser, error)
	In   *metrics.HopCounter
	Out  []Target
}

// Target is one origin of a stream.
type Target struct {
	Name  string
	URL   string // rtmp://host/stream/NAME?key=SECRET
	Meter *metrics.HopCounter
}

// Config is what Run does.
type Config struct {
	Streams []Stream
	Backlog time.Duration    // 0: 6 s
	Timeout time.Duration    // of a handshake and of each write; 0: 2 s
	Now     func() time.Time // nil: time.Now
	Log     *slog.Logger     // nil: slog.Default
	first   int64            // RTMP time of the first picture, ms; for tests of the wrap
}

var errStopped = errors.New("the origin ended the connection")

// Run pushes until ctx ends.
func Run(ctx context.Context, c Config) error {
	if c.Backlog == 0 {
		c.Backlog = defaultBacklog
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	g := run.NewGroup(ctx)
	for _, s := range c.Streams {
		c.start(g, s)
	}
	return g.Wait()
}

func (c Config) start(g *run.Group, s Stream) {
	span := media.TimeToTicks(int64(c.Backlog))
	b := newBacklog(span, backlogBytes)
	f := &feed{log: b, meter: s.In, now: c.Now}
	backoff := run.Backoff{Min: 100 * time.Millisecond, Max: time.Second, Good: 5 * time.Second, Log: c.Log}
	in := backoff
	in.OnRestart = func(_ uint64, cause error) { s.In.SetState(metrics.Failed, cause.Error()) }
	g.Go("", func(ctx context.Context) error {
		return run.Restart(ctx, s.Name, in, func(ctx context.Context) error { return f.run(ctx, s.Open) })
	})
	for _, t := range s.Out {
		out := backoff
		out.OnRestart = func(_ uint64, cause error) { t.Meter.SetState(metrics.Failed, cause.Error()) }
		snd := &sender{Config: c, target: t, log: b}
		g.Go("", func(ctx context.Context) error {
			return run.Restart(ctx, s.Name+" to "+t.Name, out, snd.run)
		})
	}
}

// sender publishes a backlog to one origin.
type sender struct {
	Config
	target Target
	log    *backlog
}

// run is one connection: it waits for a keyframe, connects, and sends until
// something fails.
func (s *sender) run(ctx context.Context) error {
	at := s.log.oldest()
	if _, _, err := s.log.read(ctx, &at, nil); err != nil {
		return err
	}
	conn, err := rtmp.Dial(ctx, s.target.URL, s.Timeout)
	if err != nil {
		return hideKey(err, s.target.URL)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, conn.Abort)()
	at = s.log.oldest() // the newest view of what there is
	err = s.send(ctx, conn, &at)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errStopped) && conn.Err() != nil:
		return fmt.Errorf("%w: %w", errStopped, conn.Err())
	}
	return err
}

func (s *sender) send(ctx context.Context, conn *rtmp.Client, at *cursor) error {
	var out *timeline
	var sent uint64
	for {
		u, dropped, err := s.log.read(ctx, at, conn.Done())
		s.target.Meter.Drop(int(dropped))
		if err != nil {
			return err
		}
		if out == nil {
			if !u.Key {
				continue
			}
			if err := conn.Start(h264.ParameterSets(u.Data)); err != nil {
				return err
			}
			out = &timeline{base: u.DTS, first: s.first}
			s.target.Meter.SetState(metrics.OK, "")
		}
		if err := out.write(conn, u); err != nil {
			return err
		}
		if u.Track == media.Video {
			s.target.Meter.Frame(u.capture)
		}
		s.target.Meter.Add(int(conn.Sent() - sent))
		sent = conn.Sent()
	}
}

// timeline makes RTMP's ms of ticks.
type timeline struct {
	base  int64 // ticks of the first picture
	first int64 // its ms
}

func (t *timeline) ms(ticks int64) int64 {
	const perMS = media.TicksPerSecond / 1000
	return t.first + (ticks-t.base+perMS/2)/perMS
}

func (t *timeline) write(conn *rtmp.Client, u unit) error {
	if u.DTS < t.base {
		return nil // sound from before the first picture
	}
	if u.Track == media.Audio {
		return conn.Audio(t.ms(u.DTS), u.Data)
	}
	dts := t.ms(u.DTS)
	return conn.Video(dts, int32(t.ms(u.PTS)-dts), u.Key, u.Data)
}

// hideKey keeps the publish key out of the log.
func hideKey(err error, raw string) error {
	if u, perr := url.Parse(raw); perr == nil && u.RawQuery != "" {
		u.RawQuery = ""
		return fmt.Errorf("%s: %w", u, err)
	}
	return err
}
