package program

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/mpegts"
)

// Patience is how long after its time a frame may come before the slate takes
// its place. Encoding a frame takes a tenth of it.
const Patience = 400 * time.Millisecond

// maxFill bounds what is made up after a standstill of the whole process:
// beyond it the stream jumps, marked as a discontinuity.
const maxFill = 10 * time.Second

// wary is for how long after a step of the clock pictures and sounds may come
// that were numbered before it.
const wary = 10 * time.Second

// Options are what a Stream may be told.
type Options struct {
	Clock   clock.Clock      // nil: the system's
	Synced  func() bool      // whether UTC is in sync; nil: it is
	Frame   func(h264.Stamp) // called for every frame sent, from within Picture, Sound and Run
	NeedKey func()           // called when pictures must be dropped until an IDR comes
}

// Stats counts what a stream has sent.
type Stats struct {
	Frames  uint64 // pictures sent, live and slate
	Slates  uint64 // of them from the slate
	Skipped uint64 // grid frames that nobody encoded: overload
	Late    uint64 // pictures that came when their frame had been sent, or waited for an IDR
	Silent  uint64 // AAC frames of silence put where none came
	Jumps   uint64 // discontinuities: the clock was set, or the process stood still
}

// Stream writes pictures and sounds in the order of the grid into one
// transport stream, each frame number once. It is safe for concurrent use.
type Stream struct {
	cfg Config
	o   Options

	mu      sync.Mutex
	mux     *mpegts.Muxer
	epoch   uint32
	started bool
	next    int64 // frame number to send next
	sound   int64 // AAC frame to send next
	slate   *Slate
	pos     int  // in the slate's second; -1: not in the slate
	wantKey bool // pictures are dropped until an IDR
	absent  bool // the encoder is known to be away: no patience
	idrID   uint32
	buf     []byte
	stats   Stats
	steps   *clock.Steps
	set     int64 // when the clock was set last, by clock.Elapsed; 0: never

	wake chan struct{} // of capacity 1: the encoder has gone
}

// NewStream writes to w, whole packets a call. Errors of w are returned by
// Picture and Sound, and end Run.
func NewStream(c Config, w io.Writer, o Options) *Stream {
	if o.Clock == nil {
		o.Clock = clock.System
	}
	s := &Stream{cfg: c, o: o, pos: -1, epoch: c.Epoch(), idrID: ^uint32(0), wake: make(chan struct{}, 1)}
	s.steps = clock.NewSteps(o.Clock)
	// A restarted program goes on in PTS but not in its counters: the
	// indicator on the first packets tells receivers of multicast so.
	s.mux = mpegts.NewMuxer(w, mpegts.Options{Discontinuity: true})
	return s
}

// Stats is a snapshot.
func (s *Stream) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// SetSlate sets what is looped while no pictures come. A new slate is shown
// from the next frame on.
func (s *Stream) SetSlate(slate *Slate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slate = slate
	if s.pos >= 0 {
		s.pos = 0
	}
}

