package v4l2_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openvideobox/videobox/drivers/drivertest"
	"github.com/openvideobox/videobox/drivers/usb"
	"github.com/openvideobox/videobox/drivers/v4l2"
)

var (
	small = drivertest.Signal(320, 180, 10)
	other = drivertest.Signal(640, 360, 10)
)

// desk is a source with a capture card, in a bubble.
type desk struct {
	t      *testing.T
	card   *drivertest.Card
	src    *v4l2.Source
	sink   *sink
	opened []v4l2.Device
	modes  []string
}

// atDesk runs a source on a card that was prepared.
func atDesk(t *testing.T, edid []byte, prepare func(s *drivertest.CardState), test func(d *desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{t: t, card: drivertest.NewCard(clocks), sink: new(sink)}
		if prepare != nil {
			d.card.Do(prepare)
		}
		d.src = v4l2.New(v4l2.Config{
			Path: v4l2.Auto, Width: 320, Height: 180, Rate: 10, Decode: decode, Now: clocks, Kernel: d.card,
			USB: usb.Root{Sys: t.TempDir()}, EDID: edid,
			Opened: func(dev v4l2.Device, f v4l2.Format) {
				d.opened, d.modes = append(d.opened, dev), append(d.modes, f.String())
			},
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- d.src.Run(ctx, d.sink) }()
		test(d)
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v", err)
		}
	})
}

// after lets time pass and compares the states that were seen meanwhile, and the
// newest cause.
func (d *desk) after(wait time.Duration, want, cause string) {
	d.t.Helper()
	time.Sleep(wait)
	synctest.Wait()
	got, said := d.sink.take(), d.sink.said()
	if got != want || !strings.Contains(said, cause) {
		d.t.Errorf("after %v: states %q, want %q (%s)", wait, got, want, said)
	}
}

// signal changes what is on the cable.
func (d *desk) signal(t v4l2.Timings, err error, more func(s *drivertest.CardState)) {
	d.card.Do(func(s *drivertest.CardState) {
		s.Signal, s.Status, s.NoPower = drivertest.Steady(t, err), 0, false
		if more != nil {
			more(s)
		}
	})
}

