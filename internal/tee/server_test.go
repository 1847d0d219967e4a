package tee

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/mpegts"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// eventually waits for what no channel tells.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// lines is a log that a test can read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// serving runs a server until the test ends, and returns its address.
func serving(t testing.TB, s *Server) (address string, log *lines) {
	t.Helper()
	log = &lines{}
	s.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ln, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error("Serve:", err)
			}
		case <-time.After(patience):
			t.Error("Serve did not end")
		}
	})
	return ln.Addr().String(), log
}

func dialTCP(t testing.TB, address string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}

func readPackets(t testing.TB, r io.Reader, packets int) []byte {
	t.Helper()
	b := make([]byte, packets*mpegts.PacketSize)
	if _, err := io.ReadFull(r, b); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestServeTCP(t *testing.T) {
	var m maker
	r := immediate(100 * testBlock)
	s := &Server{Ring: r}
	address, _ := serving(t, s)
	early := dialTCP(t, address)
	eventually(t, "reader", func() bool { return s.Stats().Readers == 1 })
	write(t, r, m.gop(5))
	late := dialTCP(t, address)
	got := readPackets(t, late, 5*12)
	write(t, r, m.gop(5)) // by the pump, as both have caught up
	for name, stream := range map[string][]byte{
		"early": readPackets(t, early, 2*(2+5*12)),
		"late":  append(got, readPackets(t, late, 4+5*12)...),
	} {
		checkStream(t, stream)
		if len(stream) != 2*(2+5*12)*mpegts.PacketSize || frameOf(stream) != 0 {
			t.Errorf("%s: %d bytes from frame %d", name, len(stream), frameOf(stream))
		}
	}
	// A write is counted after it, when a reader may have it already.
	eventually(t, "the count of bytes sent", func() bool { return s.Stats().Sent == uint64(4*(2+5*12)*mpegts.PacketSize) })
	late.Close()
	write(t, r, m.gop(1)) // the peer's reset
	eventually(t, "leaving", func() bool {
		write(t, r, m.gop(1))
		return s.Stats().Readers == 1
	})
}

func TestServeHTTP(t *testing.T) {
	var m maker
	r := immediate(100 * testBlock)
	s := &Server{Ring: r, HTTP: true}
	address, log := serving(t, s)
	write(t, r, m.gop(5))

	resp, err := http.Get("http://" + address + "/any/path.ts")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || got != "video/MP2T" {
		t.Errorf("%s, Content-Type %q", resp.Status, got)
	}
	checkStream(t, readPackets(t, resp.Body, 2+5*12))

	for request, want := range map[string]string{
		"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n":                      "200",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n": "405",
		"noise\r\n\r\n": "400",
	} {
		conn := dialTCP(t, address)
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil {
			t.Error(err)
		}
		if line, _, _ := strings.Cut(string(answer), "\r\n"); !strings.Contains(line, want) {
			t.Errorf("%q: answered %q, want %s", request, line, want)
		}
	}
	if n := s.Stats().Refused; n != 2 {
		t.Errorf("%d refused, want 2\n%s", n, log)
	}
}

// A reader that never reads is dropped when the ring has gone past it, with
// its address in the log; another one misses nothing.
func TestStalledReaderIsDropped(t *testing.T) {
	var m maker
	r := immediate(32 * testBlock)
	s := &Server{Ring: r}
	var lapped sync.WaitGroup
	lapped.Add(1)
	s.OnLapped = func(int) { lapped.Done() }
	address, log := serving(t, s)
	write(t, r, m.gop(5))
	stalled := dialTCP(t, address)
	_ = stalled.SetReadBuffer(4096)
	eventually(t, "reader", func() bool { return s.Stats().Readers == 1 })
	good := dialTCP(t, address)
	packets := readPackets(t, good, 2+5*12)
	for s.Stats().Lapped == 0 {
		write(t, r, m.gop(5))
		packets = append(packets, readPackets(t, good, 2+5*12)...)
	}
	lapped.Wait()
	checkStream(t, packets)
	eventually(t, "log", func() bool {
		return strings.Contains(log.String(), "fell behind") && strings.Contains(log.String(), stalled.LocalAddr().String())
	})
	eventually(t, "dismissal", func() bool { return s.Stats().Readers == 1 && r.Stats().Lapped == 1 })
}

// What a peer sends is thrown away, and one that only ends its half still
// gets the stream.
func TestHalfClosedReader(t *testing.T) {
	var m maker
	r := immediate(100 * testBlock)
	s := &Server{Ring: r}
	address, _ := serving(t, s)
	conn := dialTCP(t, address)
	if _, err := io.WriteString(conn, "GET me\n"); err != nil {
		t.Fatal(err)
	}
	conn.CloseWrite()
	eventually(t, "reader", func() bool { return s.Stats().Readers == 1 })
	write(t, r, m.gop(5))
	checkStream(t, readPackets(t, conn, 2+5*12))
	r.Close()
	if rest, err := io.ReadAll(conn); len(rest) != 0 || err != nil {
		t.Errorf("at the end: %d bytes, %v", len(rest), err)
	}
}

// check, by its own clock.
func TestCheckFindsTheGone(t *testing.T) {
	var m maker
	r := immediate(100 * testBlock)
	ln, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, c := range []struct {
		name  string
		leave bool
		lag   bool
		after time.Duration
		want  error
	}{
		{"idle and there", false, false, 2 * stuckAfter, nil},
		{"idle and gone", true, false, goneAfter, errGone},
		{"not gone for long", true, false, goneAfter - time.Second, nil},
		{"stuck", false, true, stuckAfter, errStuck},
	} {
		write(t, r, m.gop(2))
		peer := dialTCP(t, ln.Addr().String())
		conn, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		cl := newClient(conn, r.NewReader(Newest))
		cl.streaming.Store(true)
		if !c.lag {
			pending(t, cl.reader)
		}
		now, scratch := time.Now(), make([]byte, 64)
		cl.check(now, scratch)
		if c.leave {
			peer.Close()
			eventually(t, "hangup", func() bool { return cl.listen(scratch) })
		}
		dropped := cl.check(now.Add(c.after), scratch)
		var cause error
		if p := cl.cause.Load(); p != nil {
			cause = *p
		}
		if dropped != (c.want != nil) || cause != c.want {
			t.Errorf("%s: dropped %v, %v; want %v", c.name, dropped, cause, c.want)
		}
		cl.close()
	}
}

func TestRingEndsServer(t *testing.T) {
	var m maker
	r := NewRing(1 << 20)
	s := &Server{Ring: r}
	ln, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(context.Background(), ln) }()
	conn := dialTCP(t, ln.Addr().String())
	eventually(t, "reader", func() bool { return s.Stats().Readers == 1 })
	write(t, r, m.gop(50))
	r.Close()
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	checkStream(t, all)
	if want := (2 + 50*12) * mpegts.PacketSize; len(all) != want {
		t.Errorf("%d bytes before the end, want %d", len(all), want)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		t.Error("still listening")
	}
}

func TestListenSaysWhatToDo(t *testing.T) {
	ln, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, err = Listen(t.Context(), ln.Addr().String())
	if err == nil || !strings.Contains(err.Error(), ln.Addr().String()) || !strings.Contains(err.Error(), "choose another port") {
		t.Errorf("got %v", err)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Error("more than a line")
	}
}

func TestHTTPHandler(t *testing.T) {
	var m maker
	r := immediate(100 * testBlock)
	srv := httptest.NewServer(r.HTTPHandler())
	defer srv.Close()
	write(t, r, m.gop(5))
	resp, err := srv.Client().Get(srv.URL + "/stream.ts")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	checkStream(t, readPackets(t, bufio.NewReader(resp.Body), 2+5*12))
	r.Close()
	if rest, err := io.ReadAll(resp.Body); len(rest) != 0 || err != nil {
		t.Errorf("at the end: %d bytes, %v", len(rest), err)
	}
	post, err := srv.Client().Post(srv.URL, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer post.Body.Close()
	if post.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s", post.Status)
	}
	head, err := srv.Client().Head(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer head.Body.Close()
	if head.StatusCode != http.StatusOK {
		t.Errorf("HEAD: %s", head.Status)
	}
}
