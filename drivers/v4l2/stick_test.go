package v4l2_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/drivers/drivertest"
	"github.com/openvideobox/videobox/drivers/usb"
	"github.com/openvideobox/videobox/drivers/v4l2"
)

func TestUnplugAndPlugAsAnotherNode(t *testing.T) {
	for _, path := range []string{v4l2.Auto, "/dev/video0"} {
		synctest.Test(t, func(t *testing.T) {
			b := setup(t, v4l2.Config{Path: path})
			defer b.end()
			b.after(time.Second, "streaming")
			b.command("unplug")
			b.after(3*time.Second, "no device")
			if !strings.Contains(b.sink.cause, "there is no capture device") {
				t.Errorf("%s: cause %q", path, b.sink.cause)
			}
			b.command("plug 3")
			plugged := time.Now()
			b.after(700*time.Millisecond, "streaming")
			if _, last := b.sink.seen(); b.src.Stats().Reset != 0 || last.Before(plugged) {
				t.Errorf("%s: %+v", path, b.src.Stats())
			}
		})
	}
}

func TestNoDeviceAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, v4l2.Config{Path: v4l2.Auto})
		defer b.end()
		b.command("unplug")
		b.after(5*time.Second, "no device")
		b.command("plug")
		b.after(time.Second, "streaming")
	})
}

// TestLadder: each kind of hanging ends at the step that helps against it, in
// the order reopen, reset, reauthorize, and the last one replaces the process.
func TestLadder(t *testing.T) {
	for _, c := range []struct {
		hang   string
		within time.Duration // after which it is live again
		want   v4l2.Stats
		counts drivertest.Counts
	}{
		{"reset", 2 * time.Second, v4l2.Stats{Reset: 1}, drivertest.Counts{Opened: 2, Resets: 1}},
		{"replug", 10 * time.Second, v4l2.Stats{Reset: 1, Reauthorized: 1}, drivertest.Counts{Opened: 2, Resets: 2, Unauthorized: 1}},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := setup(t, v4l2.Config{Path: v4l2.Auto})
			defer b.end()
			b.after(time.Second, "streaming")
			b.command("hang " + c.hang)
			hung := time.Now()
			for range 300 {
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
				if _, last := b.sink.seen(); time.Since(hung) > time.Second && time.Since(last) < 200*time.Millisecond {
					break
				}
			}
			took := time.Since(hung)
			t.Logf("hang %s: live again after %v", c.hang, took)
			if took > c.within {
				t.Errorf("live again after %v, want %v", took, c.within)
			}
			if got := b.sink.take(); got != "streaming, frozen, streaming" && got != "frozen, streaming" {
				t.Errorf("states %q", got)
			}
			got := b.src.Stats()
			if got.Reopened != c.want.Reopened || got.Reset != c.want.Reset || got.Reauthorized != c.want.Reauthorized || b.stick.Counts() != c.counts {
				t.Errorf("%+v, %+v; want %+v", got, b.stick.Counts(), c)
			}
			// Forgotten after ten good seconds: the next time begins with reopening.
			time.Sleep(11 * time.Second)
			b.command("stop")
			time.Sleep(3 * time.Second)
			b.command("start")
			time.Sleep(time.Second)
			if got := b.src.Stats(); got.Reopened != 1 || got.Reset != c.want.Reset {
				t.Errorf("the next time: %+v", got)
			}
		})
	}
}

// TestANewProcessResetsADeviceThatHangs: it has never opened it.
func TestANewProcessResetsADeviceThatHangs(t *testing.T) {
	for _, until := range []string{"reset", "replug"} {
		synctest.Test(t, func(t *testing.T) {
			b := setup(t, v4l2.Config{Path: v4l2.Auto})
			b.command("hang " + until)
			defer b.end()
			time.Sleep(12 * time.Second)
			if n, last := b.sink.seen(); n == 0 || time.Since(last) > 200*time.Millisecond {
				t.Errorf("hang %s: %d frames, %+v", until, n, b.src.Stats())
			}
		})
	}
}

func TestWedgedForEverReplacesTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, v4l2.Config{Path: v4l2.Auto})
		time.Sleep(time.Second)
		b.command("hang ever")
		hung := time.Now()
		err := <-b.done
		t.Logf("given up after %v", time.Since(hung))
		if e := new(drivers.Error); !errors.Is(err, drivers.ErrWedged) || !errors.As(err, &e) || e.State != drivers.Frozen {
			t.Errorf("Run = %v", err)
		}
		if took := time.Since(hung); took > 40*time.Second {
			t.Errorf("took %v", took)
		}
		b.stop()
		b.stick.Close() // lets the calls go that the kernel holds
	})
}

func TestFramesThatStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, v4l2.Config{Path: v4l2.Auto})
		defer b.end()
		b.after(time.Second, "streaming")
		b.command("stop")
		b.after(1500*time.Millisecond, "frozen")
		b.command("start")
		b.after(300*time.Millisecond, "streaming")
		if st := b.src.Stats(); st.Reopened != 0 {
			t.Errorf("short stop: %+v", st)
		}
	})
}

// TestExcusedSilence: a stick that says that it has no signal isn't reset.
func TestExcusedSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, v4l2.Config{Path: v4l2.Auto, Excused: func() bool { return true }})
		defer b.end()
		b.after(time.Second, "streaming")
		b.command("stop")
		b.after(time.Minute, "")
		b.command("start")
		b.after(time.Second, "streaming")
		if st := b.src.Stats(); st.Reopened+st.Reset != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestBadFrames(t *testing.T) {
	for _, c := range []struct {
		fault string
		count func(v4l2.Stats) uint64
		least uint64
	}{
		{"short 3", func(s v4l2.Stats) uint64 { return s.Damaged }, 3},
		{"corrupt 3", func(s v4l2.Stats) uint64 { return s.Damaged }, 3},
		{"stall 3", func(s v4l2.Stats) uint64 { return s.Lost }, 3},
		{"disorder 4", func(s v4l2.Stats) uint64 { return s.Disorder }, 1},
		{"stamps 3", func(s v4l2.Stats) uint64 { return 1 }, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := setup(t, v4l2.Config{Path: v4l2.Auto})
			defer b.end()
			b.after(time.Second, "streaming")
			b.command(c.fault)
			b.after(2*time.Second, "streaming")
			st := b.src.Stats()
			if n := c.count(st); n < c.least {
				t.Errorf("%s: %+v", c.fault, st)
			}
			// A wrong time stamp must not place a frame wrongly.
			if b.sink.worst > 600e6 {
				t.Errorf("%s: two frames %v apart", c.fault, time.Duration(b.sink.worst))
			}
			if _, last := b.sink.seen(); time.Since(last) > 200*time.Millisecond {
				t.Errorf("%s: it doesn't go on", c.fault)
			}
		})
	}
}

// TestDamagedPicturesOnly: what people must do about these isn't what they must do
// about a device that sends nothing.
func TestDamagedPicturesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, v4l2.Config{Path: v4l2.Auto})
		defer b.end()
		b.after(time.Second, "streaming")
		b.command("short 15")
		b.after(1500*time.Millisecond, "frozen")
		if !strings.Contains(b.sink.said(), "delivers damaged pictures only (") {
			t.Errorf("cause %q", b.sink.said())
		}
		b.after(time.Second, "streaming")
		b.command("stop")
		b.after(1500*time.Millisecond, "frozen")
		if !strings.Contains(b.sink.said(), "delivers no picture") {
			t.Errorf("nothing at all: cause %q", b.sink.said())
		}
	})
}

func TestUncompressed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened := make(chan v4l2.Format, 1)
		b := setup(t, v4l2.Config{
			Path: v4l2.Auto, Width: 640, Height: 480, Rate: 10, Models: func(usb.Device) v4l2.Model { return v4l2.Model{Known: true, Pixel: v4l2.YUYV} },
			Opened: func(d v4l2.Device, f v4l2.Format) { opened <- f },
		})
		defer b.end()
		b.after(time.Second, "streaming")
		if f := <-opened; f.String() != "YUYV 640x480 at 10 frames a second" {
			t.Error(f)
		}
		b.command("short 2")
		b.after(time.Second, "streaming")
		if st := b.src.Stats(); st.Damaged != 2 {
			t.Errorf("%+v", st)
		}
	})
}
