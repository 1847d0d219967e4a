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

//go:embed boards.yaml
var boards []byte

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

// Board is what a box is built on.
type Board struct {
	Model   string `yaml:"model"` // the beginning of it
	Panel   string `yaml:"panel,omitempty"`
	Preset  string `yaml:"preset,omitempty"`  // of x264; empty: superfast
	Threads int    `yaml:"threads,omitempty"` // of x264; 0: one
}

// Panels are all that are known.
var Panels = sync.OnceValue(func() []Panel {
	p, _, err := parsePanels(panels, boards)
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

// BoardNamed finds a board by what the device tree calls it.
func BoardNamed(model string) (Board, bool) {
	_, all, err := parsePanels(panels, boards)
	if err != nil {
		panic(err)
	}
	for _, b := range all {
		if strings.HasPrefix(model, b.Model) {
			return b, true
		}
	}
	return Board{}, false
}

func parsePanels(panels, boards []byte) (p []Panel, b []Board, err error) {
	if err := yaml.UnmarshalWithOptions(panels, &p, yaml.Strict()); err != nil {
		return nil, nil, fmt.Errorf("panels.yaml: %w", err)
	}
	if err := yaml.UnmarshalWithOptions(boards, &b, yaml.Strict()); err != nil {
		return nil, nil, fmt.Errorf("boards.yaml: %w", err)
	}
	names := map[string]bool{"": true}
	for _, p := range p {
		if err := p.check(names); err != nil {
			return nil, nil, fmt.Errorf("panels.yaml: %s: %w", p.Name, err)
		}
	}
	for _, b := range b {
		if b.Model == "" || !names[b.Panel] {
			return nil, nil, fmt.Errorf("boards.yaml: %q: model must be given, and panel %q be known", b.Model, b.Panel)
		}
		if b.Threads < 0 || b.Threads > 16 {
			return nil, nil, fmt.Errorf("boards.yaml: %q: %d threads: must be from 0 to 16", b.Model, b.Threads)
		}
	}
	return p, b, nil
}

func (p Panel) check(names map[string]bool) error {
	switch {
	case names[p.Name]:
		return fmt.Errorf("a name of its own must be given")
	case p.Width < 1 || p.Height < 1 || p.Clock < 1:
		return fmt.Errorf("width, height and clock must be given")
	case !strings.HasPrefix(p.Bus, "SPI") || !strings.HasPrefix(p.Data, "GPIO"):
		return fmt.Errorf("bus %q, data %q: write SPI0.0 and GPIO25", p.Bus, p.Data)
	case len(p.Claims) == 0:
		return fmt.Errorf("claims must be given")
	}
	names[p.Name] = true
	return nil
}
