package update

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"testing/iotest"
)

// TestRefusalIsTold until something goes well; a network that breaks is none.
func TestRefusalIsTold(t *testing.T) {
	r := newRig(t)
	file := pack(t, manifest(), testKey, content(3<<20))
	code, s, text := r.ask("PUT", "/api/update", io.MultiReader(bytes.NewReader(file[:2<<20]), iotest.ErrReader(io.ErrClosedPipe)))
	if code != http.StatusInternalServerError || text != "the connection broke: "+io.ErrClosedPipe.Error() {
		t.Errorf("broken off: %d %q", code, text)
	}
	if s = r.u.Status(); s.State != Receiving || s.Refusal != nil {
		t.Errorf("broken off: %+v, %+v", s, s.Refusal)
	}
	if code, _, _ := r.ask("PUT", "/api/update", bytes.NewReader(pack(t, manifest(), otherKey, content(5000)))); code != http.StatusForbidden {
		t.Errorf("another key: %d", code)
	}
	if s = r.u.Status(); s.Refusal == nil || s.Incoming.Received == 0 {
		t.Fatalf("another key: %+v, %+v", s, s.Refusal)
	}
	at := s.Incoming.Received
	r.must("PUT", "/api/update?offset="+itoa(at), bytes.NewReader(file[at:]), Ready)
	if s = r.u.Status(); s.Refusal != nil {
		t.Errorf("it is there, and yet refused: %+v", s.Refusal)
	}
}
