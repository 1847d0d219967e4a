// Package boxtest is a box for tests: a real stream of a test picture on a TCP
// port, and capture's and record's status, which a test sets.
package boxtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/codec/x264"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/picture"
	"github.com/openvideobox/videobox/internal/run"
	"github.com/openvideobox/videobox/internal/tee"
)

const (
	width, height = 320, 180
	rate          = 25
)

// Box is a running box.
type Box struct {
	Config  string // event file; the box is box1, camera of room demo
	Stream  string // host:port
	Capture *metrics.Reporter
	Record  *metrics.Reporter
	Flags   atomic.Uint32 // of the frames: h264.Flags
	Paused  atomic.Bool   // nothing is sent
	GOP     atomic.Int64  // frames from keyframe to keyframe; 0: a second's
}

// Start starts a box that ends with the test. The secrets are the event's
// secrets file, if any.
func Start(t testing.TB, secrets string) *Box {
	t.Helper()
	b := &Box{Capture: metrics.New("capture", "box1"), Record: metrics.New("record", "box1")}
	b.Flags.Store(uint32(h264.Synced | h264.Live))
	l := listen(t, 0)
	b.Stream = l.Addr().String()
	capture, record := pair(t)
	b.Config = b.writeEvent(t, l, capture, secrets)
	ring := tee.NewRing(4 << 20)
	ctx, cancel := context.WithCancel(context.Background())
	g := run.NewGroup(ctx)
	g.Go("capture", func(ctx context.Context) error { return run.ServeListener(ctx, capture, b.Capture.Handler()) })
	g.Go("record", func(ctx context.Context) error { return run.ServeListener(ctx, record, b.Record.Handler()) })
	g.Go("server", func(ctx context.Context) error { return (&tee.Server{Ring: ring}).Serve(ctx, l) })
	g.Go("encoder", func(ctx context.Context) error { return b.send(ctx, ring) })
	t.Cleanup(func() { cancel(); g.Wait() })
	return b
}

func listen(t testing.TB, port int) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// pair listens on two ports in a row, as the programs of a box do.
func pair(t testing.TB) (first, second net.Listener) {
	t.Helper()
	for range 100 {
		first = listen(t, 0)
		next := first.Addr().(*net.TCPAddr).Port + 1
		second, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", next))
		if err == nil {
			return first, second
		}
		first.Close()
	}
	t.Fatal("no two free ports in a row")
	return nil, nil
}

func (b *Box) writeEvent(t testing.TB, stream, status net.Listener, secrets string) string {
	t.Helper()
	dir := t.TempDir()
	text := fmt.Sprintf(`event: Test
video: {size: %dx%d, rate: %d, bitrate: 500k}
boxes:
  - {name: box1, address: 127.0.0.1, ports: {stream: %d, http: 18101, status: %d}}
  - {name: box2, address: 127.0.0.2}
rooms:
  - {name: demo, camera: box1, slides: box2, mixer: {host: 127.0.0.1}}
secrets: secrets.yaml
`, width, height, rate, stream.Addr().(*net.TCPAddr).Port, status.Addr().(*net.TCPAddr).Port)
	path := filepath.Join(dir, "event.yaml")
	for file, data := range map[string]string{path: text, filepath.Join(dir, "secrets.yaml"): secrets} {
		if data == "" {
			continue
		}
		if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// send encodes the test picture on the frame grid of UTC.
func (b *Box) send(ctx context.Context, ring *tee.Ring) error {
	enc, err := x264.New(x264.Config{Width: width, Height: height, Rate: rate, Bitrate: 500_000, Preset: "ultrafast"})
	if err != nil {
		return err
	}
	defer enc.Close()
	mux := mpegts.NewMuxer(ring, mpegts.Options{})
	frame, pattern := media.NewFrame(width, height), &picture.Pattern{}
	n := time.Now().UnixMilli() * rate / 1000
	for first := true; ; n++ { // without a hole, and in step again where it had no turn in time
		if err := clock.Wait(ctx, clock.System, media.FrameTime(n, rate)); err != nil {
			return err
		}
		if b.Paused.Load() {
			continue
		}
		pattern.Draw(frame, n, rate)
		gop := b.GOP.Load()
		if gop == 0 {
			gop = rate
		}
		key := first || n%gop == 0
		au, err := enc.Encode(frame, n*media.TicksPerSecond/rate, key)
		if err != nil {
			return err
		}
		au = h264.InsertStamp(nil, au, h264.Stamp{
			Flags: h264.Flags(b.Flags.Load()), Frame: uint64(n), Program: n * 1000 / rate * 1e6, Capture: time.Now().UnixNano(),
		})
		u := media.Unit{PTS: n * media.TicksPerSecond / rate, DTS: n * media.TicksPerSecond / rate, Key: key, Data: au}
		if err := mux.WriteVideo(u); err != nil {
			return err
		}
		first = false
	}
}
