package dump

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/recording"
	"github.com/openvideobox/videobox/internal/run"
	"github.com/openvideobox/videobox/internal/run/runtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	testSPS = []byte{0x67, 0x64, 0x00, 0x1f, 0xac, 0xb4, 0x02, 0x80, 0x2d, 0xd8, 0x08, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x19, 0x47, 0x8c, 0x19, 0x50}
	testPPS = []byte{0x68, 0xef, 0x3c, 0xb0}
)

// seconds is a transport stream of so many seconds from a whole one on.
func seconds(t *testing.T, from, n int64) []byte {
	t.Helper()
	var b bytes.Buffer
	m := mpegts.NewMuxer(&b, mpegts.Options{})
	for f := from * 25; f < (from+n)*25; f++ {
		nals := [][]byte{{9, 0xf0}, {0x41, byte(f), 1}}
		if f%25 == 0 {
			nals = [][]byte{{9, 0xf0}, testSPS, testPPS, {0x65, byte(f), 1}}
		}
		at := media.FrameTicks(f, 25)
		au := h264.InsertStamp(nil, h264.Append(nil, nals...), h264.Stamp{Frame: uint64(f), Program: media.FrameTime(f, 25), Capture: 1})
		if err := m.WriteVideo(media.Unit{PTS: at, DTS: at, Key: f%25 == 0, Data: au}); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// TestRecordsAndReconnects: two connections, one after the other, both end up
// on disk, and a stream that is not there hurts nobody.
func TestRecordsAndReconnects(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	parts := [][]byte{seconds(t, 1_800_000_000, 3), seconds(t, 1_800_000_003, 3)}
	held := make(chan net.Conn, 10)
	go func() {
		defer close(held)
		for i := 0; ; i++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if i >= len(parts) {
				held <- conn
				continue
			}
			conn.Write(parts[i])
			conn.Close()
		}
	}()
	dir := t.TempDir()
	r := metrics.New("dump", "test")
	ctx, cancel := context.WithCancel(context.Background())
	g := run.NewGroup(ctx)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	for name, url := range map[string]string{"demo": "tcp://" + l.Addr().String(), "away": "tcp://127.0.0.1:1"} {
		rec, err := recording.New(recording.Config{Dir: dir, Name: name, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		s := newStream(event.Stream{Name: name, URL: url}, rec, r)
		g.Go("", func(ctx context.Context) error { return s.run(ctx, log) })
		g.Go("", s.judge)
	}
	want := len(parts[0]) + len(parts[1])
	recorded := func() int {
		n := 0
		files, _ := filepath.Glob(filepath.Join(dir, "demo", "*.ts"))
		for _, f := range files {
			if info, err := os.Stat(f); err == nil {
				n += int(info.Size())
			}
		}
		return n
	}
	runtest.Eventually(t, fmt.Sprintf("nine tenths of %d bytes are recorded", want), func() bool { return recorded() >= want*9/10 })
	runtest.Eventually(t, "the stream that is away shows as such", func() bool {
		h, _ := r.Status().Hop("away")
		return h.State == metrics.Failed && h.Cause != ""
	})
	runtest.Eventually(t, "the hop has counted all", func() bool { // the last tenth may still be on its way
		h, _ := r.Status().Hop("demo")
		return h.Bytes >= uint64(want) && h.Frames > 0
	})
	cancel()
	g.Wait()
	l.Close()
	for c := range held {
		c.Close()
	}
}
