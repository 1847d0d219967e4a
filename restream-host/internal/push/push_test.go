package push

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/run/runtest"
	"github.com/openvideobox/videobox/restream-host/internal/rtmp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is a frame number on a whole second shortly before PTS wraps (it wraps
// every 2^33 ticks).
var start = int64((media.TicksPerSecond*1_800_000_000/(1<<33)*(1<<33) + (1 << 33) - 5*media.TicksPerSecond) / media.TicksPerSecond * 25)

var (
	testSPS = []byte{0x67, 0x64, 0x00, 0x1f, 0xac, 0xb4, 0x02, 0x80, 0x2d, 0xd8, 0x08, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x19, 0x47, 0x8c, 0x19, 0x50}
	testPPS = []byte{0x68, 0xef, 0x3c, 0xb0}
)

func picture(n int64) media.Unit {
	key := n%25 == 0
	nals := [][]byte{{9, 0xf0}, {0x41, byte(n), byte(n >> 8), 1}}
	if key {
		nals = [][]byte{{9, 0xf0}, testSPS, testPPS, {0x65, byte(n), byte(n >> 8), 1}}
	}
	at := media.FrameTicks(n, 25)
	stamp := h264.Stamp{Frame: uint64(n), Program: media.FrameTime(n, 25), Capture: media.FrameTime(n, 25)}
	return media.Unit{PTS: at, DTS: at, Key: key, Data: h264.InsertStamp(nil, h264.Append(nil, nals...), stamp)}
}

// source is a transport stream that the test writes, and that ends when told.
type source struct {
	mux   *mpegts.Muxer
	mu    sync.Mutex
	pipes []*io.PipeWriter
	opens chan struct{}
	sound int64
}

func newSource() *source {
	s := &source{opens: make(chan struct{}, 100)}
	s.mux = mpegts.NewMuxer(s, mpegts.Options{})
	return s
}

func (s *source) open(context.Context) (io.ReadCloser, error) {
	r, w := io.Pipe()
	s.mu.Lock()
	s.pipes = append(s.pipes, w)
	s.mu.Unlock()
	s.opens <- struct{}{}
	return r, nil
}

func (s *source) Write(p []byte) (int, error) {
	s.mu.Lock()
	w := s.pipes[len(s.pipes)-1]
	s.mu.Unlock()
	if _, err := w.Write(p); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		return 0, err
	}
	return len(p), nil
}

func (s *source) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pipes[len(s.pipes)-1].Close()
}

// send writes frames from to to, with their sound.
func (s *source) send(t *testing.T, from, to int64) {
	t.Helper()
	for n := from; n < to; n++ {
		u := picture(n)
		if err := s.mux.WriteVideo(u); err != nil {
			t.Fatal(err)
		}
		for k := max(s.sound, media.AACAt(media.FrameTime(n, 25))); media.AACTicks(k) < u.DTS+3600; k++ {
			at := media.AACTicks(k)
			if err := s.mux.WriteAudio(media.Unit{Track: media.Audio, PTS: at, DTS: at, Data: []byte{0x21, byte(k), 3, 4}}); err != nil {
				t.Fatal(err)
			}
			s.sound = k + 1
		}
	}
}

// origin is an RTMP server that notes what it gets.
type origin struct {
	addr string
	mu   sync.Mutex
	conn []*received
	stop func()
}

type received struct {
	o      *origin
	frames []int64
	at     []uint32
	sounds int
	closed bool
}

func (r *received) Video(dts uint32, _ int32, _ bool, au []byte) {
	r.o.mu.Lock()
	defer r.o.mu.Unlock()
	s, _ := h264.FindStamp(au)
	r.frames, r.at = append(r.frames, int64(s.Frame)), append(r.at, dts)
}
func (r *received) Audio(uint32, []byte) { r.o.mu.Lock(); r.sounds++; r.o.mu.Unlock() }
func (r *received) Close()               { r.o.mu.Lock(); r.closed = true; r.o.mu.Unlock() }

