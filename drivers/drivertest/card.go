package drivertest

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/drivers/v4l2"
)

// Card is a fake HDMI capture card, /dev/video0, which tells about its signal.
// The answer of each ioctl is a field, to be changed by Do; like vivid it goes on
// streaming whatever the signal does.
type Card struct {
	now func() (utc, monotonic int64)

	mu      sync.Mutex
	state   CardState
	streams []*cardStream
	inputs  []*cardInput
}

// CardState is what a card answers, and what was done to it.
type CardState struct {
	Signal  func() (v4l2.Timings, error) // of each VIDIOC_QUERY_DV_TIMINGS
	Set     v4l2.Timings
	SetErr  error
	Status  uint32
	NoPower bool // no 5 V on the cable
	EDID    []byte
	EDIDErr error                    // of writing it
	NoEDID  error                    // of reading it
	Keeps   func(edid []byte) []byte // what it makes of one that is written; nil: that
	Pixels  []string
	Gone    bool    // ENODEV for everything, until all is closed
	Silent  bool    // no events
	Refuse  []error // of the next times that a stream is opened
	Drop    int     // that many of the next buffers

	// SetEDIDs counts EDIDs that were taken, Refused those that weren't.
	Queries, SetTimings, SetEDIDs, Refused, Opened int
}

// Signal is timings of a picture, with nothing around it.
func Signal(width, height int, rate float64) v4l2.Timings {
	return v4l2.Timings{Width: width, Height: height, PixelClock: int64(float64(width*height) * rate)}
}

// Steady is a signal that stays.
func Steady(t v4l2.Timings, err error) func() (v4l2.Timings, error) {
	return func() (v4l2.Timings, error) { return t, err }
}

// NewCard makes a card with a signal of 320x180 at 10 Hz. Now gives UTC and
// CLOCK_MONOTONIC of the same instant, in ns.
func NewCard(now func() (utc, monotonic int64)) *Card {
	t := Signal(320, 180, 10)
	return &Card{now: now, state: CardState{Signal: Steady(t, nil), Set: t, Pixels: []string{v4l2.YUYV}}}
}

// Do changes the state; then there is an event, unless the card is silent.
func (c *Card) Do(change func(s *CardState)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.state)
	for _, in := range c.inputs {
		if !c.state.Silent {
			select {
			case in.changes <- struct{}{}:
			default:
			}
		}
	}
	if c.state.Gone {
		c.end(unix.ENODEV)
	}
}

// Fail ends all streams, as a fatal error of the driver does.
func (c *Card) Fail() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(unix.EIO)
}

// end ends the streams. The caller holds mu.
func (c *Card) end(why error) {
	for _, st := range c.streams {
		st.why = why
		close(st.failed)
	}
	c.streams = nil
}

// State is a snapshot.
func (c *Card) State() CardState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Nodes is the kernel's.
func (c *Card) Nodes() ([]string, error) { return []string{"/dev/video0"}, nil }

// Modes lists what a card with a scaler does, which isn't what it should be read at.
func (c *Card) Modes(node string) (string, []v4l2.Mode, error) {
	if s := c.State(); s.Gone {
		return "", nil, stateful(node, unix.ENODEV)
	}
	return "HDMI card", []v4l2.Mode{{Width: 1920, Height: 1080, Rate: 60, Pixel: v4l2.YUYV}}, nil
}

// Open begins to stream.
func (c *Card) Open(_ context.Context, node string, m v4l2.Mode) (v4l2.Stream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Gone {
		return nil, stateful(node, unix.ENODEV)
	}
	if len(c.state.Refuse) > 0 {
		err := c.state.Refuse[0]
		c.state.Refuse = c.state.Refuse[1:]
		return nil, &drivers.Error{State: drivers.Failed, Err: err}
	}
	c.state.Opened++
	st := &cardStream{c: c, m: m, out: make(chan v4l2.Buffer, 4), failed: make(chan struct{}), stop: make(chan struct{})}
	c.streams = append(c.streams, st)
	st.done.Go(st.run)
	return st, nil
}

// Input opens its input.
func (c *Card) Input(node string) (v4l2.Input, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Gone {
		return nil, stateful(node, unix.ENODEV)
	}
	in := &cardInput{c, make(chan struct{}, 1)}
	c.inputs = append(c.inputs, in)
	return in, nil
}

