package hardware

import (
	"fmt"
	"slices"
	"strings"
)

// Claim is one thing that is said about a part.
type Claim struct {
	Says  string `yaml:"says"`
	From  string `yaml:"from,omitempty"` // who says so: page, file, issue
	Known Known  `yaml:"known"`
	// By is the test that shows it, its folder and its name: "display/tft TestBytes".
	By string `yaml:"by,omitempty"`
}

// Known is how something is known.
type Known string

// The ways, the surest first.
const (
	OnTheBus   Known = "bus"        // seen on the part itself; By names the test
	Emulated   Known = "emulated"   // seen on a virtual machine's bus, with the part in software; By names the test
	WithAFake  Known = "fake"       // seen with a fake of the part or a recording bus; By names the test
	Datasheet  Known = "datasheet"  // read in the maker's datasheet or page, which From names
	Reported   Known = "reported"   // somebody else has found it out, whom From names
	Unverified Known = "unverified" // nobody of this project has looked; check it at the part
)

// Ways are all of them, the surest first.
var Ways = []Known{OnTheBus, Emulated, WithAFake, Datasheet, Reported, Unverified}

// check says what is wrong with a claim.
func (c Claim) check() error {
	folder, name, _ := strings.Cut(c.By, " ")
	test := folder != "" && strings.HasPrefix(name, "Test")
	shown := c.Known == OnTheBus || c.Known == Emulated || c.Known == WithAFake
	switch {
	case c.Says == "":
		return fmt.Errorf("claim without says")
	case !slices.Contains(Ways, c.Known):
		return fmt.Errorf("claim %q: known is %q: must be one of %v", c.Says, c.Known, Ways)
	case shown && !test:
		return fmt.Errorf("claim %q: by is %q: must name a test, as in display/tft TestBytes", c.Says, c.By)
	case !shown && c.By != "":
		return fmt.Errorf("claim %q: by names a test, so it must be known by bus, emulated or fake", c.Says)
	case c.Known == Datasheet && !strings.Contains(c.From, "https://") && !strings.Contains(c.From, "datasheet"):
		return fmt.Errorf("claim %q: from is %q: must name the datasheet or the page, with https://", c.Says, c.From)
	case c.Known == Reported && c.From == "":
		return fmt.Errorf("claim %q: from must say who reports it", c.Says)
	}
	return nil
}

func checkAll(claims []Claim) error {
	if len(claims) == 0 {
		return fmt.Errorf("claims must be given")
	}
	for _, c := range claims {
		if err := c.check(); err != nil {
			return err
		}
	}
	return nil
}
