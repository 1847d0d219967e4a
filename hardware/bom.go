package hardware

import (
	_ "embed"
	"fmt"
	"slices"
	"sync"

	"github.com/goccy/go-yaml"
)

//go:embed bom.yaml
var bom []byte

// Part is a line of the bill of materials.
type Part struct {
	Use    string  `yaml:"use"`             // board, stick...; of parts with the same use one is needed
	Name   string  `yaml:"name"`            // what to look for in a shop
	Needs  string  `yaml:"needs"`           // what it must have
	Board  string  `yaml:"board,omitempty"` // the model of its profile
	Stick  string  `yaml:"stick,omitempty"` // the USB id of its profile
	Panel  string  `yaml:"panel,omitempty"` // the name of its profile
	Claims []Claim `yaml:"claims"`
}

// uses are what a box is made of.
var uses = []string{"board", "stick", "panel", "card", "supply", "cooling", "case", "wires", "cable"}

// Parts are the bill of materials.
var Parts = sync.OnceValue(func() []Part {
	p, err := parseParts(bom)
	if err != nil {
		panic(err) // it is part of the program, and a test reads it
	}
	return p
})

// parseParts reads a bill of materials; keys that it doesn't know are errors.
func parseParts(data []byte) (all []Part, err error) {
	if err := yaml.UnmarshalWithOptions(data, &all, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("bom.yaml: %w", err)
	}
	for _, p := range all {
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("bom.yaml: %q: %w", p.Name, err)
		}
	}
	for _, use := range uses {
		if !slices.ContainsFunc(all, func(p Part) bool { return p.Use == use }) {
			return nil, fmt.Errorf("bom.yaml: no %s: a box needs one", use)
		}
	}
	return all, nil
}

func (p Part) check() error {
	stick := slices.ContainsFunc(Sticks(), func(s Stick) bool { return slices.Contains(s.IDs, p.Stick) })
	board := slices.ContainsFunc(Boards(), func(b Board) bool { return b.Model == p.Board })
	_, panel := PanelNamed(p.Panel)
	switch {
	case p.Name == "" || p.Needs == "":
		return fmt.Errorf("name and needs must be given")
	case !slices.Contains(uses, p.Use):
		return fmt.Errorf("use is %q: must be one of %v", p.Use, uses)
	case board != (p.Use == "board"), stick != (p.Use == "stick"), panel != (p.Use == "panel"):
		return fmt.Errorf("board %q, stick %q, panel %q: a %s must name its profile, and no other", p.Board, p.Stick, p.Panel, p.Use)
	}
	return checkAll(p.Claims)
}
