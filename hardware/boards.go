package hardware

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
)

//go:embed boards.yaml
var boards []byte

// Board is what a box is built on.
type Board struct {
	Model  string `yaml:"model"` // the beginning of it
	Panel  string `yaml:"panel,omitempty"`
	Preset string `yaml:"preset,omitempty"` // of x264; empty: as Presets says
	// Presets are x264's by the least number of cores for each; none: superfast.
	Presets  map[int]string `yaml:"presets,omitempty"`
	Threads  int            `yaml:"threads,omitempty"`  // of x264; 0: as Spare says
	Spare    int            `yaml:"spare,omitempty"`    // cores left to the rest; 0 and no Threads: one thread
	Firmware []string       `yaml:"firmware,omitempty"` // files below /lib/firmware that its graphics driver asks for
	Claims   []Claim        `yaml:"claims"`
}

// AnyPC is the model of a PC that no other entry fits.
const AnyPC = "PC"

// Boards are all that are known.
var Boards = sync.OnceValue(func() []Board {
	b, err := parseBoards(boards, Panels())
	if err != nil {
		panic(err) // it is part of the program, and a test reads it
	}
	return b
})

// BoardNamed finds a board by what the device tree calls it, a PC by what its
// firmware calls it, or by AnyPC.
func BoardNamed(model string) (Board, bool) {
	for _, b := range Boards() {
		if strings.HasPrefix(model, b.Model) {
			return b, true
		}
	}
	return Board{}, false
}

// EncoderPreset is x264's preset on a board of so many cores; "" if the profile
// has none.
func (b Board) EncoderPreset(cores int) string {
	preset, most := b.Preset, 0
	for least, p := range b.Presets {
		if most < least && least <= cores {
			preset, most = p, least
		}
	}
	return preset
}

// EncoderThreads is how many threads x264 gets on a board of so many cores.
func (b Board) EncoderThreads(cores int) int {
	switch {
	case b.Threads > 0:
		return b.Threads
	case b.Spare > 0:
		return min(max(cores-b.Spare, 1), mostThreads)
	}
	return 1
}

// mostThreads is where more slices of a picture only cost quality.
const mostThreads = 16

// parseBoards reads profiles; keys that it doesn't know are errors.
func parseBoards(data []byte, panels []Panel) (all []Board, err error) {
	if err := yaml.UnmarshalWithOptions(data, &all, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("boards.yaml: %w", err)
	}
	known := map[string]bool{"": true}
	for _, p := range panels {
		known[p.Name] = true
	}
	for i, b := range all {
		if err := b.check(all[:i], known); err != nil {
			return nil, fmt.Errorf("boards.yaml: %q: %w", b.Model, err)
		}
	}
	return all, nil
}

func (b Board) check(before []Board, panels map[string]bool) error {
	for _, o := range before {
		if strings.HasPrefix(b.Model, o.Model) {
			return fmt.Errorf("is never found: %q stands before it", o.Model)
		}
	}
	switch {
	case b.Model == "" || !panels[b.Panel]:
		return fmt.Errorf("model must be given, and panel %q be known", b.Panel)
	case b.Threads < 0 || b.Threads > mostThreads || b.Spare < 0:
		return fmt.Errorf("%d threads, %d spare: must be from 0 to %d", b.Threads, b.Spare, mostThreads)
	case b.Threads > 0 && b.Spare > 0:
		return fmt.Errorf("threads and spare: give one of them")
	case b.Preset != "" && len(b.Presets) > 0:
		return fmt.Errorf("preset and presets: give one of them")
	case len(b.Presets) > 0 && b.Presets[1] == "":
		return fmt.Errorf("presets: one for 1 core and more must be there")
	}
	return checkAll(b.Claims)
}
