package main

import (
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpioreg"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi/spireg"
	"periph.io/x/host/v3"

	"github.com/openvideobox/videobox/display/boxserial"
	"github.com/openvideobox/videobox/display/fb"
	"github.com/openvideobox/videobox/display/tft"
	"github.com/openvideobox/videobox/hardware"
)

// framebuffers are HDMI and whatever else the kernel has a driver for.
var framebuffers = kind{"device", fb.List, func(name string) (panel, error) { return orNil(fb.Open(name)) }}

// serials are the displays of FOSDEM's boxes.
var serials = kind{"device", boxserial.List, func(name string) (panel, error) { return orNil(boxserial.Open(name)) }}

// orNil keeps a nil pointer from becoming a panel.
func orNil[P panel](p P, err error) (panel, error) {
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Values of --panel that are no panel's name.
const (
	panelAuto = "auto"
	panelNone = "none"
)

// panelFile names the panel of a box whose board has another one than ours.
const panelFile = "/perm/panel"

// choosePanel finds the SPI panel's profile; ok is false where there is none.
// Auto is what a person has written into the file, else what is on our box with
// this board.
func choosePanel(name, file, model string) (p hardware.Panel, ok bool, err error) {
	if name == panelAuto {
		board, _ := hardware.BoardNamed(model)
		name = board.Panel
		if written, err := os.ReadFile(file); err == nil {
			name = strings.TrimSpace(string(written))
		}
	}
	if name == panelNone || name == "" {
		return p, false, nil
	}
	if p, ok = hardware.PanelNamed(name); !ok {
		return p, false, fmt.Errorf("panel %q is not known; known are %s", name, strings.Join(panelNames(), ", "))
	}
	return p, true, nil
}

func panelNames() (names []string) {
	for _, p := range hardware.Panels() {
		names = append(names, p.Name)
	}
	return append(names, panelAuto, panelNone)
}

// boardModel is what the device tree calls this board; "" on a PC.
func boardModel() string {
	data, _ := os.ReadFile("/proc/device-tree/model")
	return strings.TrimRight(string(data), "\x00\n")
}

// spiPanel is a panel as a kind of screens: it is there when its bus is.
func spiPanel(p hardware.Panel, dev string) kind {
	node := filepath.Join(dev, "spidev"+strings.TrimPrefix(p.Bus, "SPI"))
	return kind{"device", func() []string {
		if _, err := os.Stat(node); err != nil {
			return nil
		}
		return []string{p.Name}
	}, func(string) (panel, error) { return openSPI(p) }}
}

// drivers are periph's for this host.
var drivers = sync.OnceValue(func() error { _, err := host.Init(); return err })

func openSPI(p hardware.Panel) (panel, error) {
	if err := drivers(); err != nil {
		return nil, fmt.Errorf("panel: %w", err)
	}
	var lines tft.Lines
	for name, to := range map[string]*gpio.PinOut{p.Data: &lines.Data, p.Reset: &lines.Reset, p.Light: &lines.Light} {
		if name == "" {
			continue
		}
		pin := gpioreg.ByName(name)
		if pin == nil {
			return nil, fmt.Errorf("panel %s: this board has no %s", p.Name, name)
		}
		*to = pin
	}
	bus, err := spireg.Open(p.Bus)
	if err != nil {
		return nil, fmt.Errorf("panel %s: %w", p.Name, err)
	}
	opened, err := tft.New(bus, lines, panelConfig(p), time.Sleep)
	if err != nil {
		return nil, errors.Join(err, bus.Close())
	}
	return opened, nil
}

func panelConfig(p hardware.Panel) tft.Config {
	return tft.Config{
		Chip: tft.Chip(p.Chip), Width: p.Width, Height: p.Height, Left: p.Left, Top: p.Top,
		Rotate: p.Rotate, BGR: p.BGR, Invert: p.Invert, Clock: physic.Frequency(p.Clock) * physic.MegaHertz,
	}
}

var _ = []panel{(*fb.Screen)(nil), (*tft.Panel)(nil), (*boxserial.Display)(nil), file{size: image.Point{}}}
