package tee

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOpenReads(t *testing.T) {
	var m maker
	want := m.gop(5)
	path := filepath.Join(t.TempDir(), "a b.ts")
	if err := os.WriteFile(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(path))))
	defer web.Close()
	r := NewRing(1 << 20)
	write(t, r, want)
	s := &Server{Ring: r}
	tcp, _ := serving(t, s)
	for _, address := range []string{path, "file://" + path, web.URL + "/a%20b.ts", "tcp://" + tcp} {
		rc, err := Open(t.Context(), address, OpenOptions{ReadTimeout: patience})
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if strings.HasPrefix(address, "tcp") {
			eventually(t, "reader", func() bool { return s.Stats().Readers == 1 }) // connected is not yet accepted
			r.Close()
		}
		got, err := io.ReadAll(rc)
		if err != nil || string(got) != string(want) {
			t.Errorf("%s: %d bytes, %v", address, len(got), err)
		}
		rc.Close()
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := ln.Addr().String()
	ln.Close()
	for address, want := range map[string]string{
		"/no/such/file.ts":       "/no/such/file.ts",
		"rtsp://host/stream":     "want tcp, udp, http, https or file",
		"tcp://host":             "tcp://HOST:PORT",
		"tcp://:8899":            "tcp://HOST:PORT",
		"tcp://" + nobody:        nobody,
		"udp://239.255.42.1":     "GROUP:PORT",
		"udp://239.255.42.1:x":   "invalid port",
		"udp://239.255.42.1:0":   "1 to 65535",
		web.URL + "/nothing.ts":  "404",
		"tcp://bad host:1%zz":    "bad host",
		"http://" + nobody + "/": nobody,
	} {
		rc, err := Open(t.Context(), address, OpenOptions{})
		if err == nil {
			rc.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want a line with %q", address, err, want)
		}
	}
}

// silent accepts connections and, for HTTP, says that a stream will come.
func silent(t testing.TB, answer string) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			if answer != "" {
				_, _ = conn.Read(make([]byte, 4096)) // the request
				_, _ = io.WriteString(conn, answer)
			}
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return ln.Addr().String()
}

// The time to read doesn't count before there is an answer: no answer comes
// within a nanosecond.
func TestSilentSource(t *testing.T) {
	for scheme, answer := range map[string]string{"tcp": "", "http": "HTTP/1.0 200 OK\r\n\r\n"} {
		address := scheme + "://" + silent(t, answer)
		rc, err := Open(t.Context(), address, OpenOptions{ReadTimeout: time.Nanosecond})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = rc.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), address+": no data for 1ns") {
			t.Errorf("%s: %v", scheme, err)
		}
		rc.Close()

		for name, end := range map[string]func(cancel func(), rc io.Closer){
			"context": func(cancel func(), _ io.Closer) { cancel() },
			"Close":   func(_ func(), rc io.Closer) { rc.Close() },
		} {
			ctx, cancel := context.WithCancel(t.Context())
			rc, err := Open(ctx, address, OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			got := make(chan error, 1)
			go func() {
				_, err := rc.Read(make([]byte, 10))
				got <- err
			}()
			end(cancel, rc)
			select {
			case err := <-got:
				if err == nil {
					t.Errorf("%s, %s: no error", scheme, name)
				}
			case <-time.After(patience):
				t.Fatalf("%s, %s: Read goes on", scheme, name)
			}
			rc.Close()
			cancel()
		}
	}
}

// An HTTP server that never answers doesn't hold Open for ever.
func TestSilentHTTPServer(t *testing.T) {
	_, err := Open(t.Context(), "http://"+silent(t, ""), OpenOptions{DialTimeout: 50 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("got %v", err)
	}
}
