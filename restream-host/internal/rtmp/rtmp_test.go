package rtmp

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/run/runtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	testSPS = []byte{0x67, 0x64, 0x00, 0x1f, 0xac, 0xb4, 0x02, 0x80, 0x2d, 0xd8, 0x08, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x19, 0x47, 0x8c, 0x19, 0x50}
	testPPS = []byte{0x68, 0xef, 0x3c, 0xb0}
)

func key(n byte) []byte {
	return h264.Append(nil, []byte{9, 0xf0}, testSPS, testPPS, []byte{0x65, n, 1, 2, 3})
}

func delta(n byte) []byte { return h264.Append(nil, []byte{9, 0xf0}, []byte{0x41, n, 4, 5}) }

// got is one unit that a sink took.
type got struct {
	audio bool
	at    uint32
	cts   int32
	key   bool
	data  []byte
}

type testSink struct {
	units  chan got
	closed chan struct{}
}

func newSink() *testSink {
	return &testSink{units: make(chan got, 10000), closed: make(chan struct{})}
}

func (s *testSink) Video(dts uint32, cts int32, key bool, au []byte) {
	s.units <- got{at: dts, cts: cts, key: key, data: au}
}
func (s *testSink) Audio(ts uint32, b []byte) { s.units <- got{audio: true, at: ts, data: b} }
func (s *testSink) Close()                    { close(s.closed) }

func (s *testSink) next(t *testing.T) got {
	t.Helper()
	select {
	case u := <-s.units:
		return u
	case <-time.After(10 * time.Second):
		t.Fatal("no unit within 10 s")
		return got{}
	}
}

// server runs a Server for the test; sinks gives the sink of each publisher.
type server struct {
	*Server
	addr  string
	sinks chan *testSink
	log   *runtest.Log
	stop  context.CancelFunc
}

func serve(t *testing.T, key string, now ...func() time.Time) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: l.Addr().String(), sinks: make(chan *testSink, 100), log: &runtest.Log{}}
	s.Server = &Server{Key: key, Connections: 20, Log: slog.New(slog.NewTextHandler(s.log, nil))}
	s.Open = func(stream, _ string) (Sink, error) {
		if !strings.HasPrefix(stream, "demo") {
			return nil, fmt.Errorf("%q: %w", stream, ErrStream)
		}
		k := newSink()
		s.sinks <- k
		return k, nil
	}
	if len(now) > 0 {
		s.Now = now[0]
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	done := make(chan error)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s
}

func (s *server) sink(t *testing.T) *testSink {
	t.Helper()
	select {
	case k := <-s.sinks:
		return k
	case <-time.After(10 * time.Second):
		t.Fatal("nobody publishes within 10 s")
		return nil
	}
}

