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
