package hardware

import (
	_ "embed"
	"fmt"
	"slices"
	"sync"

	"github.com/goccy/go-yaml"
)

//go:embed wiring.yaml
var wiring []byte

// Wiring says how panels are wired to the board's header.
type Wiring struct {
	Header [][2]string    `yaml:"header"` // 20 rows: what pins 2i-1 and 2i carry
	Buses  map[string]Bus `yaml:"buses"`  // by name: SPI0.0
	Claims []Claim        `yaml:"claims"`
	Panels []Harness      `yaml:"panels"`
}

// Bus is an SPI bus with one chip select, as lines of the header.
type Bus struct {
	MOSI   string `yaml:"mosi"`
	MISO   string `yaml:"miso"`
	Clock  string `yaml:"clock"`
	Select string `yaml:"select"`
}

// Harness is the wires of one panel.
type Harness struct {
	Panel  string   `yaml:"panel"`
	Wires  []Wire   `yaml:"wires"`          // in the order of the panel's pins
	Open   []string `yaml:"open,omitempty"` // pins of the panel that stay free
	Claims []Claim  `yaml:"claims"`
}

// Wire is one wire.
type Wire struct {
	Pin     string `yaml:"pin"`     // as printed on the panel
	Header  int    `yaml:"header"`  // 1 to 40
	Carries string `yaml:"carries"` // 3V3, 5V, GND, or a signal: mosi, miso, clock, select, data, reset, light
	Colour  string `yaml:"colour"`  // a name in Colours
}

// Colours are those that wires are sold in, as red, green and blue.
var Colours = map[string][3]uint8{
	"red": {208, 32, 32}, "black": {24, 24, 24}, "orange": {240, 136, 16}, "brown": {128, 76, 36}, "green": {24, 144, 56},
	"blue": {32, 88, 208}, "purple": {136, 48, 176}, "grey": {128, 128, 128}, "yellow": {216, 184, 0},
}

// Wires are all that is known about wiring.
var Wires = sync.OnceValue(func() Wiring {
	w, err := parseWiring(wiring)
	if err != nil {
		panic(err) // it is part of the program, and a test reads it
	}
	return w
})

// Line is what a pin of the header carries: a GPIO line, 3V3, 5V or GND.
func (w Wiring) Line(pin int) string {
	if pin < 1 || pin > 2*len(w.Header) {
		return ""
	}
	return w.Header[(pin-1)/2][(pin-1)%2]
}

// parseWiring reads a wiring; keys that it doesn't know are errors.
func parseWiring(data []byte) (w Wiring, err error) {
	if err := yaml.UnmarshalWithOptions(data, &w, yaml.Strict()); err != nil {
		return w, fmt.Errorf("wiring.yaml: %w", err)
	}
	if len(w.Header) != 20 {
		return w, fmt.Errorf("wiring.yaml: header of %d rows: the board's has 20", len(w.Header))
	}
	if err := checkAll(w.Claims); err != nil {
		return w, fmt.Errorf("wiring.yaml: %w", err)
	}
	for _, h := range w.Panels {
		if err := w.check(h); err != nil {
			return w, fmt.Errorf("wiring.yaml: %s: %w", h.Panel, err)
		}
	}
	return w, nil
}

// check says what is wrong with a panel's wires.
func (w Wiring) check(h Harness) error {
	panel, ok := PanelNamed(h.Panel)
	if !ok {
		return fmt.Errorf("no panel of panels.yaml")
	}
	carried, err := w.carried(panel)
	if err != nil {
		return err
	}
	pins, headers := slices.Clone(h.Open), []int{}
	for _, x := range h.Wires {
		line, known := carried[x.Carries]
		_, colour := Colours[x.Colour]
		switch {
		case slices.Contains(pins, x.Pin):
			return fmt.Errorf("pin %s of the panel twice", x.Pin)
		case slices.Contains(headers, x.Header):
			return fmt.Errorf("pin %d of the header twice", x.Header)
		case !known || line == "":
			return fmt.Errorf("pin %s carries %q, which this panel has not", x.Pin, x.Carries)
		case w.Line(x.Header) != line:
			return fmt.Errorf("pin %s carries %s, so %s, but pin %d of the header is %q", x.Pin, x.Carries, line, x.Header, w.Line(x.Header))
		case !colour:
			return fmt.Errorf("pin %s: no wire is %q", x.Pin, x.Colour)
		}
		pins, headers = append(pins, x.Pin), append(headers, x.Header)
		delete(carried, x.Carries)
	}
	return complete(h, carried)
}

// carried is on which line of the header a panel needs what.
func (w Wiring) carried(p Panel) (map[string]string, error) {
	bus, ok := w.Buses[p.Bus]
	if !ok {
		return nil, fmt.Errorf("bus %s is not in buses", p.Bus)
	}
	return map[string]string{
		"3V3": "3V3", "5V": "5V", "GND": "GND",
		"mosi": bus.MOSI, "miso": bus.MISO, "clock": bus.Clock, "select": bus.Select,
		"data": p.Data, "reset": p.Reset, "light": p.Light,
	}, nil
}

// complete says which wire is missing; left is what no wire carries.
func complete(h Harness, left map[string]string) error {
	_, no3V3 := left["3V3"]
	_, no5V := left["5V"]
	if no3V3 == no5V {
		return fmt.Errorf("one wire must carry 3V3 or 5V")
	}
	for _, need := range []string{"GND", "mosi", "clock", "select", "data", "reset", "light"} {
		if line := left[need]; line != "" {
			return fmt.Errorf("no wire carries %s, which the panel's profile has on %s", need, line)
		}
	}
	return checkAll(h.Claims)
}
