package push

import (
	"context"
	"io"
	"time"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/mpegts"
)

// Silence is how long a source may send nothing before it is opened anew.
const Silence = 3 * time.Second

// setBack is how far a timestamp must go back to mean that the clock was, and
// not that a reconnected source repeats its newest GOP.
const setBack = 10 * media.TicksPerSecond

// feed demuxes one source into a backlog. It is the mpegts.Handler of one
// connection after the other.
type feed struct {
	log   *backlog
	meter *metrics.HopCounter
	now   func() time.Time

	needKey bool // of this connection
	begun   bool
	last    [2]int64 // ticks of the newest unit of each track
}

// run reads one connection to its end.
func (f *feed) run(ctx context.Context, open func(context.Context) (io.ReadCloser, error)) error {
	src, err := open(ctx)
	if err != nil {
		return err
	}
	defer src.Close()
	f.needKey = true
	err = mpegts.Demux(counted{src, f.meter}, f)
	if err == nil {
		err = io.EOF
	}
	return err
}

// Video takes a picture of the source.
func (f *feed) Video(u media.Unit) {
	stamp, stamped := h264.FindStamp(u.Data)
	if f.needKey && !u.Key {
		f.meter.Drop(1)
		return
	}
	f.needKey = false
	near := f.last[media.Video]
	switch {
	case stamped:
		near = media.TimeToTicks(stamp.Program)
	case !f.begun:
		near = media.TimeToTicks(f.now().UnixNano())
	}
	at := unit{Unit: u, capture: stamp.Capture}
	at.PTS = media.Unwrap(u.PTS, near)
	at.DTS = media.Unwrap(u.DTS, at.PTS)
	if f.begun && at.DTS <= f.last[media.Video] {
		if f.last[media.Video]-at.DTS < setBack {
			return // a repeated GOP
		}
		if !u.Key {
			f.meter.Drop(1)
			return
		}
		f.log.restart()
		f.last[media.Audio] = 0
	}
	f.begun = true
	f.last[media.Video] = at.DTS
	f.meter.Frame(at.capture)
	f.log.add(at)
}

// Audio takes an AAC frame of the source.
func (f *feed) Audio(u media.Unit) {
	if !f.begun {
		return
	}
	at := media.Unwrap(u.PTS, f.last[media.Video])
	if at <= f.last[media.Audio] {
		return
	}
	f.last[media.Audio] = at
	u.PTS, u.DTS = at, at
	f.log.add(unit{Unit: u})
}

// counted counts what is read.
type counted struct {
	io.Reader
	meter *metrics.HopCounter
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if n > 0 {
		c.meter.Add(n)
		c.meter.SetState(metrics.OK, "")
	}
	return n, err
}
