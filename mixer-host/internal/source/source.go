// Package source turns a box's or a camera's MPEG-TS into decoded pictures and
// sound on UTC, whatever its size and rate, and keeps trying when there is none.
//
// The transport stream is read here, so that noise never reaches the decoder;
// the access units go to an ffmpeg child as FLV and come back as Matroska with
// raw pictures and PCM. Program and capture time come from the stamp in each
// access unit; a stream without stamps is placed by its arrival.
//
// Tested with streams of internal/program and of ffmpeg 5.1, by TCP and
// multicast, with noise, and with children that die or stall.
package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/run"
	"github.com/openvideobox/videobox/internal/tee"
)

// Options are what a source is told.
type Options struct {
	Role      string // "camera", "slides"
	Name      string // the box's name, or the URL
	URL       string
	Interface string // for multicast
	FFmpeg    string // "": from PATH
	Clock     clock.Clock
	Log       *slog.Logger
	Hop       *metrics.HopCounter
	Leaf      *metrics.LeafState // of the decoder
	// Open opens the URL; nil: tee.Open.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// silence is how long a connection may bring nothing before it is given up.
const silence = 3 * time.Second

// Source is one input of a mixer.
type Source struct {
	o      Options
	frames frames
	sound  sound

	mu       sync.Mutex
	phase    Phase
	cause    string
	since    time.Time
	decoded  time.Time // when a picture came last
	lastTap  *tap
	restarts uint64 // of the decoder
	overrun  uint64 // units dropped because the decoder was too slow
}

// Phase is how far a source has come.
type Phase string

// The phases of a source.
const (
	Connecting Phase = "connecting"
	NoData     Phase = "no data"
	NoPicture  Phase = "no picture"
	Starting   Phase = "starting"
	Decoding   Phase = "decoding"
)

// State is how a source is.
type State struct {
	Phase   Phase
	Cause   string // in words, for people; "" while decoding
	Since   time.Time
	Decoded time.Time // when a picture came last; zero: never
}

// New makes a source. Run makes it work.
func New(o Options) *Source {
	if o.Clock == nil {
		o.Clock = clock.System
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.FFmpeg == "" {
		o.FFmpeg = "ffmpeg"
	}
	if o.Open == nil {
		o.Open = func(ctx context.Context) (io.ReadCloser, error) {
			return tee.Open(ctx, o.URL, tee.OpenOptions{Interface: o.Interface, DialTimeout: silence, ReadTimeout: silence})
		}
	}
	s := &Source{o: o}
	s.set(Connecting, "connecting to "+s.place())
	return s
}

// Role is "camera" or "slides".
func (s *Source) Role() string { return s.o.Role }

// Name names the source to people: "camera box1".
func (s *Source) Name() string {
	if s.o.Name == "" || s.o.Name == s.o.URL {
		return s.o.Role
	}
	return s.o.Role + " " + s.o.Name
}

// Address is the URL that it reads.
func (s *Source) Address() string { return s.o.URL }

// Frame is the newest picture whose program time is not after t, nil when there
// was none yet. It is valid until the next call.
func (s *Source) Frame(t int64) *Frame { return s.frames.at(t) }

// Sound fills dst with the samples from number pos on, and says whether all of
// them were there.
func (s *Source) Sound(pos int64, dst []int16) bool { return s.sound.at(pos, dst) }

// Stats is what a source has counted.
type Stats struct {
	Frames   FrameStats
	Sound    SoundStats
	Restarts uint64 // of the decoder
	Overrun  uint64 // access units dropped because the decoder was too slow
	Strays   uint64 // bytes on the present connection that are no MPEG-TS
}

// Stats may be called at any time.
func (s *Source) Stats() Stats {
	st := Stats{Frames: s.frames.snapshot(), Sound: s.sound.snapshot()}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Restarts, st.Overrun = s.restarts, s.overrun
	if s.lastTap != nil {
		_, st.Strays = s.lastTap.seen()
	}
	return st
}

// fresh is how old the newest decoded picture of a working source is at most.
const fresh = time.Second

// manyStrays is how many bytes outside packets make a stream without a picture
// something else than MPEG-TS: more than a receiver has to skip at the start.
const manyStrays = 64 << 10

// State may be called at any time.
func (s *Source) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := State{Phase: s.phase, Cause: s.cause, Since: s.since, Decoded: s.decoded}
	if s.phase == NoData {
		if _, strays := s.lastTap.seen(); strays > manyStrays {
			st.Cause = "what " + s.place() + " sends is no MPEG-TS"
		}
	}
	if s.phase != Decoding {
		return st
	}
	if age := time.Since(s.decoded); age > fresh {
		st.Phase, st.Cause, st.Since = NoPicture, "no picture decoded from "+s.place(), s.decoded
		if at, _ := s.lastTap.seen(); time.Since(at) > fresh {
			st.Phase, st.Cause = NoData, "no data from "+s.place()
		}
	}
	return st
}

// sawFrame notes that a picture has been decoded.
func (s *Source) sawFrame() {
	s.set(Decoding, "")
	s.o.Leaf.Set(metrics.OK, "")
	s.mu.Lock()
	s.decoded = time.Now()
	s.mu.Unlock()
}

func (s *Source) set(p Phase, cause string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == p && s.cause == cause {
		return
	}
	s.phase, s.cause, s.since = p, cause, time.Now()
}

// place is the URL's host and port, as people call it.
func (s *Source) place() string {
	if u, err := url.Parse(s.o.URL); err == nil && u.Host != "" {
		return u.Host
	}
	return s.o.URL
}

// Run receives and decodes until the context ends, whose error it returns.
func (s *Source) Run(ctx context.Context) error {
	b := run.Backoff{Min: 200 * time.Millisecond, Max: time.Second, Good: 3 * time.Second, Clock: s.o.Clock, Log: s.o.Log}
	return run.Restart(ctx, s.Name(), b, s.connect)
}

// connect is one connection, from opening it to its end.
func (s *Source) connect(ctx context.Context) error {
	rc, err := s.o.Open(ctx)
	if err != nil {
		s.lost("no connection to "+s.place(), err)
		return err
	}
	defer rc.Close()
	t := newTap(rc, s.o.Hop)
	s.mu.Lock()
	s.lastTap = t
	s.mu.Unlock()
	if s.State().Phase != NoData { // else the cause of before is still true
		s.set(NoData, "waiting for data from "+s.place())
	}
	g := run.NewGroup(ctx)
	c := &connection{source: s, units: make(chan unit, maxUnits)}
	g.Go("", func(context.Context) error {
		defer close(c.units)
		return c.demux(t)
	})
	g.Go("", func(ctx context.Context) error {
		defer rc.Close() // ends demux, should decode end first
		return c.decode(ctx)
	})
	err = g.Wait()
	if err == nil {
		err = fmt.Errorf("%s ended the stream", s.place())
	}
	s.lost("lost "+s.place(), err)
	return err
}

// lost says that there is no connection, and why, in few words.
func (s *Source) lost(what string, err error) {
	var errno syscall.Errno
	var timeout interface{ Timeout() bool }
	phase := Connecting
	switch {
	case errors.As(err, &errno):
		what += " (" + errno.Error() + ")"
	case errors.Is(err, os.ErrDeadlineExceeded) && s.connected():
		phase, what = NoData, fmt.Sprintf("no data from %s for %v", s.place(), silence)
	case errors.As(err, &timeout) && timeout.Timeout():
		what += " (no answer)"
	default:
		what += " (" + err.Error() + ")"
	}
	s.set(phase, what+", retrying")
	s.o.Hop.SetState(metrics.Failed, what)
}

func (s *Source) connected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase != Connecting
}
