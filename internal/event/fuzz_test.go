package event

import (
	"os"
	"strings"
	"testing"
)

// FuzzParse holds that any bytes give an event or errors of one line each, and
// that an event's view parses to the same event.
func FuzzParse(f *testing.F) {
	example, err := os.ReadFile("testdata/example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Add([]byte(small))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Parse("event.yaml", data)
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !strings.HasPrefix(line, "event.yaml:") {
					t.Fatalf("error without a line number: %q", line)
				}
			}
			return
		}
		view, _, err := e.View()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseView(view)
		if err != nil {
			t.Fatalf("%v in the view\n%s", err, view)
		}
		second, _, _ := again.View()
		if string(second) != string(view) {
			t.Fatalf("view of the view\n%s\ninstead of\n%s", second, view)
		}
	})
}

// TestNesting: the parser recurses, so the size of a file bounds its stack.
func TestNesting(t *testing.T) {
	for _, open := range []string{"[", "{a: ", "- ", "? "} {
		text := strings.Repeat(open, maxFile/len(open))
		if _, err := Parse("event.yaml", []byte(text)); err == nil {
			t.Errorf("%d times %q is an event", maxFile/len(open), open)
		}
	}
	if _, err := Parse("event.yaml", make([]byte, maxFile+1)); err == nil {
		t.Error("a file of any size is read")
	}
}
