package drivers

import (
	"errors"
	"io/fs"
	"testing"
)

func TestStatesAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for s := Starting; s <= Streaming; s++ {
		if seen[s.String()] {
			t.Errorf("%d: %q again", s, s)
		}
		seen[s.String()] = true
		if bad := s != Starting && s != Streaming; bad != (s.Advice() != "") {
			t.Errorf("%v: advice %q", s, s.Advice())
		}
	}
	if s := State(99).String(); s != "state 99" {
		t.Error(s)
	}
}

func TestErrorKeepsItsCause(t *testing.T) {
	var err error = &Error{NoDevice, fs.ErrNotExist}
	if !errors.Is(err, fs.ErrNotExist) || err.Error() != fs.ErrNotExist.Error() {
		t.Error(err)
	}
}