func newOrigin(t *testing.T, addr string) *origin {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	o := &origin{addr: l.Addr().String()}
	srv := &rtmp.Server{Key: "k", Log: quiet(), Open: func(string, string) (rtmp.Sink, error) {
		r := &received{o: o}
		o.mu.Lock()
		o.conn = append(o.conn, r)
		o.mu.Unlock()
		return r, nil
	}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { srv.Serve(ctx, l); close(done) }()
	o.stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(o.stop)
	return o
}

// newest is the newest frame of a connection, -1 when there is none.
func (o *origin) newest(conn int) int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if conn >= len(o.conn) || len(o.conn[conn].frames) == 0 {
		return -1
	}
	f := o.conn[conn].frames
	return f[len(f)-1]
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// pushing runs push from src to the addresses, until the test ends.
func pushing(t *testing.T, c Config, src *source, addrs ...string) *metrics.Reporter {
	t.Helper()
	r := metrics.New("push", "")
	s := Stream{Name: "demo", Open: src.open, In: r.Hop("demo", "in", "udp", "")}
	for _, a := range addrs {
		s.Out = append(s.Out, Target{Name: a, URL: "rtmp://" + a + "/stream/demo?key=k", Meter: r.Hop(a, "out", "rtmp", a)})
	}
	c.Streams, c.Log = []Stream{s}, quiet()
	c.Timeout = cmp.Or(c.Timeout, runtest.Patience) // on a busy machine a second connection would look like a fault
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { Run(ctx, c); close(done) }()
	t.Cleanup(func() {
		cancel()
		src.end()
		<-done
	})
	<-src.opens
	return r
}

func TestPushAcrossWraps(t *testing.T) {
	src, a, b := newSource(), newOrigin(t, "127.0.0.1:0"), newOrigin(t, "127.0.0.1:0")
	pushing(t, Config{first: 1<<32 - 3000}, src, a.addr, b.addr)
	end := start + 10*25
	for from := start - 7; from <= end; from += 25 { // no faster than it is taken: the backlog is 6 s
		to := min(from+25, end+1)
		src.send(t, from, to)
		for _, o := range []*origin{a, b} {
			runtest.Eventually(t, "everything arrives", func() bool { return o.newest(0) >= to-2 })
		}
	}
	for _, o := range []*origin{a, b} {
		o.mu.Lock() // a copy: what fails below mustn't hold what the server needs to end
		r := *o.conn[0]
		o.mu.Unlock()
		if r.frames[0]%25 != 0 || r.sounds < 400 {
			t.Errorf("starts at frame %d, %d AAC frames", r.frames[0], r.sounds)
		}
		for i := range r.frames[1:] {
			if r.frames[i+1] != r.frames[i]+1 || r.at[i+1]-r.at[i] != 40 {
				t.Fatalf("frame %d at %d ms, then %d at %d ms", r.frames[i], r.at[i], r.frames[i+1], r.at[i+1])
			}
		}
	}
}

// TestRestartedOrigin gets again what the old process may not have finished.
func TestRestartedOrigin(t *testing.T) {
	src, a, b := newSource(), newOrigin(t, "127.0.0.1:0"), newOrigin(t, "127.0.0.1:0")
	pushing(t, Config{}, src, a.addr, b.addr)
	src.send(t, start, start+60)
	runtest.Eventually(t, "both have it", func() bool { return a.newest(0) >= start+58 && b.newest(0) >= start+58 })
	a.stop()
	src.send(t, start+60, start+70)
	again := newOrigin(t, a.addr)
	runtest.Eventually(t, "it connects again", func() bool { return again.newest(0) >= start+68 })
	again.mu.Lock()
	defer again.mu.Unlock()
	if f := again.conn[0].frames; f[0] != start || int64(len(f)) < 69 {
		t.Errorf("begins at frame %+d with %d frames, want all", f[0]-start, len(f))
	}
	if b.mu.Lock(); len(b.conn) != 1 {
		t.Error("the other origin was disconnected too")
	}
	b.mu.Unlock()
}

// TestStalledOrigin: one that reads nothing loses whole GOPs; the other loses
// nothing.
func TestStalledOrigin(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var accepted atomic.Int32
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			defer conn.Close() // says nothing, reads nothing
		}
	}()
	src, good := newSource(), newOrigin(t, "127.0.0.1:0")
	r := pushing(t, Config{Timeout: 2 * time.Second, Backlog: 2 * time.Second}, src, l.Addr().String(), good.addr)
	for n := start; n < start+300; n += 25 {
		src.send(t, n, n+25)
		runtest.Eventually(t, "the good one has everything", func() bool { return good.newest(0) >= n+23 })
	}
	runtest.Eventually(t, "it is tried again", func() bool { return accepted.Load() >= 2 })
	st := r.Status()
	if h, _ := st.Hop(l.Addr().String()); h.State != metrics.Failed || !strings.Contains(h.Cause, "no answer") || strings.Contains(h.Cause, "key=") {
		t.Errorf("the stalled origin shows as %s: %q", h.State, h.Cause)
	}
	if h, _ := st.Hop(good.addr); h.Dropped != 0 || h.Frames < 299 {
		t.Errorf("the good one: %d dropped of %d", h.Dropped, h.Frames)
	}
}

