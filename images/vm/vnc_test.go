package vm

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// server says what QEMU's VNC says, and keeps what it is told.
type server struct {
	io.Reader
	told bytes.Buffer
}

func (s *server) Write(b []byte) (int, error) { return s.told.Write(b) }

func TestGreetVNC(t *testing.T) {
	const init = "\x02\x80\x01\xe0 \x18\x00\x01\x00\xff\x00\xff\x00\xff\x10\x08\x00\x00\x00\x00\x00\x00\x00\x04QEMU"
	const whole = "RFB 003.008\n" + "\x01\x01" + "\x00\x00\x00\x00" + init
	s := &server{Reader: strings.NewReader(whole)}
	if err := greet(s); err != nil || s.told.String() != "RFB 003.008\n\x01\x01" {
		t.Errorf("%v, told %q", err, &s.told)
	}
	for _, bad := range []string{"", "RFB 003.003\n", whole[:len(whole)-1], strings.Replace(whole, "\x01\x01", "\x01\x02", 1),
		strings.Replace(whole, "\x00\x00\x00\x04QEMU", "\x00\xff\x00\x04QEMU", 1)} {
		if greet(&server{Reader: strings.NewReader(bad)}) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestResizedVNC has what QEMU 7.2 answered.
func TestResizedVNC(t *testing.T) {
	const answer = "\x00\x00\x00\x01\x00\x01\x00\x04\x02\x80\x01\xe0\xff\xff\xfe\xcc\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x80\x01\xe0\x00\x00\x00\x00"
	if err := resized(strings.NewReader(answer)); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{answer[:35], strings.Replace(answer, "\x00\x04", "\x00\x03", 1), "\x02" + answer[1:]} {
		if resized(strings.NewReader(bad)) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
