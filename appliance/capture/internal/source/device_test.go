package source

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/drivers/drivertest"
	"github.com/openvideobox/videobox/drivers/ms213x"
	"github.com/openvideobox/videobox/drivers/usb"
	"github.com/openvideobox/videobox/drivers/v4l2"
	"github.com/openvideobox/videobox/internal/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noted is a sink that keeps what it is told, each thing once in a row.
type noted struct {
	mu             sync.Mutex
	picture, sound []string
	frames         int
	samples        int
	width          int
	cause, sounds  string
}

func (n *noted) Video(f *media.Frame) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.frames++
	n.width = f.Width
	n.picture = note(n.picture, "streaming")
}

func (n *noted) Same(int64) {}

func (n *noted) Audio(s media.Samples) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.samples += s.Len()
}

func (n *noted) State(s drivers.State, cause string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cause = cause
	n.picture = note(n.picture, s.String())
}

func (n *noted) SoundState(s drivers.State, cause string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sounds = cause
	n.sound = note(n.sound, s.String())
}

func note(list []string, s string) []string {
	if len(list) > 0 && list[len(list)-1] == s {
		return list
	}
	return append(list, s)
}

// count is how many frames have come.
func (n *noted) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.frames
}

// take gives what was noted since the last take.
func (n *noted) take() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := strings.Join(n.picture, ", ") + " | " + strings.Join(n.sound, ", ")
	n.picture, n.sound = nil, nil
	return all
}

// last is what was told last: the width of a picture, the causes of the picture's
// and of the sound's state.
func (n *noted) last() (width int, cause, sounds string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.width, n.cause, n.sounds
}

func clocks() (utc, monotonic int64) {
	t := time.Now().UnixNano()
	return t, t - 1e18/2
}

// on runs a source on a fake stick.
func on(t *testing.T, spec string, c drivertest.Config, f func(s *drivertest.Stick, n *noted)) {
	t.Helper()
	onChanged(t, spec, c, func(*Hardware) {}, f)
}

// onChanged is on with something else of the machine's.
func onChanged(t *testing.T, spec string, c drivertest.Config, change func(*Hardware), f func(s *drivertest.Stick, n *noted)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c.Now = clocks
		s := drivertest.NewStick(t.TempDir(), c)
		defer s.Close()
		Machine = Hardware{Kernel: s.Kernel(), USB: s.USB(), PCM: s.PCM, HID: s.HID, Now: clocks}
		change(&Machine)
		defer func() { Machine = Hardware{} }()
		src, err := Open(spec, shape)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		n, done := new(noted), make(chan error)
		go func() { done <- src.Run(ctx, n) }()
		f(s, n)
		cancel()
		<-done
	})
}

