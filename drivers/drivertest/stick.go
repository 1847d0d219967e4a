package drivertest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/drivers/ms213x"
	"github.com/openvideobox/videobox/drivers/usb"
	"github.com/openvideobox/videobox/drivers/v4l2"
	"github.com/openvideobox/videobox/internal/clock"
)

// Config is what a stick is like. The zero value is a good one.
type Config struct {
	Modes []v4l2.Mode // nil: some of the MS2131's, and 320x180 and 640x360
	// Now gives UTC and CLOCK_MONOTONIC of the same instant, in ns; nil: the
	// kernel's. What the source under test is given must be the same.
	Now    func() (utc, monotonic int64)
	NoCard bool // it has no sound
	// VideoPPM and SoundPPM are by how much its two crystals run too fast.
	VideoPPM, SoundPPM float64
	// Back is how long it takes from plugging or a reset until there are nodes;
	// 0: 100 ms.
	Back time.Duration
	// Picture gives the frame captured at t (UTC ns), coded as the mode says; nil:
	// a bar that moves, or without a signal blue.
	Picture func(m v4l2.Mode, t int64, signal bool) []byte
	// Sound gives the sample at t (UTC ns) of both channels; nil: a sine.
	Sound func(t int64) (left, right int16)
	// Map is where its firmware keeps its status; the zero value is the MS2131's.
	Map ms213x.Map
}

// MS2131 is the map of that stick, as in hardware/sticks.yaml.
var MS2131 = ms213x.Map{
	Reply:  4,
	Signal: ms213x.Bits{At: 0xf6e9, Mask: 0xff, Inverted: true}, Cable: ms213x.Bits{At: 0xfa8d, Mask: 1},
	Width: ms213x.Word{At: 0xf660, Scale: 1}, Height: ms213x.Word{At: 0xf662, Scale: 1},
	Rate: ms213x.Word{At: 0x1d02, BigEndian: true, Scale: 0.01},
}

const port = "1-1" // where it is plugged in

// Stick is a fake HDMI to USB stick.
type Stick struct {
	cfg   Config
	sysfs *Sysfs

	ctx  context.Context // of goroutines
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at any change below
	life    int           // a new one with each plugging and reset
	present bool          // its nodes are there
	barred  bool          // not authorized
	node    int           // of /dev/videoN
	number  int           // on the bus
	faults  faults
	counts  Counts
}

// Counts is what was done to a stick.
type Counts struct{ Opened, Resets, Unauthorized int }

// NewStick makes a stick that is plugged in as /dev/video0. Folder is for its
// sysfs. Close ends it.
func NewStick(folder string, c Config) *Stick {
	if c.Modes == nil {
		for _, size := range [][2]int{{1920, 1080}, {1280, 720}, {640, 480}, {640, 360}, {320, 180}} {
			for _, rate := range []float64{60, 50, 30, 25, 10} {
				c.Modes = append(c.Modes, v4l2.Mode{Width: size[0], Height: size[1], Rate: rate, Pixel: v4l2.MJPEG})
			}
		}
		c.Modes = append(c.Modes, v4l2.Mode{Width: 640, Height: 480, Rate: 10, Pixel: v4l2.YUYV})
	}
	if c.Now == nil {
		c.Now = v4l2.Now
	}
	if c.Back == 0 {
		c.Back = 100 * time.Millisecond
	}
	if c.Map == (ms213x.Map{}) {
		c.Map = MS2131
	}
	s := &Stick{cfg: c, sysfs: NewSysfs(folder), changed: make(chan struct{})}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.faults.width, s.faults.height, s.faults.rate = 1920, 1080, 60
	s.appear()
	return s
}

// Close ends its goroutines. Streams that are open end.
func (s *Stick) Close() {
	s.stop()
	s.wg.Wait()
}

// Counts is a snapshot.
func (s *Stick) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// USB is where the stick is found, reset and taken off the bus.
func (s *Stick) USB() usb.Root {
	return usb.Root{Sys: s.sysfs.Sys, Dev: "/dev", Reset: s.reset, Alive: s.alive, ResetPort: func(string, uint16) error { return nil }, Authorize: s.authorize}
}

// announce wakes all who wait for a change. The caller holds mu.
func (s *Stick) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// appear gives it its nodes. Mu is held or not needed yet.
func (s *Stick) appear() {
	s.number++
	card := "card0"
	if s.cfg.NoCard {
		card = ""
	}
	d := s.bare()
	d.Video, d.Card, d.HID = []string{fmt.Sprintf("video%d", s.node), fmt.Sprintf("video%d", s.node+1)}, card, "hidraw0"
	s.sysfs.Plug(d)
	s.present = true
}

// bare is the device without what its drivers make of it.
func (s *Stick) bare() USB {
	return USB{Port: port, Vendor: 0x345f, Product: 0x2131, Name: "USB3.0 Video", Serial: "0001", Number: s.number, Speed: 480}
}

// vanish takes them away and ends all that is open.
func (s *Stick) vanish() {
	if s.present {
		s.sysfs.Unplug(port)
	}
	s.present = false
	s.life++
	s.announce()
}

// comeBack lets it appear after a while, unless something happens before.
func (s *Stick) comeBack() {
	life := s.life
	s.wg.Go(func() {
		if clock.Sleep(s.ctx, clock.System, s.cfg.Back) != nil {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.life == life && !s.present {
			s.appear()
			s.announce()
		}
	})
}

// reset is USBDEVFS_RESET.
func (s *Stick) reset(string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Resets++
	if !s.present && !s.barred {
		return unix.ENODEV
	}
	if s.faults.hung == untilReset {
		s.faults.hung = answers
	}
	if !s.barred {
		s.vanish()
		s.comeBack()
	}
	return nil
}

// alive is a request that needs no driver.
func (s *Stick) alive(string) error {
	s.mu.Lock()
	hung, present := s.faults.hung != answers, s.present
	s.mu.Unlock()
	switch {
	case !present:
		return unix.ENODEV
	case hung:
		_ = clock.Sleep(s.ctx, clock.System, usb.Patience)
		return usb.ErrNoAnswer
	}
	return nil
}

// authorize is the file of that name in sysfs. Without it the device stays there,
// but has no nodes.
func (s *Stick) authorize(_ string, on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.barred = !on; on {
		s.sysfs.Unplug(port)
		s.comeBack()
		return nil
	}
	s.counts.Unauthorized++
	if !s.present {
		return unix.ENODEV
	}
	if s.faults.hung == untilReplug {
		s.faults.hung = answers
	}
	s.vanish()
	s.sysfs.Plug(s.bare())
	return nil
}

var errClosed = errors.New("closed by the test")

// answer waits while the stick hangs, as the kernel does. It says which life the
// caller is in, or why there is none.
func (s *Stick) answer() (life int, err error) {
	s.mu.Lock()
	life = s.life
	for s.faults.hung != answers && s.life == life && s.present {
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-s.ctx.Done():
			return 0, errClosed
		}
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	switch {
	case !s.present:
		return 0, unix.ENODEV
	case s.life != life:
		return 0, unix.EIO
	}
	return life, nil
}

// videoNode is /dev/videoN.
func (s *Stick) videoNode() string { return filepath.Join("/dev", fmt.Sprintf("video%d", s.node)) }