// TestSourceComesBack: a source that ends is opened again; what it repeats is
// not sent twice, and the connection to the origin stays.
func TestSourceComesBack(t *testing.T) {
	src, o := newSource(), newOrigin(t, "127.0.0.1:0")
	pushing(t, Config{}, src, o.addr)
	src.send(t, start, start+51)
	runtest.Eventually(t, "it runs", func() bool { return o.newest(0) >= start+49 })
	src.end()
	<-src.opens
	src.send(t, start+25, start+101)
	runtest.Eventually(t, "it goes on", func() bool { return o.newest(0) >= start+99 })
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.conn) != 1 {
		t.Errorf("%d connections, want 1", len(o.conn))
	}
	for i, f := range o.conn[0].frames {
		if f != start+int64(i) {
			t.Fatalf("frame %+d in place %d", f-start, i)
		}
	}
}

// TestClockSetBack: the stream starts anew, with a connection of its own.
func TestClockSetBack(t *testing.T) {
	src, o := newSource(), newOrigin(t, "127.0.0.1:0")
	pushing(t, Config{}, src, o.addr)
	src.send(t, start, start+51)
	runtest.Eventually(t, "it runs", func() bool { return o.newest(0) >= start+49 })
	src.sound = 0
	back := start - 25*3600
	src.mux.Discontinuity()
	src.send(t, back, back+51)
	runtest.Eventually(t, "it starts anew", func() bool { return o.newest(1) == back+49 || o.newest(1) == back+50 })
}

func TestBacklogDropsWholeGOPs(t *testing.T) {
	b := newBacklog(2*media.TicksPerSecond, 1<<20)
	at := b.oldest()
	for n := start; n < start+250; n++ {
		b.add(unit{Unit: picture(n)})
	}
	u, dropped, err := b.read(t.Context(), &at, nil)
	if err != nil || !u.Key || dropped != 200 {
		t.Errorf("key %v after %d dropped, %v; want a keyframe after 200", u.Key, dropped, err)
	}
	small := newBacklog(1<<40, 2000)
	for n := start; n < start+250; n++ {
		small.add(unit{Unit: picture(n)})
	}
	if small.size > 2000+len(picture(start).Data) {
		t.Errorf("%d bytes held, bound 2000", small.size)
	}
	stop := make(chan struct{})
	close(stop)
	at = cursor{seq: small.next}
	if _, _, err := small.read(t.Context(), &at, stop); !errors.Is(err, errStopped) {
		t.Errorf("%v, want errStopped", err)
	}
	small.restart()
	at = cursor{}
	if _, _, err := small.read(t.Context(), &at, nil); !errors.As(err, new(errRestarted)) {
		t.Errorf("%v, want errRestarted", err)
	}
}

func TestHideKey(t *testing.T) {
	err := hideKey(os.ErrDeadlineExceeded, "rtmp://h/stream/demo?key=s3cret")
	if strings.Contains(err.Error(), "s3cret") || !bytes.Contains([]byte(err.Error()), []byte("rtmp://h/stream/demo")) {
		t.Error(err)
	}
}