// TestSignalModes: each thing that can be wrong with a signal has its state and
// cause at once, nothing is streamed meanwhile although the card would, and the
// picture is back as soon as the signal stands.
func TestSignalModes(t *testing.T) {
	atDesk(t, nil, nil, func(d *desk) {
		d.after(time.Second, "streaming", "")
		for _, c := range []struct {
			name         string
			signal       v4l2.Timings
			err          error
			more         func(s *drivertest.CardState)
			state, cause string
		}{
			{"no signal", v4l2.Timings{}, syscall.ENOLINK, nil, "no signal", "there is no signal on the HDMI input"},
			{"no cable", v4l2.Timings{}, syscall.ENOLINK, func(s *drivertest.CardState) { s.NoPower = true }, "no cable", "no HDMI cable is plugged in"},
			{"no lock", v4l2.Timings{}, syscall.ENOLCK, func(s *drivertest.CardState) { s.Status = 0x100 }, "no lock", "can't lock on to its signal (no horizontal lock)"},
			{"out of range", v4l2.Timings{PixelClock: 1200e6}, syscall.ERANGE, nil, "out of range", "a pixel clock of 1200 MHz"},
			{"out of range", v4l2.Timings{}, syscall.ERANGE, nil, "out of range", "beyond what the capture device takes"},
			{"unknown", v4l2.Timings{}, syscall.EINVAL, nil, "unsupported", "doesn't say what its signal is: invalid argument"},
		} {
			d.signal(c.signal, c.err, c.more)
			d.after(50*time.Millisecond, c.state, c.cause)
			d.after(time.Minute, c.state, c.cause)
			d.signal(small, nil, nil)
			d.after(500*time.Millisecond, "streaming", "")
		}
		if s := d.card.State(); s.SetTimings != 0 || s.Opened != 7 {
			t.Errorf("%+v", s)
		}
		if st := d.src.Stats(); st.Reopened+st.Reset != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestUnfitSignals stand, and can't be taken.
func TestUnfitSignals(t *testing.T) {
	interlaced := drivertest.Signal(720, 480, 30)
	interlaced.Interlaced = true
	for _, c := range []struct {
		signal       v4l2.Timings
		change       func(s *drivertest.CardState)
		state, cause string
	}{
		{interlaced, nil, "unsupported", "the HDMI input has 720x480 interlaced at 60 Hz; only progressive"},
		{drivertest.Signal(4096, 2160, 60), nil, "out of range", "the HDMI input has 4096x2160 at 60 Hz, which is more than this machine can read"},
		{other, func(s *drivertest.CardState) { s.Pixels = []string{"RGB3"} }, "unsupported", "no format that can be read: it has [RGB3]"},
		{other, func(s *drivertest.CardState) { s.SetErr = syscall.ERANGE }, "out of range", "640x360 at 10 Hz, which the capture device can't be set to"},
	} {
		atDesk(t, nil, c.change, func(d *desk) {
			if c.change == nil {
				d.after(time.Second, "streaming", "")
			}
			d.signal(c.signal, nil, nil)
			d.after(2*time.Second, first(c.change == nil)+c.state, c.cause)
			d.after(time.Minute, c.state, c.cause)
			d.signal(small, nil, func(s *drivertest.CardState) { s.Pixels, s.SetErr = []string{v4l2.NV12, v4l2.YUYV}, nil })
			time.Sleep(time.Second)
			synctest.Wait()
			if got := d.sink.take(); !strings.HasSuffix(got, "streaming") {
				t.Errorf("%v: afterwards %q (%s)", c.signal, got, d.sink.said())
			}
		})
	}
}

// TestChangedSignal: the device is set to it, which can only be done while
// nothing streams.
func TestChangedSignal(t *testing.T) {
	atDesk(t, nil, nil, func(d *desk) {
		d.after(time.Second, "streaming", "")
		d.signal(other, nil, nil)
		d.after(50*time.Millisecond, "starting", "has changed: it is 640x360 at 10 Hz now")
		d.after(time.Second, "streaming", "")
		want := "[YUYV 320x180 at 10 frames a second YUYV 640x360 at 10 frames a second]"
		if s := d.card.State(); s.SetTimings != 1 || s.Set != other || fmt.Sprint(d.modes) != want {
			t.Errorf("%v, %+v", d.modes, s)
		}
		near := other
		near.PixelClock += near.PixelClock / 1000
		d.signal(near, nil, nil)
		d.after(5*time.Second, "streaming", "")
		if s := d.card.State(); s.Opened != 2 {
			t.Errorf("59.94 for 60 begins anew: %+v", s)
		}
	})
}

// TestRestlessSignal: one that is another at each look is none, and no reason to
// open and close the device all the time.
func TestRestlessSignal(t *testing.T) {
	atDesk(t, nil, nil, func(d *desk) {
		d.after(time.Second, "streaming", "")
		n := 0
		d.card.Do(func(s *drivertest.CardState) {
			s.Signal = func() (v4l2.Timings, error) { n++; return drivertest.Signal(640, 300+60*(n%5), 10), nil }
		})
		d.after(2*time.Second, "starting, no lock", "keeps changing")
		d.after(time.Minute, "no lock", "keeps changing")
		if s := d.card.State(); s.Opened != 1 || s.SetTimings != 0 {
			t.Errorf("%+v", s)
		}
		d.signal(small, nil, nil)
		d.after(time.Second, "no lock, streaming", "")
	})
}

// TestLostEvents: without them it takes a second longer.
func TestLostEvents(t *testing.T) {
	atDesk(t, nil, func(s *drivertest.CardState) { s.Silent = true }, func(d *desk) {
		d.after(time.Second, "streaming", "")
		d.signal(v4l2.Timings{}, syscall.ENOLINK, nil)
		d.after(1100*time.Millisecond, "streaming, no signal", "")
		d.signal(small, nil, nil)
		d.after(1600*time.Millisecond, "streaming", "")
	})
}

// TestNoSignalAtFirst: the device is opened when there is one.
func TestNoSignalAtFirst(t *testing.T) {
	atDesk(t, nil, func(s *drivertest.CardState) { s.Signal = drivertest.Steady(v4l2.Timings{}, syscall.ENOLINK) }, func(d *desk) {
		d.after(time.Minute, "no signal", "there is no signal")
		if s := d.card.State(); s.Opened != 0 || s.Queries < 59 || s.Queries > 65 {
			t.Errorf("%+v", s)
		}
		d.signal(small, nil, nil)
		d.after(500*time.Millisecond, "streaming", "")
	})
}

// TestFaultsOfTheCard, as vivid has them.
func TestFaultsOfTheCard(t *testing.T) {
	atDesk(t, nil, nil, func(d *desk) {
		d.after(time.Second, "streaming", "")
		d.card.Do(func(s *drivertest.CardState) { s.Drop = 3 })
		d.after(2*time.Second, "streaming", "")
		if st := d.src.Stats(); st.Lost != 3 {
			t.Errorf("dropped: %+v", st)
		}

		d.card.Fail()
		d.after(50*time.Millisecond, "failed", "/dev/video0 failed: it stopped streaming: input/output error")
		d.after(time.Second, "streaming", "")

		d.card.Do(func(s *drivertest.CardState) { s.Refuse = []error{errors.New("no buffers"), errors.New("no start")} })
		d.card.Fail()
		d.after(700*time.Millisecond, "failed", "no buffers")
		d.after(time.Second, "failed", "no start")
		d.after(1500*time.Millisecond, "streaming", "")

		d.card.Do(func(s *drivertest.CardState) { s.Gone = true })
		d.after(50*time.Millisecond, "no device", "/dev/video0 is gone")
		d.after(time.Second, "streaming", "") // nobody has it open: it is back
		if st := d.src.Stats(); st.Reset+st.Reopened != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestUsedByAnother: timings can't be set while somebody else streams.
func TestUsedByAnother(t *testing.T) {
	atDesk(t, nil, func(s *drivertest.CardState) { s.SetErr, s.Signal = syscall.EBUSY, drivertest.Steady(other, nil) }, func(d *desk) {
		d.after(5*time.Second, "no device", "is used by another program")
		d.card.Do(func(s *drivertest.CardState) { s.SetErr = nil })
		d.after(time.Second, "streaming", "")
	})
}

// TestCardIsTakenBeforeWebcams: a device that tells about its signal is made to
// capture from.
func TestCardIsTakenBeforeWebcams(t *testing.T) {
	card := drivertest.NewCard(clocks)
	all, err := v4l2.List(v4l2.Config{Width: 320, Height: 180, Rate: 10, Kernel: card, USB: usb.Root{Sys: t.TempDir()}})
	if err != nil || len(all) != 1 || all[0].Input == nil || all[0].Input.Signal != small || all[0].Input.State.String() != "streaming" {
		t.Errorf("%+v, %v", all, err)
	}
	synctest.Test(t, func(t *testing.T) {
		d, opened := drivertest.NewCard(clocks), make(chan string, 10)
		src := v4l2.New(v4l2.Config{
			Path: v4l2.Auto, Width: 320, Height: 180, Rate: 10, Decode: decode, Now: clocks, Kernel: webcam{d}, USB: usb.Root{Sys: t.TempDir()},
			Opened: func(dev v4l2.Device, _ v4l2.Format) { opened <- dev.Node },
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- src.Run(ctx, new(sink)) }()
		if node := <-opened; node != "/dev/video0" {
			t.Error(node)
		}
		stop()
		<-done
	})
}

// webcam is a kernel with one before the card.
type webcam struct{ v4l2.Kernel }

func (k webcam) Nodes() ([]string, error) { return []string{"/dev/video7", "/dev/video0"}, nil }

func (k webcam) Input(node string) (v4l2.Input, error) {
	if node == "/dev/video7" {
		return nil, v4l2.ErrNoTimings
	}
	return k.Kernel.Input(node)
}

// first is what is said of a signal that has changed to another that may do.
func first(changed bool) string {
	if changed {
		return "starting, "
	}
	return ""
}
