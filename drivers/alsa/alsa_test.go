package alsa

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestStructsHaveTheKernelsSize compares with the numbers that strace shows on
// 64-bit Linux; the size is part of an ioctl's number.
func TestStructsHaveTheKernelsSize(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("needs a 64-bit machine: the numbers are those")
	}
	for _, c := range []struct {
		name      string
		got, want uintptr
	}{
		{"SNDRV_PCM_IOCTL_HW_REFINE", ioctlRefine, 0xC2604110},
		{"SNDRV_PCM_IOCTL_HW_PARAMS", ioctlParams, 0xC2604111},
		{"SNDRV_PCM_IOCTL_PREPARE", ioctlPrepare, 0x4140},
		{"SNDRV_PCM_IOCTL_START", ioctlStart, 0x4142},
		{"SNDRV_PCM_IOCTL_READI_FRAMES", ioctlReadI, 0x80184151},
		{"intervals", unsafe.Offsetof(hwParams{}.intervals), 260},
		{"rmask", unsafe.Offsetof(hwParams{}.rmask), 512},
		{"fifo_size", unsafe.Offsetof(hwParams{}.fifo), 536},
	} {
		if c.got != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, c.got, c.want)
		}
	}
}

// card is a fake kernel.
type card struct {
	rate, channels [2]uint32 // ranges
	refuse         error     // of HW_PARAMS
	reads          []any     // int: samples to give; error; "silence": poll times out
	clk            *clock.Held
	perSample      int // of the device's in one of ours; 0: 1
	asked          hwParams
	interleaved    bool // what its stick's profile says
	starts         int
	closed         bool
	value          int16
}

func (c *card) poll(int) (bool, error) {
	if len(c.reads) > 0 && c.reads[0] == "silence" {
		return false, nil
	}
	return true, nil
}

func (c *card) close() error { c.closed = true; return nil }

func (c *card) ioctl(request uintptr, arg unsafe.Pointer) error {
	switch request {
	case ioctlRefine:
		p := (*hwParams)(arg)
		p.intervals[intervalRate] = interval{c.rate[0], c.rate[1], 0}
		p.intervals[intervalChannels] = interval{c.channels[0], c.channels[1], 0}
		p.intervals[intervalPeriodSize] = interval{48, 4800, 0}
		p.intervals[intervalBufferSize] = interval{96, 96000, 0}
	case ioctlParams:
		c.asked = *(*hwParams)(arg)
		return c.refuse
	case ioctlStart:
		c.starts++
	case ioctlReadI:
		return c.read((*xferi)(arg))
	}
	return nil
}

func (c *card) read(x *xferi) error {
	next := c.reads[0]
	c.reads = c.reads[1:]
	if err, ok := next.(error); ok {
		return err
	}
	n := next.(int)
	c.clk.Set(c.clk.Now() + media.SampleTime(int64(n))/int64(max(1, c.perSample)))
	channels := int(c.asked.intervals[intervalChannels].min)
	for i := range unsafe.Slice((*int16)(x.buf), n*channels) {
		c.value++
		unsafe.Slice((*int16)(x.buf), n*channels)[i] = c.value
	}
	x.result = n
	return nil
}

type heard []media.Samples

func (h *heard) Audio(s media.Samples) {
	s.Data = append([]int16(nil), s.Data...)
	*h = append(*h, s)
}

const began = int64(1_800_000_000_000_000_000)

func run(t *testing.T, c *card) (*Source, heard, error) {
	t.Helper()
	c.clk = clock.NewHeld(began)
	s := New(Config{Path: "/dev/snd/pcmC1D0c", Clock: c.clk, Interleaved: c.interleaved, Open: func(string) (PCM, error) { return pcm{c}, nil }})
	var h heard
	err := s.Run(t.Context(), &h)
	if !c.closed {
		t.Error("the device was left open")
	}
	return s, h, err
}

func usual(reads ...any) *card {
	return &card{rate: [2]uint32{8000, 96000}, channels: [2]uint32{1, 2}, reads: reads}
}

