package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/picture"
	"github.com/openvideobox/videobox/internal/program"
	"github.com/openvideobox/videobox/internal/run/runtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testRate  = 25
	testDelay = int64(70e6) // from capture to program time
)

// stream makes n frames of a box's stream from the grid frame first on: luma
// 100+n, and sound that begins at frame 5.
func stream(t *testing.T, first int64, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	c := program.Config{Width: 160, Height: 96, Rate: testRate, Bitrate: 400_000, AudioBitrate: 128_000}
	s := program.NewStream(c, &b, program.Options{Clock: clock.NewHeld(media.FrameTime(first, testRate))})
	enc, err := program.NewVideoEncoder(c)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	sound := program.NewAudioEncoder(c.AudioBitrate)
	f := media.NewFrame(c.Width, c.Height)
	for i := range int64(n) {
		picture.Fill(f, byte(100+i), 128, 128)
		data, key, err := enc.Encode(f, first+i, false)
		if err != nil {
			t.Fatal(err)
		}
		at := media.FrameTime(first+i, testRate)
		p := program.Picture{Frame: first + i, Capture: at - testDelay, Flags: h264.Live, Key: key, Data: data}
		if err := errors.Join(s.Picture(p), sound.Write(media.SampleAt(at), beep(i), s.Sound)); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

const perFrame = media.SampleRate / testRate

func beep(i int64) []int16 {
	pcm := make([]int16, perFrame*media.Channels)
	for k := range pcm {
		if i >= 5 {
			pcm[k] = int16(8000 * (1 - 2*(k/48%2))) // a square wave
		}
	}
	return pcm
}

// opened is what a test's connection gives: bytes, then nothing until the end.
type opened struct {
	io.Reader
	ctx context.Context
}

func (o opened) Read(p []byte) (int, error) {
	n, err := o.Reader.Read(p)
	if n > 0 || err != io.EOF {
		return n, nil
	}
	<-o.ctx.Done()
	return 0, o.ctx.Err()
}

func (o opened) Close() error { return nil }

func start(t *testing.T, o Options, data ...[]byte) *Source {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	r := metrics.New("mixer-host", "test")
	o.Role, o.Name = "camera", "box1"
	o.Hop, o.Leaf = r.Hop("camera", "in", "tcp", o.URL), r.Leaf("camera decoder")
	if len(data) > 0 {
		o.Open = func(ctx context.Context) (io.ReadCloser, error) {
			return opened{bytes.NewReader(bytes.Join(data, nil)), ctx}, nil
		}
	}
	s := New(o)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
	return s
}

// now is a whole second near the system's time.
func now() int64 { return time.Now().Unix() * testRate }

func TestStampsAndSoundSurvive(t *testing.T) {
	first := now()
	ts := stream(t, first, 15)
	// All arrives 300 ms after the first picture's time, however long making it
	// took: stamps further away aren't believed.
	arrival := clock.NewHeld(media.FrameTime(first, testRate) + 300e6)
	s := start(t, Options{Clock: arrival}, ts)
	s.Sound(media.SampleAt(media.FrameTime(first, testRate)), nil) // the engine has begun
	decoding := false
	runtest.Eventually(t, "ten frames", func() bool {
		decoding = decoding || s.State().Phase == Decoding // for a second after the last frame, only
		return s.Stats().Frames.Decoded >= 10
	})
	for i := range int64(10) {
		at := media.FrameTime(first+i, testRate)
		f := s.Frame(at + 1e6)
		switch {
		case f == nil:
			t.Fatalf("frame %d is missing", i)
		case f.Program != at || f.Time != at-testDelay || f.Flags != h264.Live|h264.Synced:
			t.Errorf("frame %d: program %d, capture %d before, flags %b", i, f.Program-at, at-f.Time, f.Flags)
		case f.Width != 160 || f.Height != 96 || abs(int(f.Y[50*160+80])-int(100+i)) > 2:
			t.Errorf("frame %d: %dx%d, luma %d", i, f.Width, f.Height, f.Y[50*160+80])
		}
	}
	if !decoding {
		t.Errorf("state %+v", s.State())
	}
	runtest.Eventually(t, "sound", func() bool { return s.Stats().Sound.Written >= 9*perFrame })
	checkOnset(t, s, media.SampleAt(media.FrameTime(first, testRate)))
}

// checkOnset finds where the beep begins: at frame 5, within a millisecond.
func checkOnset(t *testing.T, s *Source, from int64) {
	pcm := make([]int16, 8*perFrame*media.Channels)
	s.Sound(from, pcm)
	for i, v := range pcm {
		if v > 4000 || v < -4000 {
			if d := i/media.Channels - 5*perFrame; d < -48 || d > 48 {
				t.Errorf("sound begins %d samples off", d)
			}
			return
		}
	}
	t.Error("no sound")
}

func abs(v int) int { return max(v, -v) }

func TestNoiseIsCountedAndPassedOver(t *testing.T) {
	noise := make([]byte, 100_000)
	rand.New(rand.NewSource(1)).Read(noise)
	first := now()
	ts := stream(t, first, 50)
	cut := len(ts) / 3
	s := start(t, Options{}, noise, ts[:cut], noise[:5000], ts[cut:], noise)
	runtest.Eventually(t, "frames after the noise", func() bool { return s.Stats().Frames.Decoded >= 30 })
	if got := s.Stats().Strays; got < 100_000 {
		t.Errorf("%d stray bytes", got)
	}
}

func TestNoiseAloneSaysSo(t *testing.T) {
	noise := make([]byte, 300_000)
	rand.New(rand.NewSource(2)).Read(noise)
	s := start(t, Options{URL: "tcp://127.0.0.1:9"}, noise)
	runtest.Eventually(t, "noise", func() bool { return s.Stats().Strays > 200_000 })
	if st := s.State(); st.Phase != NoData || !strings.Contains(st.Cause, "no MPEG-TS") {
		t.Errorf("state %+v", st)
	}
}

func TestRefusedConnectionNamesTheCause(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	s := start(t, Options{URL: "tcp://" + addr})
	want := "no connection to " + addr + " (connection refused), retrying"
	runtest.Eventually(t, "cause: "+want, func() bool { return s.State().Cause == want })
	if s.Name() != "camera box1" || s.Frame(time.Now().UnixNano()) != nil {
		t.Error("a source without connection has a picture")
	}
}

// trickle gives a packet at a time until the source has replaced a decoder.
type trickle struct {
	r io.Reader
	s *Source
}

func (r *trickle) Read(p []byte) (int, error) {
	if r.s.Stats().Restarts == 0 {
		time.Sleep(2 * time.Millisecond)
		p = p[:min(len(p), 188)]
	}
	return r.r.Read(p)
}

// TestChildThatDiesIsReplaced runs a decoder that ends at once the first time.
func TestChildThatDiesIsReplaced(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "ffmpeg")
	text := "#!/bin/sh\nif mkdir " + dir + "/first 2>/dev/null; then echo broken by hand >&2; exit 3; fi\nexec ffmpeg \"$@\"\n"
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	in := &trickle{r: bytes.NewReader(stream(t, now(), 1000))}
	ready := make(chan *Source, 1)
	s := start(t, Options{FFmpeg: script, Open: func(ctx context.Context) (io.ReadCloser, error) {
		in.s = <-ready
		return opened{in, ctx}, nil
	}})
	ready <- s
	runtest.Eventually(t, "frames of a second child", func() bool { return s.Stats().Frames.Decoded >= 20 })
	if st := s.Stats(); st.Restarts != 1 {
		t.Errorf("%d restarts", st.Restarts)
	}
}

// TestSlowChildIsWaitedFor: another one would start as slowly. What it is given
// meanwhile is more than the pipe to it holds.
func TestSlowChildIsWaitedFor(t *testing.T) {
	script := filepath.Join(t.TempDir(), "ffmpeg")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nsleep 2\nexec cat >/dev/null\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := metrics.New("mixer-host", "test")
	s := New(Options{Role: "camera", Hop: r.Hop("camera", "in", "tcp", ""), Leaf: r.Leaf("camera decoder")})
	u := unit{Unit: media.Unit{Key: true, Data: h264.Append(nil, []byte{9, 0xf0}, []byte{0x67, 0x64, 0, 0x1f}, []byte{0x68, 1}, append([]byte{0x65}, bytes.Repeat([]byte{7}, 10_000)...))}}
	d, err := startDecoder(t.Context(), "camera", script, u, false, s)
	if err != nil {
		t.Fatal(err)
	}
	defer d.stop()
	for i := range 20 {
		if err := d.send(u); err != nil {
			t.Fatalf("picture %d: %v", i, err)
		}
	}
}

func TestMissingDecoderIsNamed(t *testing.T) {
	s := start(t, Options{FFmpeg: "/nonexistent/ffmpeg"}, stream(t, now(), 30))
	runtest.Eventually(t, "cause", func() bool { return strings.Contains(s.State().Cause, "/nonexistent/ffmpeg") })
}

// TestOtherSoftwaresStream has no stamps, B-frames, an odd rate and no sound.
func TestOtherSoftwaresStream(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	ts, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=322x182:r=30000/1001", "-t", "1.5",
		"-pix_fmt", "yuv420p", "-c:v", "libx264", "-bf", "2", "-g", "30", "-f", "mpegts", "pipe:1").Output()
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{}, ts)
	runtest.Eventually(t, "twenty frames", func() bool { return s.Stats().Frames.Decoded >= 20 })
	arrived := time.Now().UnixNano()
	f := s.Frame(arrived + 10e9)
	if f == nil || f.Width != 322 || f.Height != 182 {
		t.Fatalf("frame %+v", f)
	}
	if d := arrived - f.Program; d > 15e9 || d < -3e9 || f.Flags != h264.Live || f.Time != f.Program {
		t.Errorf("placed %v before its arrival, flags %b", time.Duration(d), f.Flags)
	}
}
