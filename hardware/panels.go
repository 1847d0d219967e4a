package hardware

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
)

//go:embed panels.yaml
var panels []byte

// Panel is a small screen on an SPI bus.
type Panel struct {
	Name   string `yaml:"name"` // as --panel of preview takes it
	Title  string `yaml:"title"`
	Chip   string `yaml:"chip"` // st7789 or ili9341
	Width  int    `yaml:"width"`
	Height int    `yaml:"height"`
	Left   int    `yaml:"left,omitempty"`
	Top    int    `yaml:"top,omitempty"`
	Rotate int    `yaml:"rotate,omitempty"` // degrees clockwise
	BGR    bool   `yaml:"bgr,omitempty"`
	Invert bool   `yaml:"invert,omitempty"`
	Clock  int    `yaml:"clock"` // MHz
	Bus    string `yaml:"bus"`   // SPI0.0: bus and chip select
	// Lines, GPIO25; Reset and Light may be empty.
	Data   string  `yaml:"data"`
	Reset  string  `yaml:"reset,omitempty"`
	Light  string  `yaml:"light,omitempty"`
	Claims []Claim `yaml:"claims"`
}

// Panels are all that are known.
var Panels = sync.OnceValue(func() []Panel {
	p, err := parsePanels(panels)
	if err != nil {
		panic(err) // it is part of the program, and a test reads it
	}
	return p
})

// PanelNamed finds a panel by its name.
func PanelNamed(name string) (Panel, bool) {
	for _, p := range Panels() {
		if p.Name == name {
			return p, true
		}
	}
	return Panel{}, false
}

// parsePanels reads profiles; keys that it doesn't know are errors.
func parsePanels(data []byte) (all []Panel, err error) {
	if err := yaml.UnmarshalWithOptions(data, &all, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("panels.yaml: %w", err)
	}
	names := map[string]bool{"": true}
	for _, p := range all {
		if err := p.check(names); err != nil {
			return nil, fmt.Errorf("panels.yaml: %s: %w", p.Name, err)
		}
	}
	return all, nil
}

func (p Panel) check(names map[string]bool) error {
	switch {
	case names[p.Name]:
		return fmt.Errorf("a name of its own must be given")
	case p.Width < 1 || p.Height < 1 || p.Clock < 1:
		return fmt.Errorf("width, height and clock must be given")
	case !strings.HasPrefix(p.Bus, "SPI") || !strings.HasPrefix(p.Data, "GPIO"):
		return fmt.Errorf("bus %q, data %q: write SPI0.0 and GPIO25", p.Bus, p.Data)
	}
	names[p.Name] = true
	return checkAll(p.Claims)
}