func dialed(t *testing.T, s *server, path string) *Client {
	t.Helper()
	c, err := Dial(t.Context(), "rtmp://"+s.addr+path, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestPublishRoundTrip(t *testing.T) {
	for _, first := range []int64{0, 0xffffff - 20, 1<<32 - 50, 1<<33 - 50} {
		t.Run(fmt.Sprint(first), func(t *testing.T) {
			s := serve(t, "s3cret & more")
			c := dialed(t, s, "/stream/demo-480?key=s3cret+%26+more")
			if err := c.Start(testSPS, testPPS); err != nil {
				t.Fatal(err)
			}
			k := s.sink(t)
			big := h264.Append(nil, []byte{9, 0xf0}, append([]byte{0x41}, bytes.Repeat([]byte{7}, 300_000)...))
			for i := range int64(10) {
				at := first + i*40
				au := delta(byte(i))
				switch i {
				case 0:
					au = key(0)
				case 3:
					au = big
				}
				if err := c.Video(at, -3, i == 0, au); err != nil {
					t.Fatal(err)
				}
				if err := c.Audio(at+7, []byte{0x21, byte(i)}); err != nil {
					t.Fatal(err)
				}
				v, a := k.next(t), k.next(t)
				if v.at != uint32(at) || v.cts != -3 || v.key != (i == 0) || !bytes.Equal(v.data, au) {
					t.Errorf("picture %d: %d%+d key %v, %d bytes; sent %d, %d bytes", i, v.at, v.cts, v.key, len(v.data), uint32(at), len(au))
				}
				if !a.audio || a.at != uint32(at+7) || !bytes.Equal(a.data, []byte{0x21, byte(i)}) {
					t.Errorf("sound %d: %+v", i, a)
				}
			}
			c.Close()
			<-k.closed
		})
	}
}

func TestWhoMayPublish(t *testing.T) {
	s := serve(t, "s3cret")
	for _, c := range []struct {
		path    string
		count   func() uint64
		refused string
	}{
		{"/stream/demo?key=s3cret", nil, ""},
		{"/stream/demo-480?x=1&key=s3cret", nil, ""},
		{"/stream/demo", s.stats.BadKey.Load, "wrong or missing key"},
		{"/stream/demo?key=", s.stats.BadKey.Load, "wrong or missing key"},
		{"/stream/demo?key=S3cret", s.stats.BadKey.Load, "wrong or missing key"},
		{"/stream/demo?key=s3cret2", s.stats.BadKey.Load, "wrong or missing key"},
		{"/stream/other?key=s3cret", s.stats.BadStream.Load, "no such stream"},
		{"/live/x/demo?key=s3cret", s.stats.BadRequest.Load, "want the address"},
	} {
		t.Run(c.path, func(t *testing.T) {
			before := uint64(0)
			if c.count != nil {
				before = c.count()
			}
			cl := dialed(t, s, c.path)
			if c.count == nil {
				k := s.sink(t)
				cl.Close()
				<-k.closed
				return
			}
			select {
			case <-cl.Done():
			case <-time.After(10 * time.Second):
				t.Fatal("not turned away within 10 s")
			}
			if err := cl.Err(); err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("told %v, want %q", err, c.refused)
			}
			runtest.Eventually(t, "the counter goes up", func() bool { return c.count() == before+1 })
			runtest.Eventually(t, "the log says so", func() bool { return strings.Contains(s.log.String(), c.refused) })
		})
	}
	if strings.Contains(s.log.String(), "s3cret2") {
		t.Error("the log shows a key")
	}
}

func TestTakeover(t *testing.T) {
	var mu sync.Mutex
	now := time.Unix(1000, 0)
	s := serve(t, "", func() time.Time { mu.Lock(); defer mu.Unlock(); return now })
	first := dialed(t, s, "/stream/demo")
	k := s.sink(t)
	if err := errors.Join(first.Start(testSPS, testPPS), first.Video(0, 0, true, key(1))); err != nil {
		t.Fatal(err)
	}
	k.next(t)
	second := dialed(t, s, "/stream/demo")
	<-second.Done()
	if err := second.Err(); err == nil || !strings.Contains(err.Error(), ErrBusy.Error()) {
		t.Errorf("the second publisher was told %v", err)
	}
	mu.Lock()
	now = now.Add(takeover)
	mu.Unlock()
	dialed(t, s, "/stream/demo")
	s.sink(t)
	select {
	case <-first.Done():
	case <-time.After(10 * time.Second):
		t.Error("the idle publisher is still there")
	}
}

// TestBadPeers: whatever they do, a publisher that is there already goes on,
// and the next one gets in.
func TestBadPeers(t *testing.T) {
	s := serve(t, "k")
	good := dialed(t, s, "/stream/demo?key=k")
	k := s.sink(t)
	if err := good.Start(testSPS, testPPS); err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 64<<10)
	rand.Read(noise)
	hello := make([]byte, 1537)
	hello[0] = 3
	endless := append(append([]byte(nil), hello...), make([]byte, 1536)...)
	endless = append(endless, bytes.Repeat([]byte{2, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 0, 0, 0, 1}, 20_000)...)
	for name, data := range map[string][]byte{
		"nothing": nil, "half a handshake": hello[:700], "handshake only": append(append([]byte(nil), hello...), make([]byte, 1536)...),
		"noise": noise, "noise after the handshake": append(append([]byte(nil), endless[:3073]...), noise...),
		"http": []byte("GET / HTTP/1.0\r\n\r\n"), "endless before publishing": endless,
	} {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(name, err)
		}
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		go io.Copy(io.Discard, conn)
		conn.Write(data)
		if name != "nothing" && name != "half a handshake" {
			conn.Close() // the others stay until the end
		}
		defer conn.Close()
	}
	if err := good.Video(0, 0, true, key(1)); err != nil {
		t.Fatal(err)
	}
	k.next(t)
	other := dialed(t, s, "/stream/demo-480?key=k")
	s.sink(t)
	runtest.Eventually(t, "they are counted", func() bool { return s.stats.Broken.Load() >= 4 })
	if n := s.stats.Panics.Load(); n > 0 {
		t.Errorf("%d panics in the library:\n%s", n, s.log)
	}
	other.Close()
}

func TestConnectionsAreBounded(t *testing.T) {
	s := serve(t, "")
	for range 30 {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	runtest.Eventually(t, "the ones too many are refused", func() bool { return s.stats.Refused.Load() == 10 })
}

// TestBrokenMedia: a publisher that is let in and then sends nonsense.
func TestBrokenMedia(t *testing.T) {
	for name, send := range map[string]func(c *Client) error{
		"sound without configuration": func(c *Client) error { return c.Audio(0, []byte{1}) },
		"huge sound": func(c *Client) error {
			return errors.Join(c.Start(testSPS, testPPS), c.Audio(0, make([]byte, 10_000)))
		},
		"empty picture": func(c *Client) error { return errors.Join(c.Start(testSPS, testPPS), c.Video(0, 0, true, nil)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, "")
			c := dialed(t, s, "/stream/demo")
			k := s.sink(t)
			if err := send(c); err != nil {
				t.Fatal(err)
			}
			select {
			case <-k.closed:
			case <-time.After(10 * time.Second):
				t.Fatal("still connected after 10 s")
			}
			runtest.Eventually(t, "it is counted", func() bool { return s.stats.Broken.Load() == 1 })
		})
	}
}

func TestStopWhilePublishing(t *testing.T) {
	s := serve(t, "")
	c := dialed(t, s, "/stream/demo")
	k := s.sink(t)
	s.stop()
	for _, ch := range []<-chan struct{}{c.Done(), k.closed} {
		select {
		case <-ch:
		case <-time.After(5 * time.Second):
			t.Fatal("still connected 5 s after the server's end")
		}
	}
}
