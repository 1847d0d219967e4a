// Package edid holds the EDIDs that HDMI inputs of boxes are given, as bytes and
// as the text they are made of, and reads those of others.
//
// From VESA E-EDID Release A2 (EDID 1.3 base block), CTA-861-G (extension, video
// codes and timings) and HDMI 1.4 section 8.3.2 (its vendor block). Tested on
// the kernel's vivid alone.
package edid

import (
	"embed"
	"fmt"
	"slices"
	"sync"

	"github.com/goccy/go-yaml"
)

//go:embed profiles.yaml
var text []byte

//go:embed *.bin
var files embed.FS

// Profile is one EDID.
type Profile struct {
	Name  string `yaml:"name"` // the mode that it prefers, and its file without .bin
	For   string `yaml:"for"`  // when to take it
	Bytes []byte `yaml:"-"`    // two blocks of 128
}

// source is profiles.yaml.
type source struct {
	Maker       string    `yaml:"maker"`
	Product     uint16    `yaml:"product"`
	Year        int       `yaml:"year"`
	Centimetres [2]uint8  `yaml:"centimetres"`
	Modes       []string  `yaml:"modes"`
	Audio       Audio     `yaml:"audio"`
	Profiles    []Profile `yaml:"profiles"`
}

// Audio is LPCM of one kind.
type Audio struct {
	Channels int `yaml:"channels"`
	Hertz    int `yaml:"hertz"`
	Bits     int `yaml:"bits"`
}

// Profiles are all that there are.
var Profiles = sync.OnceValue(func() []Profile {
	s, err := parseText(text)
	if err != nil {
		panic(err) // it is part of the program, and a test reads it
	}
	for i := range s.Profiles {
		p := &s.Profiles[i]
		if p.Bytes, err = files.ReadFile(p.Name + ".bin"); err == nil {
			_, err = Parse(p.Bytes)
		}
		if err != nil {
			panic(fmt.Errorf("%s.bin: %w", p.Name, err))
		}
	}
	return s.Profiles
})

// Named finds a profile.
func Named(name string) (Profile, bool) {
	for _, p := range Profiles() {
		if p.Name == name {
			return p, true
		}
	}
	return Profile{}, false
}

// For is the profile for an output of that many rows and frames a second: of
// what the input can get, a rate that is a multiple of it.
func For(height, rate int) Profile {
	name := "1080p"
	if height <= 720 {
		name = "720p"
	}
	if rate > 0 && 60%rate != 0 && 50%rate == 0 {
		name += "50"
	} else {
		name += "60"
	}
	p, _ := Named(name)
	return p
}

// parseText reads profiles.yaml; keys that it doesn't know are errors.
func parseText(data []byte) (s source, err error) {
	if err := yaml.UnmarshalWithOptions(data, &s, yaml.Strict()); err != nil {
		return s, fmt.Errorf("profiles.yaml: %w", err)
	}
	if len(s.Maker) != 3 || len(s.Profiles) == 0 {
		return s, fmt.Errorf("profiles.yaml: a maker of three letters and profiles must be given")
	}
	for _, m := range s.Modes {
		if _, ok := modeNamed(m); !ok {
			return s, fmt.Errorf("profiles.yaml: mode %s: one of %v would be right", m, modeNames())
		}
	}
	for _, p := range s.Profiles {
		if !slices.Contains(s.Modes, p.Name) {
			return s, fmt.Errorf("profiles.yaml: profile %s prefers what isn't among modes", p.Name)
		}
	}
	return s, nil
}
