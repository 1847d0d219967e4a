package hardware

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every test that a claim names is there.
func TestClaimsNameTests(t *testing.T) {
	n := 0
	for _, a := range Claims() {
		for _, c := range a.Claims {
			if c.By == "" {
				continue
			}
			n++
			if err := exists("..", c.By); err != nil {
				t.Errorf("%s: %q: %v", a.Part, c.Says, err)
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
	for _, by := range []string{"hardware TestClaims", "hardware TestNone", "display/none TestBytes", "hardware parse"} {
		if exists("..", by) == nil {
			t.Errorf("%s is found", by)
		}
	}
}