func TestSamplesFollowOneAnother(t *testing.T) {
	s, h, err := run(t, usual(480, 480, unix.EAGAIN, 960, unix.ENODEV))
	if e := new(drivers.Error); !errors.As(err, &e) || e.State != drivers.NoDevice || !errors.Is(err, unix.ENODEV) {
		t.Errorf("Run = %v, want no device", err)
	}
	at, value := began, int16(1)
	for i, b := range h {
		if b.Time != at || b.Data[0] != value || b.Channels != 2 {
			t.Errorf("block %d: %d channels at %d from %d on, want 2 at %d from %d", i, b.Channels, b.Time, b.Data[0], at, value)
		}
		at, value = at+media.SampleTime(int64(b.Len())), value+int16(len(b.Data))
	}
	if len(h) != 3 || s.Overruns() != 0 {
		t.Errorf("%d blocks, %d overruns", len(h), s.Overruns())
	}
}

func TestOverrunIsRecoveredAndCounted(t *testing.T) {
	c := usual(480, unix.EPIPE, 480, "silence")
	s, h, err := run(t, c)
	if e := new(drivers.Error); !errors.As(err, &e) || e.State != drivers.Frozen {
		t.Errorf("Run = %v, want frozen", err)
	}
	if s.Overruns() != 1 || c.starts != 2 || len(h) != 2 {
		t.Errorf("%d overruns, %d starts, %d blocks; want 1, 2, 2", s.Overruns(), c.starts, len(h))
	}
}

func TestParameters(t *testing.T) {
	mono := usual("silence")
	mono.channels = [2]uint32{1, 1}
	slow := usual()
	slow.rate = [2]uint32{8000, 44100}
	many := usual()
	many.channels = [2]uint32{6, 8}
	refusing := usual()
	refusing.refuse = unix.EINVAL
	for _, c := range []struct {
		name     string
		card     *card
		state    drivers.State
		channels uint32
		text     string
	}{
		{"stereo", usual("silence"), drivers.Frozen, 2, "no samples"},
		{"mono", mono, drivers.Frozen, 1, "no samples"},
		{"no 48 kHz", slow, drivers.Unsupported, 0, "8000 to 44100"},
		{"six channels", many, drivers.Unsupported, 0, "at least 6"},
		{"refused", refusing, drivers.Unsupported, 2, "48 kHz S16"},
	} {
		_, _, err := run(t, c.card)
		if e := new(drivers.Error); !errors.As(err, &e) || e.State != c.state || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v; want %v with %q", c.name, err, c.state, c.text)
		}
		if c.channels == 0 {
			continue
		}
		p := c.card.asked
		if p.intervals[intervalChannels] != (interval{c.channels, c.channels, flagInteger}) ||
			p.intervals[intervalRate].min != 48000 || p.masks[maskFormat][0] != 1<<formatS16LE || p.masks[maskAccess][0] != 1<<accessInterleaved {
			t.Errorf("%s: asked for %+v", c.name, p)
		}
	}
}

