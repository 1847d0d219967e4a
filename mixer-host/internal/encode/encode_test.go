package encode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/picture"
	"github.com/openvideobox/videobox/internal/tee"
	"github.com/openvideobox/videobox/mixer-host/internal/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testRate = 25

// first is 10 frames before a whole second.
var first = media.FrameAt(time.Date(2027, 2, 6, 9, 0, 0, 0, time.UTC).UnixNano(), testRate) - 10

// freeAddr is a free port at a loopback address of its own: nobody takes it
// before it is listened on.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254)))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func testEncoder(t *testing.T, c clock.Clock) (*Encoder, *metrics.Reporter) {
	t.Helper()
	r := metrics.New("mixer-host", "demo")
	e, err := New(Options{
		Rate: testRate, AudioBitrate: 96_000, Clock: c, Reporter: r, Preset: "ultrafast",
		Outputs: []event.Output{
			{Name: "demo", Rendition: "main", Width: 320, Height: 180, Bitrate: 400_000, TCPAddr: freeAddr(t), BufferedTCPAddr: freeAddr(t)},
			{Name: "demo-480", Rendition: "480", Width: 160, Height: 90, Bitrate: 200_000, TCPAddr: freeAddr(t), BufferedTCPAddr: freeAddr(t)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e, r
}

func start(t *testing.T, e *Encoder) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
}

// feed sends frames first to first+n-1, all but those left out, and the sound of
// all of them.
func feed(e *Encoder, c *clock.Held, n int, without ...int) {
	f := media.NewFrame(320, 180)
	pcm := make([]int16, media.SampleRate/testRate*media.Channels)
	skip := map[int]bool{}
	for _, i := range without {
		skip[i] = true
	}
	for i := range n {
		at := first + int64(i)
		c.Set(media.FrameTime(at, testRate))
		picture.Fill(f, byte(50+i), 100, 150)
		if !skip[i] {
			e.Video(f, engine.Meta{Frame: at, Capture: media.FrameTime(at, testRate) - 3e8, Flags: h264.Live})
		}
		e.Audio(at*media.SampleRate/testRate, pcm)
	}
	e.busy.Wait()
}

// stream is what a ring holds.
func stream(t *testing.T, r *tee.Ring) []byte {
	t.Helper()
	rd := r.NewReader(tee.HalfBack)
	r.Close()
	b, err := io.ReadAll(rd)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pictures are the stamps and keyframes of a stream.
type pictures struct {
	stamps []h264.Stamp
	keys   []int64
	sounds int
}

func (p *pictures) Video(u media.Unit) {
	if s, ok := h264.FindStamp(u.Data); ok {
		p.stamps = append(p.stamps, s)
		if u.Key {
			p.keys = append(p.keys, int64(s.Frame)-first)
		}
	}
}
func (p *pictures) Audio(media.Unit) { p.sounds++ }

func TestRenditionsAgree(t *testing.T) {
	c := clock.NewHeld(0)
	e, _ := testEncoder(t, c)
	start(t, e)
	feed(e, c, 60, 20, 21)
	for _, x := range e.outputs {
		ts := stream(t, x.ring)
		probe := mpegts.NewProbe()
		if _, err := probe.Write(ts); err != nil {
			t.Fatal(err)
		}
		for _, fault := range probe.Report().Faults() {
			if !strings.Contains(fault, "frame") { // the two that are left out
				t.Errorf("%s: %s", x.Name, fault)
			}
		}
		var p pictures
		if err := mpegts.Demux(strings.NewReader(string(ts)), &p); err != nil {
			t.Fatal(err)
		}
		checkPictures(t, x, p)
	}
}

func checkPictures(t *testing.T, x *output, p pictures) {
	t.Helper()
	if len(p.keys) != 3 || p.keys[0] != 0 || p.keys[1] != 10 || p.keys[2] != 35 {
		t.Errorf("%s: keyframes %v frames after the start, want 0 and the whole seconds 10, 35", x.Name, p.keys)
	}
	// The last picture ends where another begins, which never comes when it is large.
	if n := len(p.stamps); n < 57 || n > 58 {
		t.Errorf("%s: %d pictures of 58", x.Name, n)
	}
	for _, s := range p.stamps {
		at := media.FrameTime(int64(s.Frame), testRate)
		if s.Program != at || s.Capture != at-3e8 || s.Flags != h264.Live|h264.Synced {
			t.Fatalf("%s: stamp %+v", x.Name, s)
		}
	}
	if got := x.stream.Stats(); got.Skipped != 2 || got.Late != 0 {
		t.Errorf("%s: %+v", x.Name, got)
	}
	if p.sounds < 60*1920/1024-4 {
		t.Errorf("%s: %d AAC frames", x.Name, p.sounds)
	}
}

func TestReadersGetWhatIsEncoded(t *testing.T) {
	c := clock.NewHeld(0)
	e, r := testEncoder(t, c)
	start(t, e)
	var got sync.WaitGroup
	for _, addr := range []string{e.outputs[0].TCPAddr, e.outputs[1].TCPAddr, e.outputs[1].BufferedTCPAddr} {
		conn := dial(t, addr)
		got.Go(func() {
			defer conn.Close()
			first := make([]byte, 20*mpegts.PacketSize)
			if _, err := io.ReadFull(conn, first); err != nil || mpegts.Packet(first).PID() != mpegts.PIDPAT {
				t.Errorf("%s: %v, begins with PID %d", addr, err, mpegts.Packet(first).PID())
			}
		})
	}
	feed(e, c, 30)
	got.Wait()
	h, ok := r.Status().Hop("demo-480")
	if !ok || h.Bytes == 0 || h.Frames == 0 || h.LatencyMS < 0 {
		t.Errorf("hop %+v", h)
	}
}

// dial waits for Run to listen.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.SetDeadline(end.Add(10 * time.Second))
			return conn
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func TestBusyEncodersSkipFrames(t *testing.T) {
	c := clock.NewHeld(media.FrameTime(first, testRate))
	e, r := testEncoder(t, c)
	<-e.idle // somebody encodes
	skipped := make(chan bool)
	go func() { skipped <- !e.Video(media.NewFrame(320, 180), engine.Meta{Frame: first}) }()
	if at, err := c.Next(t.Context()); err != nil || at != media.FrameTime(first, testRate)+int64(patience) {
		t.Errorf("waits until %d, %v", at, err)
	}
	if !<-skipped {
		t.Fatal("the frame was taken")
	}
	e.idle <- struct{}{}
	l := r.Leaf("encoder").Snapshot()
	if l.State != metrics.Degraded || !strings.Contains(l.Cause, "1 frames skipped") {
		t.Errorf("health %+v", l)
	}
	c.Advance(11 * time.Second)
	e.report()
	if l := r.Leaf("encoder").Snapshot(); l.State != metrics.OK {
		t.Errorf("11 s later %+v", l)
	}
}

func TestPortInUseIsNamed(t *testing.T) {
	e, _ := testEncoder(t, clock.System)
	l, err := net.Listen("tcp", e.outputs[1].TCPAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := e.Run(t.Context()); err == nil || !strings.Contains(err.Error(), e.outputs[1].TCPAddr) {
		t.Errorf("error %v", err)
	}
}
