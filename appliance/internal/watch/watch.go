// Package watch reads a box's own stream as any TCP reader gets it and keeps
// the newest keyframe and stamp, so that what a page or a screen shows proves
// what is sent.
package watch

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/peers"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/run"
	"github.com/openvideobox/videobox/internal/tee"
)

// readTimeout ends a connection that brings nothing: a box's stream never
// stops.
const readTimeout = 3 * time.Second

// Watcher follows one stream. Its methods may be called from any goroutine.
type Watcher struct {
	addr string
	hop  *metrics.HopCounter
	keys chan struct{}

	mu  sync.Mutex
	now Newest
	pts int64 // of its newest frame
}

// Newest is what the stream brought last.
type Newest struct {
	Stamp    h264.Stamp
	Stamped  bool
	Frame    time.Time // when the newest frame came; zero before the first
	Keyframe []byte    // newest access unit that decodes alone; not to be changed
	KeyTime  time.Time // when it came
	KeyStamp h264.Stamp
}

// patience is for how long the grid may repeat a picture before it stands:
// capture's, which shows a slate then. A source that is slower than the grid has
// one repeated now and then.
const patience = 250 * time.Millisecond

// Stands says whether the newest frame is one from longer ago, shown again.
func (n Newest) Stands() bool {
	return n.again() && n.Stamp.Program-n.Stamp.Capture > int64(patience)
}

func (n Newest) again() bool { return n.Stamped && n.Stamp.Flags&h264.Repeated != 0 }

// New returns a watcher of the stream at host:port, which counts on the hop.
func New(addr string, hop *metrics.HopCounter) *Watcher {
	return &Watcher{addr: addr, hop: hop, keys: make(chan struct{}, 1)}
}

// Keys gets something soon after each keyframe, for one who waits for it.
func (w *Watcher) Keys() <-chan struct{} { return w.keys }

// Run reads until the context ends, and connects again when the stream breaks.
func (w *Watcher) Run(ctx context.Context) error {
	b := run.Backoff{Min: 100 * time.Millisecond, Max: time.Second}
	return run.Restart(ctx, "stream "+w.addr, b, func(ctx context.Context) error {
		err := w.read(ctx)
		if ctx.Err() == nil {
			w.hop.SetState(metrics.Failed, "the box's stream cannot be read: "+peers.Short(err))
		}
		return err
	})
}

func (w *Watcher) read(ctx context.Context) error {
	src, err := tee.Open(ctx, "tcp://"+w.addr, tee.OpenOptions{ReadTimeout: readTimeout})
	if err != nil {
		return err
	}
	defer src.Close()
	w.hop.SetState(metrics.OK, "")
	if err := mpegts.Demux(counted{src, w.hop}, w); err != nil {
		return err
	}
	return errors.New("the stream ended")
}

type counted struct {
	r   io.Reader
	hop *metrics.HopCounter
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.hop.Add(n)
	return n, err
}

// Video takes an access unit of the stream.
func (w *Watcher) Video(u media.Unit) {
	stamp, stamped := h264.FindStamp(u.Data)
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.repeated(u.PTS, stamp, stamped) {
		return
	}
	w.now.Stamp, w.now.Stamped, w.now.Frame = stamp, stamped, now
	if w.now.again() && !w.now.Stands() {
		w.hop.Again()
	} else {
		w.hop.Frame(stamp.Capture)
	}
	w.pts = u.PTS
	if u.Key {
		w.now.Keyframe, w.now.KeyTime, w.now.KeyStamp = u.Data, now, stamp
		select {
		case w.keys <- struct{}{}:
		default:
		}
	}
}

// maxRepeat is more than a ring holds.
const maxRepeat = 60 * media.TicksPerSecond

// repeated says whether a frame has been here before: a new connection to a
// stream that stands still gets the last second of it again, which must not
// count as life.
func (w *Watcher) repeated(pts int64, s h264.Stamp, stamped bool) bool {
	if w.now.Frame.IsZero() || stamped != w.now.Stamped {
		return false
	}
	back := (w.pts - pts) << 31 >> 31 // 33 bits with sign
	if stamped && s.Epoch != w.now.Stamp.Epoch {
		return false
	}
	return back >= 0 && back < maxRepeat
}

// Audio passes over the sound.
func (w *Watcher) Audio(media.Unit) {}

// Newest is what the stream brought last.
func (w *Watcher) Newest() Newest {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}