func TestMissingDeviceSaysSo(t *testing.T) {
	err := New(Config{Path: "/dev/snd/none"}).Run(t.Context(), new(heard))
	if e := new(drivers.Error); !errors.As(err, &e) || e.State != drivers.NoDevice || !strings.Contains(err.Error(), "/dev/snd/none") {
		t.Errorf("Run = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := New(Config{Open: func(string) (PCM, error) { return pcm{usual()}, nil }})
	if err := s.Run(ctx, new(heard)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestInterleaved: 96 kHz mono that is 48 kHz stereo; a left sample waits for
// its right one.
func TestInterleaved(t *testing.T) {
	c := usual(960, 961, 959, 1, 1, unix.ENODEV)
	c.rate, c.channels, c.interleaved = [2]uint32{96000, 96000}, [2]uint32{1, 1}, true
	c.perSample = 2
	s, h, err := run(t, c)
	if !errors.Is(err, unix.ENODEV) || s.Samples() != 1441 {
		t.Fatalf("%d samples, %v", s.Samples(), err)
	}
	value := int16(1)
	for i, b := range h {
		if b.Channels != 2 || b.Rate != 48000 || b.Data[0] != value {
			t.Errorf("block %d: %d channels at %d Hz from %d on, want %d", i, b.Channels, b.Rate, b.Data[0], value)
		}
		value += int16(len(b.Data))
	}
	if p := c.asked; p.intervals[intervalRate].min != 96000 || p.intervals[intervalChannels].min != 1 {
		t.Errorf("asked for %+v", p)
	}
	// The same profile where the kernel has put it right.
	c = usual("silence")
	c.interleaved = true
	if _, _, err := run(t, c); c.asked.intervals[intervalChannels].min != 2 {
		t.Errorf("asked for %+v, %v", c.asked, err)
	}
}

// TestTimelineSurvivesJitterAndLoss reads with up to 30 ms of lateness, at a
// crystal 100 ppm off, and loses 100 ms of samples once.
func TestTimelineSurvivesJitterAndLoss(t *testing.T) {
	var tl timeline
	const rate = media.SampleRate * (1 + 100e-6)
	worst, lost := 0.0, int64(0)
	for i := int64(1); i <= 6000; i++ { // a minute, 10 ms each
		if i == 3000 {
			lost = 4800
		}
		truth := float64(began) + float64(i*480+lost)/rate*1e9
		late := float64(i*7919%30) * 1e6
		at := tl.place(480, int64(truth+late))
		off := float64(at) - (truth - 480/rate*1e9)
		settled := i > 600 && (i < 3000 || i > 4100)
		if settled {
			worst = math.Max(worst, math.Abs(off))
		}
	}
	if worst > 2e6 {
		t.Errorf("time stamps are off by up to %.1f ms, want 2 at most", worst/1e6)
	}
}

// TestTimelineFollowsLossAtOnce: a busy machine loses samples again and again,
// and what comes between must be heard in its place.
func TestTimelineFollowsLossAtOnce(t *testing.T) {
	for _, ms := range []int64{100, 10, 6} {
		var tl timeline
		lost, since, right := int64(0), 0, 0
		for i := int64(1); i <= 3000; i++ { // half a minute, 10 ms each
			if since++; i%200 == 0 { // every two seconds
				lost, since = lost+48*ms, 0
			}
			truth := began + media.SampleTime(i*480+lost)
			at := tl.place(480, truth+i*7919%30*1e6)
			off := at - (truth - media.SampleTime(480))
			if off < 5e6 && off > -5e6 {
				right++
			} else if since > 110 {
				t.Fatalf("a second after %d ms were lost time stamps are off by %d ms", ms, off/1e6)
			}
		}
		if right < 1500 {
			t.Errorf("%d ms lost: %d of 3000 blocks in their place", ms, right)
		}
	}
}

func TestCards(t *testing.T) {
	sys := t.TempDir()
	for _, name := range []string{"pcmC0D0c", "pcmC0D0p", "pcmC1D2c", "controlC1", "pcmCxD0c"} {
		if err := os.MkdirAll(filepath.Join(sys, "class/sound", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(sys, "class/sound/card1"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(sys, "class/sound/card1/id"), []byte("Loopback\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(Cards(sys)); got != "[hw:0,0 hw:1,2 (Loopback)]" {
		t.Error(got)
	}
	if got := Cards(t.TempDir()); len(got) != 0 {
		t.Errorf("without sound: %v", got)
	}
}

func TestPath(t *testing.T) {
	for name, want := range map[string]string{
		"hw:1,0": "/dev/snd/pcmC1D0c", "hw:2": "/dev/snd/pcmC2D0c", "/dev/snd/pcmC3D1c": "/dev/snd/pcmC3D1c",
	} {
		if got, err := Path(name); err != nil || got != want {
			t.Errorf("Path(%q) = %q, %v", name, got, err)
		}
	}
	if _, err := Path("default"); err == nil || !strings.Contains(err.Error(), "hw:CARD") {
		t.Errorf("Path of nonsense: %v", err)
	}
}

// TestSilenceOfADeviceThatIsReset doesn't close it: it ends when the device goes.
func TestSilenceOfADeviceThatIsReset(t *testing.T) {
	c := usual(480, "silence", unix.ENODEV)
	c.clk = clock.NewHeld(began)
	excuses := 0
	s := New(Config{Path: "/dev/snd/pcmC1D0c", Clock: c.clk, Open: func(string) (PCM, error) { return pcm{c}, nil }, Excused: func() bool {
		excuses++
		c.reads = c.reads[1:]
		return true
	}})
	if err := s.Run(t.Context(), new(heard)); !errors.Is(err, unix.ENODEV) || excuses != 1 {
		t.Errorf("%v after %d excuses", err, excuses)
	}
}