// SetAbsent says that the encoder is gone, so that the slate comes at once
// instead of after Patience, or that it is there.
func (s *Stream) SetAbsent(absent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.absent = absent
	if absent {
		s.wantKey = true
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// Picture sends p. Frames before it that were left out count as skipped, or,
// while the slate is on, are filled with it. Late pictures are dropped.
func (s *Stream) Picture(p Picture) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lookAtClock()
	if !s.started {
		s.begin(p.Frame)
	}
	if p.Frame < s.next || s.ahead(media.FrameTime(p.Frame, s.cfg.Rate)) || (s.wantKey && !p.Key) {
		s.late()
		return nil
	}
	if err := s.fillTo(p.Frame); err != nil {
		return err
	}
	if s.wantKey && !p.Key { // it has jumped
		s.late()
		return nil
	}
	s.wantKey, s.pos = false, -1
	return s.write(p)
}

// late counts a dropped picture; what follows it can't be decoded.
func (s *Stream) late() {
	s.stats.Late++
	if !s.wantKey {
		s.wantKey = true
	}
	if s.o.NeedKey != nil {
		s.o.NeedKey()
	}
}

// begin starts the grid at frame n.
func (s *Stream) begin(n int64) {
	s.started, s.next = true, n
	s.sound = media.AACAt(media.FrameTime(n, s.cfg.Rate))
}

// fillTo makes n the next frame.
func (s *Stream) fillTo(n int64) error {
	if n-s.next > int64(maxFill/time.Second)*int64(s.cfg.Rate) {
		s.jumpTo(n)
		return nil
	}
	for s.next < n {
		if s.slate != nil && (s.pos >= 0 || s.wantKey) { // what follows is an IDR
			s.pos = max(s.pos, 0)
			if err := s.writeSlate(); err != nil {
				return err
			}
			continue
		}
		if err := s.mux.WritePCR(media.FrameTicks(s.next, s.cfg.Rate)); err != nil {
			return err
		}
		s.stats.Skipped++
		s.next++
	}
	return nil
}

// jumpTo goes on at frame n, after or before the present one: a new epoch, which
// starts with an IDR.
func (s *Stream) jumpTo(n int64) {
	s.stats.Jumps++
	s.epoch++
	s.mux.Discontinuity()
	s.begin(n)
	s.wantKey, s.pos = true, -1
	if s.o.NeedKey != nil {
		s.o.NeedKey()
	}
}

// lookAtClock moves the grid along when the clock has been set, however little
// and in whichever direction: PTS is UTC.
func (s *Stream) lookAtClock() {
	d := s.steps.Look()
	if d == 0 {
		return
	}
	s.set = max(clock.Elapsed(s.o.Clock), 1)
	if s.started {
		s.jumpTo(media.FrameAt(media.FrameTime(s.next, s.cfg.Rate)+int64(d), s.cfg.Rate) + 1)
	}
}

// ahead says whether t, of a picture or a sound, is of the time before the clock
// was set back: nothing comes before its time.
func (s *Stream) ahead(t int64) bool {
	if s.set == 0 || clock.Elapsed(s.o.Clock)-s.set > int64(wary) {
		return false
	}
	return t > s.o.Clock.Now()+2*int64(time.Second)/int64(s.cfg.Rate)
}

func (s *Stream) writeSlate() error {
	if s.pos >= len(s.slate.Pictures) || s.next%int64(s.cfg.Rate) == 0 {
		s.pos = 0
	}
	p := Picture{Frame: s.next, Flags: h264.Slate | h264.Repeated, Key: s.pos == 0, Data: s.slate.Pictures[s.pos]}
	s.pos++
	s.wantKey = true
	s.stats.Slates++
	return s.write(p)
}

// write stamps and sends p, whose frame number is s.next.
func (s *Stream) write(p Picture) error {
	data := p.Data
	if p.Key {
		data = s.distinct(data)
	}
	if s.o.Synced == nil || s.o.Synced() {
		p.Flags |= h264.Synced
	}
	st := h264.Stamp{
		Flags: p.Flags, Epoch: s.epoch, Frame: uint64(p.Frame),
		Program: media.FrameTime(p.Frame, s.cfg.Rate), Capture: p.Capture,
	}
	s.buf = h264.InsertStamp(s.buf[:0], data, st)
	ticks := media.FrameTicks(p.Frame, s.cfg.Rate)
	s.next = p.Frame + 1
	s.stats.Frames++
	err := s.mux.WriteVideo(media.Unit{Track: media.Video, PTS: ticks, DTS: ticks, Key: p.Key, Data: s.buf})
	if s.o.Frame != nil {
		s.o.Frame(st)
	}
	return err
}

// distinct gives an IDR an idr_pic_id other than the IDR's before it, which
// ISO/IEC 14496-10 7.4.3 asks for and two encoders can't know of each other.
func (s *Stream) distinct(au []byte) []byte {
	id, err := h264.IDRPicID(au)
	if err != nil {
		return au
	}
	if id == s.idrID {
		id ^= 1
		if out, err := h264.SetIDRPicID(nil, au, id); err == nil {
			au = out
		}
	}
	s.idrID = id
	return au
}

// Sound sends a. Frames missing before it become silence; late ones are dropped.
func (s *Stream) Sound(a Sound) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lookAtClock()
	if !s.started || a.Index < s.sound || s.ahead(media.SampleTime(a.Index*media.SamplesPerAAC)) {
		return nil
	}
	if a.Index-s.sound > int64(maxFill/time.Second)*media.SampleRate/media.SamplesPerAAC {
		return nil // its picture will make the jump
	}
	for s.sound < a.Index {
		if err := s.writeSilence(); err != nil {
			return err
		}
	}
	return s.writeSound(a.Data)
}

func (s *Stream) writeSilence() error {
	if s.slate == nil {
		s.sound++
		return nil
	}
	s.stats.Silent++
	return s.writeSound(s.slate.Silence)
}

func (s *Stream) writeSound(data []byte) error {
	ticks := media.AACTicks(s.sound)
	s.sound++
	return s.mux.HoldAudio(media.Unit{Track: media.Audio, PTS: ticks, DTS: ticks, Data: data})
}

// Run fills frames that don't come with the slate until ctx ends.
func (s *Stream) Run(ctx context.Context) error {
	for {
		wait, err := s.fill()
		if err != nil {
			return err
		}
		due, stop := s.o.Clock.After(s.o.Clock.Now() + int64(wait))
		select {
		case <-due:
		case <-s.wake:
		case <-ctx.Done():
			err = ctx.Err()
		}
		stop()
		if err != nil {
			return err
		}
	}
}

// fill sends what is overdue, by the clock as it is after a step.
func (s *Stream) fill() (time.Duration, error) {
	s.mu.Lock()
	s.lookAtClock()
	now := s.o.Clock.Now()
	s.mu.Unlock()
	return s.fillDue(now)
}

// fillDue sends slate and silence for what is overdue at now, and says how
// long nothing more can be.
func (s *Stream) fillDue(now int64) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	frame := time.Second / time.Duration(s.cfg.Rate)
	if s.slate == nil {
		return frame, nil
	}
	patience := int64(Patience)
	if s.absent {
		patience = int64(frame)
	}
	if !s.started {
		if !s.absent {
			return frame, nil
		}
		s.begin(media.FrameAt(now, s.cfg.Rate))
	}
	due := media.FrameAt(now-patience, s.cfg.Rate) // the last frame that is overdue
	if due-s.next > int64(maxFill/time.Second)*int64(s.cfg.Rate) {
		s.jumpTo(due)
	}
	for s.next <= due {
		if s.pos < 0 {
			s.pos = 0
		}
		if err := s.writeSlate(); err != nil {
			return 0, err
		}
	}
	if err := s.fillSilence(now - patience); err != nil {
		return 0, err
	}
	return max(time.Millisecond, time.Duration(media.FrameTime(s.next, s.cfg.Rate)+patience-now)), nil
}

// fillSilence makes up sound that should have been there at time due, but for
// the two AAC frames that an encoder holds back.
func (s *Stream) fillSilence(due int64) error {
	for last := media.AACAt(due) - 3; s.sound <= last; {
		if err := s.writeSilence(); err != nil {
			return err
		}
	}
	return nil
}