// cardStream is one that is open.
type cardStream struct {
	c            *Card
	m            v4l2.Mode
	out          chan v4l2.Buffer
	failed, stop chan struct{}
	done         sync.WaitGroup
	why          error
}

func (st *cardStream) Format() v4l2.Format         { return v4l2.Format{Mode: st.m} }
func (st *cardStream) Buffers() <-chan v4l2.Buffer { return st.out }
func (st *cardStream) Err() error                  { return st.why }

func (st *cardStream) Close() error {
	st.c.mu.Lock()
	st.c.streams = slices.DeleteFunc(st.c.streams, func(s *cardStream) bool { return s == st })
	st.c.mu.Unlock()
	close(st.stop)
	st.done.Wait()
	return nil
}

func (st *cardStream) run() {
	defer close(st.out)
	tick := time.NewTicker(time.Duration(1e9 / st.m.Rate))
	defer tick.Stop()
	data := make([]byte, st.m.Width*st.m.Height*2)
	for n := uint32(0); ; n++ {
		select {
		case <-tick.C:
		case <-st.failed:
			return
		case <-st.stop:
			return
		}
		if st.dropped() {
			continue
		}
		_, mono := st.c.now()
		select {
		case st.out <- v4l2.Buffer{Data: data, Sequence: n, Monotonic: mono, Release: func() {}}:
		default:
		}
	}
}

func (st *cardStream) dropped() bool {
	st.c.mu.Lock()
	defer st.c.mu.Unlock()
	if st.c.state.Drop > 0 {
		st.c.state.Drop--
		return true
	}
	return false
}

// cardInput is one that is open.
type cardInput struct {
	c       *Card
	changes chan struct{}
}

// use runs f unless the card is gone.
func (in *cardInput) use(f func(s *CardState)) error {
	in.c.mu.Lock()
	defer in.c.mu.Unlock()
	if in.c.state.Gone {
		return unix.ENODEV
	}
	f(&in.c.state)
	return nil
}

func (in *cardInput) Query() (t v4l2.Timings, err error) {
	gone := in.use(func(s *CardState) { s.Queries++; t, err = s.Signal() })
	if gone != nil {
		return t, gone
	}
	return t, err
}

func (in *cardInput) Timings() (t v4l2.Timings, err error) {
	err = in.use(func(s *CardState) { t = s.Set })
	return t, err
}

func (in *cardInput) SetTimings(t v4l2.Timings) (err error) {
	gone := in.use(func(s *CardState) {
		switch {
		case len(in.c.streams) > 0:
			err = unix.EBUSY
		case s.SetErr != nil:
			err = s.SetErr
		default:
			s.Set = t
			s.SetTimings++
		}
	})
	if gone != nil {
		return gone
	}
	return err
}

func (in *cardInput) Status() (status uint32, err error) {
	err = in.use(func(s *CardState) { status = s.Status })
	return status, err
}

func (in *cardInput) Cable() (there bool, err error) {
	err = in.use(func(s *CardState) { there = !s.NoPower })
	return there, err
}

func (in *cardInput) EDID() (edid []byte, err error) {
	gone := in.use(func(s *CardState) { edid, err = slices.Clone(s.EDID), s.NoEDID })
	if gone != nil {
		return nil, gone
	}
	return edid, err
}

func (in *cardInput) SetEDID(edid []byte) (err error) {
	gone := in.use(func(s *CardState) {
		if err = s.EDIDErr; err != nil {
			s.Refused++
			return
		}
		s.SetEDIDs++
		if s.EDID = slices.Clone(edid); s.Keeps != nil {
			s.EDID = s.Keeps(s.EDID)
		}
	})
	if gone != nil {
		return gone
	}
	return err
}

func (in *cardInput) Pixels() (pixels []string, err error) {
	err = in.use(func(s *CardState) { pixels = s.Pixels })
	return pixels, err
}

func (in *cardInput) Changes() <-chan struct{} { return in.changes }

// Close closes it. A card that was gone is back when nothing of it is open.
func (in *cardInput) Close() error {
	in.c.mu.Lock()
	defer in.c.mu.Unlock()
	in.c.inputs = slices.DeleteFunc(in.c.inputs, func(i *cardInput) bool { return i == in })
	if len(in.c.inputs) == 0 && len(in.c.streams) == 0 {
		in.c.state.Gone = false
	}
	return nil
}
