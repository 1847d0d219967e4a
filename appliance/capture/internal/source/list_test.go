package source

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/openvideobox/videobox/drivers/drivertest"
	"github.com/openvideobox/videobox/drivers/usb"
	"github.com/openvideobox/videobox/drivers/v4l2"
	"github.com/openvideobox/videobox/hardware/edid"
	"github.com/openvideobox/videobox/internal/program"
)

// TestListOfCards: what a device that tells about its signal says, in each case.
func TestListOfCards(t *testing.T) {
	card := drivertest.NewCard(clocks)
	Machine = Hardware{Kernel: card, USB: usb.Root{Sys: t.TempDir()}}
	defer func() { Machine = Hardware{} }()
	if err := os.MkdirAll(filepath.Join(Machine.USB.Sys, "class/sound/pcmC1D0c"), 0o755); err != nil {
		t.Fatal(err)
	}
	event := program.Config{Width: 1280, Height: 720, Rate: 25}
	for _, c := range []struct {
		want   string
		change func(s *drivertest.CardState)
	}{
		{"  not on USB: its sound must be named, as v4l2:auto,hw:0,0\n  sound card hw:1,0\n", func(*drivertest.CardState) {}},
		{"input 320x180 at 10 Hz\n  set to 320x180 at 10 Hz\n  EDID: no EDID; capture would write profile 720p50\n  --source v4l2:auto takes", func(*drivertest.CardState) {}},
		{"EDID: profile 720p50, \"videobox\", prefers 1280x720 at 50 Hz, 2 blocks\n", func(s *drivertest.CardState) { s.EDID = edid.For(720, 25).Bytes }},
		{"prefers 1920x1080 at 60 Hz, 2 blocks; capture would write profile 720p50\n", func(s *drivertest.CardState) { s.EDID = edid.For(1080, 60).Bytes }},
		{"EDID: block 1: its bytes add up", func(s *drivertest.CardState) { s.EDID = slices.Clone(s.EDID); s.EDID[200]++ }},
		{"input no HDMI cable is plugged in, or what is at its other end is off\n  input's status: no signal\n", func(s *drivertest.CardState) {
			s.Signal, s.Status, s.NoPower = drivertest.Steady(v4l2.Timings{}, syscall.ENOLINK), 2, true
		}},
	} {
		card.Do(c.change)
		var b strings.Builder
		if err := List(&b, event); err != nil || !strings.Contains(b.String(), c.want) {
			t.Errorf("%v: got\n%s\nwant\n%s", err, b.String(), c.want)
		}
	}
}

// webcam is a kernel with one before the card, an infrared one maybe.
type webcam struct {
	v4l2.Kernel
	infrared bool
}

func (k webcam) Nodes() ([]string, error) { return []string{"/dev/video7", "/dev/video0"}, nil }

func (k webcam) Modes(node string) (string, []v4l2.Mode, error) {
	if node == "/dev/video7" && k.infrared {
		return "infrared", []v4l2.Mode{{Width: 640, Height: 360, Rate: 15, Pixel: "GREY"}}, nil
	}
	return k.Kernel.Modes(node)
}

func (k webcam) Input(node string) (v4l2.Input, error) {
	if node == "/dev/video7" {
		return nil, v4l2.ErrNoTimings
	}
	return k.Kernel.Input(node)
}

// plain is a card that doesn't tell about its signal.
type plain struct{ v4l2.Kernel }

func (plain) Input(string) (v4l2.Input, error) { return nil, v4l2.ErrNoTimings }

// TestListSaysWhichIsTaken: the same one that v4l2:auto takes, whatever its number.
func TestListSaysWhichIsTaken(t *testing.T) {
	defer func() { Machine = Hardware{} }()
	card := drivertest.NewCard(clocks)
	for _, c := range []struct {
		name  string
		k     v4l2.Kernel
		order []string // of the nodes
	}{
		{"a card before webcams", webcam{Kernel: card}, []string{"/dev/video0", "/dev/video7"}},
		{"two webcams", plain{webcam{Kernel: card}}, []string{"/dev/video7", "/dev/video0"}},
		{"not one that can't be used", plain{webcam{card, true}}, []string{"/dev/video0", "/dev/video7"}},
	} {
		Machine = Hardware{Kernel: c.k, USB: usb.Root{Sys: t.TempDir()}}
		var b strings.Builder
		if err := List(&b, program.Config{Width: 1280, Height: 720, Rate: 25}); err != nil {
			t.Fatal(err)
		}
		first, second, found := strings.Cut(b.String(), "\n"+c.order[1])
		const taken = "--source v4l2:auto takes this device\n"
		if !found || !strings.HasPrefix(first, c.order[0]) || !strings.HasSuffix(first+"\n", taken) || strings.Contains(second, taken) {
			t.Errorf("%s: got\n%s", c.name, b.String())
		}
	}
}

var update = flag.Bool("update", false, "write the golden files anew")

func TestList(t *testing.T) {
	s := drivertest.NewStick(t.TempDir(), drivertest.Config{})
	defer s.Close()
	Machine = Hardware{Kernel: s.Kernel(), USB: s.USB(), PCM: s.PCM, HID: s.HID}
	defer func() { Machine = Hardware{} }()
	var b strings.Builder
	if err := List(&b, program.Config{Width: 1280, Height: 720, Rate: 25}); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "list.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || b.String() != string(want) {
		t.Errorf("%v; got\n%s\nwant\n%s", err, b.String(), want)
	}
	if err := s.Command("unplug"); err != nil {
		t.Fatal(err)
	}
	if err := List(&b, program.Config{Width: 1280, Height: 720, Rate: 25}); err == nil || !strings.Contains(err.Error(), "there is no capture device") {
		t.Errorf("nothing there: %v", err)
	}
}