// TestWhatIsSaidAboutTheInput: each fault has its state and cause, and the
// picture that the stick makes by itself isn't shown.
func TestWhatIsSaidAboutTheInput(t *testing.T) {
	on(t, "v4l2:auto", drivertest.Config{}, func(s *drivertest.Stick, n *noted) {
		for _, c := range []struct {
			command string
			wait    time.Duration
			want    string
			cause   string
		}{
			{"", 2 * time.Second, "streaming | streaming", ""},
			{"nosignal", 2 * time.Second, "streaming, no signal | ", "there is no signal on the HDMI input"},
			{"", time.Minute, "no signal | ", "there is no signal on the HDMI input"},
			{"signal", 1500 * time.Millisecond, "streaming | ", ""},
			{"nocable", 2 * time.Second, "streaming, no cable | ", "no HDMI cable is plugged in"},
			{"signal", 1500 * time.Millisecond, "streaming | ", ""},
			{"signal 3840x2160@60", 2 * time.Second, "streaming, unsupported | ", "the HDMI input has 3840x2160 at 60 Hz, which is more than the capture device takes"},
			{"", 10 * time.Second, "unsupported | ", "which is more than the capture device takes"},
			{"signal 1280x720@50", 1500 * time.Millisecond, "streaming | ", ""},
			{"stop", 1600 * time.Millisecond, "streaming, frozen | ", "delivers no picture; its input has 1280x720 at 50 Hz"},
			{"start", 500 * time.Millisecond, "streaming | ", ""},
			{"unplug", 3 * time.Second, "streaming, no device | no device", "there is no capture device"},
			{"plug 5", time.Second, "streaming | streaming", ""},
			{"silence", 2 * time.Second, "streaming | frozen", ""},
			{"sound", 2 * time.Second, "streaming | streaming", ""},
			{"hang reset", 6 * time.Second, "streaming, frozen, streaming | ", ""},
		} {
			if c.command != "" {
				if err := s.Command(c.command); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(c.wait)
			synctest.Wait()
			got := n.take()
			if strings.HasPrefix(c.command, "hang") { // its sound fails in several ways
				got, _, _ = strings.Cut(got, "|")
				got += "| "
			}
			_, cause, _ := n.last()
			if strings.TrimPrefix(got, "streaming, ") != strings.TrimPrefix(c.want, "streaming, ") || !strings.Contains(cause, c.cause) {
				t.Errorf("%s: %q, want %q (%s)", c.command, got, c.want, cause)
			}
		}
		if width, _, _ := n.last(); width != 640 && width != 320 { // shape is 64x36
			t.Errorf("%d wide", width)
		}
	})
}

func TestNoSignalFromTheStart(t *testing.T) {
	on(t, "v4l2:/dev/video0", drivertest.Config{}, func(s *drivertest.Stick, n *noted) {
		if err := s.Command("nosignal"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		n.take()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		_, cause, _ := n.last()
		if got := n.take(); got != "no signal | " || cause != "there is no signal on the HDMI input" {
			t.Errorf("%q, %q", got, cause)
		}
	})
}

// TestNoSignalOutlastsARestart: what the driver says about a stream that it had
// to start again doesn't stay.
func TestNoSignalOutlastsARestart(t *testing.T) {
	n := new(noted)
	g := signal{sink: n}
	g.tell(ms213x.Status{})
	g.State(drivers.Failed, "it stopped streaming")
	g.tell(ms213x.Status{})
	if got := n.take(); got != "no signal, failed, no signal | " || n.cause != "there is no signal on the HDMI input" {
		t.Errorf("%q, %q", got, n.cause)
	}
}

func TestSoundDevices(t *testing.T) {
	for spec, want := range map[string]string{
		"v4l2:auto,none": "",
		"v4l2:auto":      "no device: the capture device has no sound card; sending silence",
		"v4l2:auto,hw:7": "no device: the sound device /dev/snd/pcmC7D0c: file does not exist; there is hw:0,0",
		"v4l2:auto,hw:0": "streaming: ",
	} {
		on(t, spec, drivertest.Config{NoCard: spec == "v4l2:auto"}, func(s *drivertest.Stick, n *noted) {
			time.Sleep(2 * time.Second)
			synctest.Wait()
			_, _, cause := n.last()
			_, got, _ := strings.Cut(n.take(), " | ")
			if got != "" {
				got = got[strings.LastIndex(got, ", ")+1:] // the last
				got = fmt.Sprint(strings.TrimSpace(got), ": ", cause)
			}
			if got != want {
				t.Errorf("%s: %q, want %q", spec, got, want)
			}
		})
	}
}

// TestWhySoundIsAway: a device that is gone or being reset isn't one without a
// sound card.
func TestWhySoundIsAway(t *testing.T) {
	on(t, "v4l2:auto", drivertest.Config{}, func(s *drivertest.Stick, n *noted) {
		for _, c := range []struct {
			command string
			cause   string
		}{
			{"sound", ""},
			{"unplug", "the capture device is gone"},
			{"plug", ""},
			{"hang ever", "the capture device is being reset"},
		} {
			if err := s.Command(c.command); err != nil {
				t.Fatal(err)
			}
			heard := map[string]bool{}
			for range 40 { // 4 s
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
				_, _, cause := n.last()
				heard[cause] = true
			}
			if !heard[c.cause] {
				t.Errorf("%s: %v, want %q", c.command, heard, c.cause)
			}
			for cause := range heard {
				if strings.Contains(cause, "no sound card") {
					t.Errorf("%s: %q", c.command, cause)
				}
			}
		}
	})
}

// TestSoundOfACard: which sound card belongs to a capture card isn't guessed;
// those that there are are named.
func TestSoundOfACard(t *testing.T) {
	d := &stick{hw: Hardware{USB: usb.Root{Sys: t.TempDir()}}}
	card := v4l2.Device{Node: "/dev/video0"}
	const must = "sending silence: the device isn't on USB, so its sound must be named, as --source=v4l2:auto,hw:0,0; "
	if _, err := d.soundless(card); err.Error() != must+"there is no sound card" {
		t.Error(err)
	}
	if err := os.MkdirAll(filepath.Join(d.hw.USB.Sys, "class/sound/pcmC2D0c"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := d.soundless(card); err.Error() != must+"there is hw:2,0" {
		t.Error(err)
	}
}

// shower gives a function that shows a picture for 4 s, which moves or not.
func shower(g *signal) func(moving bool) {
	frame := media.NewFrame(64, 36)
	return func(moving bool) {
		for i := range 100 {
			frame.Time += 40e6
			if moving {
				frame.Y[i*4%64*1+frame.YStride] ^= 0x80
				frame.Y[1*frame.YStride+2] = byte(i * 90)
			}
			g.Video(frame)
		}
	}
}

// TestWrongNumbersAreDisproved: a size or a rate that is kept elsewhere, too. What
// is said about the signal itself counts on.
func TestWrongNumbersAreDisproved(t *testing.T) {
	n := new(noted)
	g := signal{sink: n}
	show := shower(&g)
	good := ms213x.Status{Signal: true, Width: 1920, Height: 1080, Rate: 60}
	much := ms213x.Status{Signal: true, Width: 1920, Height: 1080, Rate: 231}
	for _, c := range []struct {
		name   string
		tell   []ms213x.Status
		moving bool
		want   string
		bad    bool
	}{
		{"once", []ms213x.Status{good, much, good}, false, "streaming | ", false},
		{"another each time", []ms213x.Status{much, {Signal: true, Width: 4096, Height: 2160, Rate: 120}, good}, false, "streaming | ", false},
		{"twice, and it stands still", []ms213x.Status{much, much, much}, false, "unsupported | ", true},
		{"it moves", []ms213x.Status{much}, true, "unsupported, streaming | ", false},
		{"said again", []ms213x.Status{much, much}, false, "streaming | ", false},
		{"no signal", []ms213x.Status{{}}, false, "no signal | ", true},
		{"back", []ms213x.Status{much, much}, false, "streaming | ", false},
	} {
		for _, s := range c.tell {
			g.tell(s)
		}
		show(c.moving)
		if got := n.take(); got != c.want || g.bad() != c.bad {
			t.Errorf("%s: %q, bad %v; want %q", c.name, got, g.bad(), c.want)
		}
	}
}

// TestWrongStatusIsDisproved: a stick whose firmware keeps its status elsewhere
// must not lose its picture for it.
func TestWrongStatusIsDisproved(t *testing.T) {
	n := new(noted)
	g := signal{sink: n}
	show := shower(&g)
	g.tell(ms213x.Status{})
	show(false)
	if got := n.take(); got != "no signal | " {
		t.Errorf("a picture that stands still: %q", got)
	}
	show(true)
	if got := n.take(); got != "streaming | " || g.bad() {
		t.Errorf("one that moves: %q", got)
	}
	g.tell(ms213x.Status{})
	if got := n.take(); got != " | " || g.bad() {
		t.Errorf("said again: %q", got)
	}
	g.tell(ms213x.Status{Signal: true}) // so it does know
	g.tell(ms213x.Status{NoCable: true})
	if got := n.take(); got != "no cable | " || !g.bad() {
		t.Errorf("after a signal was seen: %q", got)
	}
}

func TestProfilesReachTheDrivers(t *testing.T) {
	s := drivertest.NewStick(t.TempDir(), drivertest.Config{})
	defer s.Close()
	u, err := s.USB().Of("/dev/video0")
	if err != nil || !model(u).Known {
		t.Errorf("%v, %v: not known", u, err)
	}
}
