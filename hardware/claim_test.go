package hardware

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// about is a part with what is said of it.
type about struct {
	part   string
	claims []Claim
}

// allClaims are the claims of every file, in the order of the tables.
func allClaims() (all []about) {
	for _, p := range Parts() {
		all = append(all, about{p.Name, p.Claims})
	}
	for _, b := range Boards() {
		all = append(all, about{"board " + b.Model, b.Claims})
	}
	for _, s := range Sticks() {
		all = append(all, about{"stick " + s.Name, s.Claims})
	}
	for _, p := range Panels() {
		all = append(all, about{"panel " + p.Name, p.Claims})
	}
	all = append(all, about{"header", Wires().Claims})
	for _, h := range Wires().Panels {
		all = append(all, about{"wires to " + h.Panel, h.Claims})
	}
	return all
}

// Every test that a claim names is there.
func TestClaimsNameTests(t *testing.T) {
	n := 0
	for _, a := range allClaims() {
		for _, c := range a.claims {
			if c.By == "" {
				continue
			}
			n++
			if err := exists("..", c.By); err != nil {
				t.Errorf("%s: %q: %v", a.part, c.Says, err)
			}
		}
	}
	if n < 10 {
		t.Errorf("%d claims name a test", n)
	}
}

// exists looks for the function in the test files of its folder.
func exists(root, by string) error {
	folder, name, _ := strings.Cut(by, " ")
	files, err := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
	if err != nil {
		return err
	}
	function := regexp.MustCompile(`(?m)^func ` + regexp.QuoteMeta(name) + `\(\w+ \*testing\.T\)`)
	for _, f := range files {
		if data, err := os.ReadFile(f); err != nil || function.Match(data) {
			return err
		}
	}
	return fmt.Errorf("%s: none of %d files has this test", by, len(files))
}

func TestClaimsOfNoTestAreFound(t *testing.T) {
	if err := exists("..", "hardware TestClaimsOfNoTestAreFound"); err != nil {
		t.Error(err)
	}
	for _, by := range []string{"hardware TestClaims", "hardware TestNone", "display/none TestBytes", "hardware allClaims"} {
		if exists("..", by) == nil {
			t.Errorf("%s is found", by)
		}
	}
}
