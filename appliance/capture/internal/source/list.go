package source

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/drivers/alsa"
	"github.com/openvideobox/videobox/drivers/ms213x"
	"github.com/openvideobox/videobox/drivers/usb"
	"github.com/openvideobox/videobox/drivers/v4l2"
	"github.com/openvideobox/videobox/hardware"
	"github.com/openvideobox/videobox/hardware/edid"
	"github.com/openvideobox/videobox/internal/program"
)

// List writes which capture devices there are, what they can do, and what would
// be chosen of it for c's size and rate, and why. The first one, if it can be used,
// is what v4l2:auto takes. That there is none is an error.
func List(w io.Writer, c program.Config) error {
	hw := Machine.withDefaults()
	v := videoConfig(hw, v4l2.Auto, c, nil)
	devices, err := v4l2.List(v)
	for i, d := range devices {
		describe(w, hw, d)
		if d.Input != nil {
			describeInput(w, d.Input, c)
			if i == 0 {
				fmt.Fprintln(w, "  --source v4l2:auto takes this device")
			}
			continue
		}
		m, why, err := v.Choose(d)
		if err != nil {
			fmt.Fprintf(w, "  can't be used: %v\n", err)
			continue
		}
		fmt.Fprintf(w, "  for %dx%d at %d it would take %v:\n    %s\n", c.Width, c.Height, c.Rate, m, why)
		if i == 0 {
			fmt.Fprintln(w, "  --source v4l2:auto takes this device")
		}
	}
	return err
}

// describe writes a device, its parts and its modes.
func describe(w io.Writer, hw Hardware, d v4l2.Device) {
	fmt.Fprintf(w, "%s  %s\n", d.Node, d.Card)
	if !d.OnUSB {
		fmt.Fprintln(w, "  not on USB: its sound must be named, as v4l2:auto,hw:0,0")
		for _, card := range alsa.Cards(hw.USB.Sys) {
			fmt.Fprintf(w, "  sound card %s\n", card)
		}
	} else {
		profile, known := hardware.StickOf(d.USB.Vendor, d.USB.Product)
		model := "a model that sticks.yaml doesn't know"
		if known {
			model = profile.Name
		}
		fmt.Fprintf(w, "  USB %v, %d Mbit/s: %s\n", d.USB, d.USB.Speed, model)
		if card, ok := first(d, usb.Device.Sound); ok {
			fmt.Fprintf(w, "  sound %s\n", card)
		} else {
			fmt.Fprintln(w, "  no sound card: silence")
		}
		if node, ok := first(d, usb.Device.HID); ok && profile.Status != nil {
			fmt.Fprintf(w, "  input %s\n", input(hw, node, *profile.Status))
		}
	}
	if d.Input != nil {
		return // it is read at the size and rate of its signal
	}
	for _, line := range modes(d.Modes) {
		fmt.Fprintf(w, "  %s\n", line)
	}
}

// describeInput writes what an input says about its signal, and about its EDID
// beside that of the profile for c.
func describeInput(w io.Writer, i *v4l2.InputInfo, c program.Config) {
	signal := i.Cause
	if i.State == drivers.Streaming {
		signal = i.Signal.String()
	}
	fmt.Fprintf(w, "  input %s\n", signal)
	if text := v4l2.StatusText(i.Status); text != "" {
		fmt.Fprintf(w, "  input's status: %s\n", text)
	}
	fmt.Fprintf(w, "  set to %v\n", i.Set)
	want := edid.For(c.Height, c.Rate)
	is, err := edid.Parse(i.EDID)
	if i.EDIDErr != nil {
		err = i.EDIDErr
	}
	switch {
	case err != nil:
		fmt.Fprintf(w, "  EDID: %v; capture would write profile %s\n", err, want.Name)
	case v4l2.EDIDMismatch(want.Bytes, i.EDID) == "":
		fmt.Fprintf(w, "  EDID: profile %s, %v\n", want.Name, is)
	default:
		fmt.Fprintf(w, "  EDID: %v; capture would write profile %s\n", is, want.Name)
	}
}

// input asks a stick what is on its cable.
func input(hw Hardware, node string, where hardware.Status) string {
	t, err := hw.HID(node)
	if err != nil {
		return err.Error()
	}
	defer t.Close()
	s, err := ms213x.Read(t, statusMap(where))
	if err != nil {
		return err.Error()
	}
	return s.String()
}

// modes gives a line for each format and size, with its rates.
func modes(all []v4l2.Mode) (lines []string) {
	rates := map[string][]string{}
	for _, m := range all {
		name := fmt.Sprintf("%s %dx%d", m.Pixel, m.Width, m.Height)
		if rates[name] == nil {
			lines = append(lines, name)
		}
		if r := fmt.Sprintf("%.4g", m.Rate); !slices.Contains(rates[name], r) {
			rates[name] = append(rates[name], r)
		}
	}
	for i, name := range lines {
		lines[i] = fmt.Sprintf("%-15s %s", name, strings.Join(rates[name], " "))
	}
	return lines
}
