package source

import (
	"errors"
	"io/fs"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/drivers/drivertest"
	"github.com/openvideobox/videobox/drivers/ms213x"
)

// wedge lets a stick's HID interface leave questions unanswered, each for the
// kernel's 5 s.
type wedge struct {
	left  atomic.Int64 // questions not to be answered
	asked atomic.Int64
}

func (w *wedge) into(h *Hardware) {
	open := h.HID
	h.HID = func(node string) (ms213x.Transport, error) {
		t, err := open(node)
		return wedged{t, w}, err
	}
}

type wedged struct {
	ms213x.Transport
	w *wedge
}

func (w wedged) SetFeature(b []byte) error {
	w.w.asked.Add(1)
	if w.w.left.Add(-1) >= 0 {
		time.Sleep(5 * time.Second)
		return unix.ETIMEDOUT
	}
	return w.Transport.SetFeature(b)
}

// TestAWedgedStatus: one or two questions that aren't answered in time say nothing
// about the signal; from the third on the frames count, until there is an answer. A
// picture goes on through all of it.
func TestAWedgedStatus(t *testing.T) {
	w := new(wedge)
	onChanged(t, "v4l2:auto", drivertest.Config{}, w.into, func(s *drivertest.Stick, n *noted) {
		for i, c := range []struct {
			command  string
			timeouts int64
			wait     time.Duration
			want     string
		}{
			{"", 0, 2 * time.Second, "streaming"},
			{"", 1, 10 * time.Second, "streaming"},
			{"", 1000, time.Minute, "streaming"},
			{"", 0, 8 * time.Second, "streaming"},
			{"nosignal", 0, 2 * time.Second, "streaming, no signal"},
			{"", 1, 10 * time.Second, "no signal"},
			{"", 2, 15 * time.Second, "no signal"},
			{"", 1000, 15 * time.Second, ""},
			{"", 1000, 5 * time.Second, "streaming"},
			{"", 0, 10 * time.Second, "streaming, no signal"},
		} {
			if c.command != "" {
				if err := s.Command(c.command); err != nil {
					t.Fatal(err)
				}
			}
			w.left.Store(c.timeouts)
			n.take()
			before := n.count()
			time.Sleep(c.wait)
			synctest.Wait()
			if got, _, _ := strings.Cut(n.take(), " | "); got != c.want {
				t.Errorf("%s, %d not answered: %q, want %q", c.command, c.timeouts, got, c.want)
			}
			if want := int(c.wait.Seconds() * 24); i < 4 && n.count()-before < want { // of 25 a second
				t.Errorf("%d not answered: %d frames in %v, want %d", c.timeouts, n.count()-before, c.wait, want)
			}
		}
	})
}

// TestAStickBeingResetIsNotAsked: question and reset would hold each other up.
func TestAStickBeingResetIsNotAsked(t *testing.T) {
	s := drivertest.NewStick(t.TempDir(), drivertest.Config{})
	defer s.Close()
	w, d := new(wedge), &stick{hw: Hardware{HID: s.HID}}
	w.into(&d.hw)
	h, err := d.status("/dev/hidraw0")
	if err != nil {
		t.Fatal(err)
	}
	d.mute.Store(true)
	err = ms213x.Monitor{Open: func() (ms213x.Transport, error) { return h, nil }}.Run(t.Context(), nil)
	if !errors.Is(err, fs.ErrClosed) || w.asked.Load() != 0 {
		t.Errorf("%v, asked %d times", err, w.asked.Load())
	}
}
