package v4l2_test

import (
	"bytes"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openvideobox/videobox/drivers/drivertest"
	"github.com/openvideobox/videobox/drivers/v4l2"
)

// edid is one with HDMI's vendor block, at byte 4 of its second block.
func edid() []byte {
	data := make([]byte, 256)
	for i := range data {
		data[i] = byte(i)
	}
	copy(data[128:], []byte{0x02, 3, 20, 0, 0x65, 0x03, 0x0c, 0x00, 0x10, 0x00})
	return data
}

// TestEDID: it is written once and read back; what differs is a warning, and the
// picture comes all the same.
func TestEDID(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(s *drivertest.CardState)
		writes  int
		warning string
	}{
		"taken":           {nil, 1, ""},
		"it has it":       {func(s *drivertest.CardState) { s.EDID = edid() }, 0, ""},
		"CEC's address":   {func(s *drivertest.CardState) { s.Keeps = cec }, 1, ""},
		"not taken":       {func(s *drivertest.CardState) { s.Keeps = func([]byte) []byte { return nil } }, 1, "it has none"},
		"cut":             {func(s *drivertest.CardState) { s.Keeps = func(e []byte) []byte { return e[:128] } }, 1, "it has 128 bytes instead of 256"},
		"changed":         {func(s *drivertest.CardState) { s.Keeps = spoil }, 1, "byte 0x24 of block 1 is 0xff instead of 0xa4, and 1 more differ"},
		"too many blocks": {func(s *drivertest.CardState) { s.EDIDErr = syscall.E2BIG }, 0, "2 blocks are too many for it"},
		"read only":       {func(s *drivertest.CardState) { s.EDIDErr = syscall.ENOTTY }, 0, "can't be written"},
		"it knows none":   {func(s *drivertest.CardState) { s.NoEDID, s.EDIDErr = syscall.ENOTTY, syscall.ENOTTY }, 0, ""},
		"unreadable":      {func(s *drivertest.CardState) { s.NoEDID = syscall.EIO }, 2, "can't be read back: input/output error"},
		"in use":          {func(s *drivertest.CardState) { s.EDIDErr = syscall.EBUSY }, 0, "another program"},
	} {
		atDesk(t, edid(), c.change, func(d *desk) {
			d.after(time.Second, "streaming", "")
			d.card.Fail() // it is opened anew, and told nothing
			d.after(time.Second, "failed, streaming", "")
			s := d.card.State()
			if got := d.opened[0].Warning; s.SetEDIDs != c.writes || (got == "") != (c.warning == "") || !strings.Contains(got, c.warning) || d.opened[1].Warning != got {
				t.Errorf("%s: written %d times, %q, then %q", name, s.SetEDIDs, got, d.opened[1].Warning)
			}
			if c.writes == 1 && c.change == nil && !bytes.Equal(s.EDID, edid()) {
				t.Errorf("%s: it has %x", name, s.EDID)
			}
		})
	}
}

// TestLostEDID: without one nobody sends anything, so it is written again, once.
func TestLostEDID(t *testing.T) {
	atDesk(t, edid(), nil, func(d *desk) {
		d.after(time.Second, "streaming", "")
		d.signal(v4l2.Timings{}, syscall.ENOLINK, func(s *drivertest.CardState) { s.EDID = nil })
		d.after(time.Minute, "no signal", "")
		if s := d.card.State(); s.SetEDIDs != 2 || !bytes.Equal(s.EDID, edid()) {
			t.Errorf("written %d times; it has %x", s.SetEDIDs, s.EDID)
		}
	})
}

// TestRefusedEDID: without one no laptop sends anything, so that is when people
// must be told; and it isn't tried each second what can't be.
func TestRefusedEDID(t *testing.T) {
	const silent = "there is no signal on the HDMI input; the HDMI input doesn't take our EDID: "
	for _, c := range []struct {
		err   error
		cause string
		tries int // in a minute
	}{
		{syscall.E2BIG, silent + "2 blocks are too many for it", 1},
		{syscall.EINVAL, silent + "it can't be written (invalid argument)", 1},
		{syscall.EBUSY, silent + "another program captures from it", 61},
	} {
		atDesk(t, edid(), func(s *drivertest.CardState) {
			s.EDIDErr, s.Signal = c.err, drivertest.Steady(v4l2.Timings{}, syscall.ENOLINK)
		}, func(d *desk) {
			d.after(time.Minute-time.Millisecond, "no signal", c.cause)
			if s := d.card.State(); s.Refused != c.tries {
				d.t.Errorf("%v: written %d times, want %d", c.err, s.Refused, c.tries)
			}
			d.signal(small, nil, nil)
			d.after(time.Second, "streaming", "")
			d.card.Do(func(s *drivertest.CardState) { s.EDIDErr = nil })
			d.card.Fail() // it is opened anew
			d.after(time.Second, "failed, streaming", "")
			if s := d.card.State(); s.SetEDIDs != 1 || !bytes.Equal(s.EDID, edid()) {
				d.t.Errorf("%v: taken %d times afterwards", c.err, s.SetEDIDs)
			}
			d.signal(v4l2.Timings{}, syscall.ENOLINK, nil)
			d.after(time.Second, "no signal", "there is no signal on the HDMI input")
			if said := d.sink.said(); strings.Contains(said, "EDID") {
				d.t.Errorf("%v: it has one, and %q", c.err, said)
			}
		})
	}
}

// TestUnreadableEDID isn't written each second either.
func TestUnreadableEDID(t *testing.T) {
	atDesk(t, edid(), func(s *drivertest.CardState) {
		s.NoEDID, s.Signal = syscall.EIO, drivertest.Steady(v4l2.Timings{}, syscall.ENOLINK)
	}, func(d *desk) {
		d.after(time.Minute, "no signal", "HDMI input; the HDMI input's EDID can't be read back: input/output error")
		if s := d.card.State(); s.SetEDIDs != 1 {
			t.Errorf("written %d times", s.SetEDIDs)
		}
	})
}

// cec gives it another CEC address, as vivid does.
func cec(e []byte) []byte {
	e[128+8], e[128+127] = 0, e[128+127]+0x10
	return e
}

func spoil(e []byte) []byte {
	e[128+0x24], e[128+0x30] = 0xff, 0
	return e
}
