// Package hardware holds what is known about the parts a box is made of, as
// data: profiles of capture sticks, boards and panels, what to buy, and how to
// wire it. Each claim says where it comes from and how surely it is known: seen
// on the part, on an emulated one, with a fake, read, reported, or not at all.
package hardware

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/goccy/go-yaml"
)

//go:embed sticks.yaml
var sticks []byte

// Stick is what is known about a model of capture stick.
type Stick struct {
	Name   string   `yaml:"name"`
	IDs    []string `yaml:"ids"`              // vendor:product, as lsusb writes them
	Prefer string   `yaml:"prefer,omitempty"` // pixel format to take where it can be had; V4L2's four letters
	Sound  Sound    `yaml:"sound,omitempty"`
	Status *Status  `yaml:"status,omitempty"` // nil: it doesn't tell about its signal
	Claims []Claim  `yaml:"claims"`
}

// Sound is what a stick's sound needs.
type Sound struct {
	// Offset is by how much the sound has to be put later to be with the picture.
	Offset time.Duration `yaml:"offset,omitempty"`
	// Interleaved says that it announces 96 kHz mono and sends 48 kHz stereo.
	Interleaved bool `yaml:"interleaved,omitempty"`
}

// Status says where the firmware keeps what it knows about the signal.
type Status struct {
	Reply  int   `yaml:"reply"`           // bytes of memory in each answer: 1 or 4
	Signal Bits  `yaml:"signal"`          // set: there is a signal
	Cable  *Bits `yaml:"cable,omitempty"` // set: a source is connected; nil: unknown
	Width  *Word `yaml:"width,omitempty"`
	Height *Word `yaml:"height,omitempty"`
	Rate   *Word `yaml:"rate,omitempty"` // frames a second
}

// Bits are bits of a byte.
type Bits struct {
	At       uint16 `yaml:"at"`
	Mask     uint8  `yaml:"mask"`
	Inverted bool   `yaml:"inverted,omitempty"` // clear where others are set
}

// Word is a number of two bytes.
type Word struct {
	At        uint16  `yaml:"at"`
	BigEndian bool    `yaml:"big_endian,omitempty"`
	Scale     float64 `yaml:"scale,omitempty"` // of its unit; 0: 1
}

// Sticks are all models that are known.
var Sticks = sync.OnceValue(func() []Stick {
	s, err := parse(sticks)
	if err != nil {
		panic(err) // it is part of the program, and a test reads it
	}
	return s
})

// StickOf finds the model of a USB device.
func StickOf(vendor, product uint16) (Stick, bool) {
	id := fmt.Sprintf("%04x:%04x", vendor, product)
	for _, s := range Sticks() {
		for _, i := range s.IDs {
			if i == id {
				return s, true
			}
		}
	}
	return Stick{}, false
}

// parse reads profiles; keys that it doesn't know are errors.
func parse(data []byte) (all []Stick, err error) {
	if err := yaml.UnmarshalWithOptions(data, &all, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("sticks.yaml: %w", err)
	}
	seen := map[string]string{}
	for _, s := range all {
		if err := s.check(seen); err != nil {
			return nil, fmt.Errorf("sticks.yaml: %s: %w", s.Name, err)
		}
	}
	return all, nil
}

// check says what is wrong with a profile.
func (s Stick) check(seen map[string]string) error {
	if s.Name == "" || len(s.IDs) == 0 {
		return fmt.Errorf("a name and ids must be given")
	}
	for _, id := range s.IDs {
		vendor, product, _ := strings.Cut(id, ":")
		if len(vendor) != 4 || len(product) != 4 {
			return fmt.Errorf("id %q: write it as 534d:2109", id)
		}
		if _, err := strconv.ParseUint(vendor+product, 16, 32); err != nil || strings.ToLower(id) != id {
			return fmt.Errorf("id %q: write it in lower-case hex digits", id)
		}
		if seen[id] != "" {
			return fmt.Errorf("id %s is that of %s too", id, seen[id])
		}
		seen[id] = s.Name
	}
	if err := checkAll(s.Claims); err != nil {
		return err
	}
	if t := s.Status; t != nil && (t.Reply != 1 && t.Reply != 4 || t.Signal.Mask == 0) {
		return fmt.Errorf("status: reply must be 1 or 4, signal's mask not 0")
	}
	return nil
}
