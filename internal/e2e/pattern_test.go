package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"os"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/picture"
)

// Where side-by-side-preview puts its pictures in 1280x720: A at 80 % top left,
// B at 25 % bottom right, 1 % of the width away from the edges.
var (
	bigRect   = picture.Rect{X: 12, Y: 12, W: 1024, H: 576}
	smallRect = picture.Rect{X: 948, Y: 528, W: 320, H: 180}
)

// TestPattern runs the chain on known pictures: the pattern as camera, four
// coloured quarters as slides.
func TestPattern(t *testing.T) {
	slides := filepath.Join(t.TempDir(), "quarters.mkv")
	command(t, time.Minute, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=red:s=640x360:r=25:d=4", "-f", "lavfi", "-i", "color=lime:s=640x360:r=25:d=4",
		"-f", "lavfi", "-i", "color=blue:s=640x360:r=25:d=4", "-f", "lavfi", "-i", "color=gray:s=640x360:r=25:d=4", "-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo:d=4",
		"-filter_complex", "[0][1]hstack[a];[2][3]hstack[b];[a][b]vstack,scale=out_color_matrix=bt709:out_range=tv,format=yuv420p[v]", "-map", "[v]", "-map", "4:a", "-t", "4", "-c:v", "libx264", "-colorspace", "bt709", "-color_range", "tv", "-c:a", "pcm_s16le", slides)
	c := newChain(t, 1000, "--camera", "pattern", "--slides", slides)
	eventually(t, 40*time.Second, "the cache's playlist plays", func() error { return c.plays(2) })
	eventually(t, 20*time.Second, "the whole chain is ok", c.ok)

	ts, err := watch(t.Context(), "tcp://"+c.hostPort(portMixer), 8*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("colours", func(t *testing.T) { testColours(t, ts) })
	t.Run("numbers", func(t *testing.T) { testNumbers(t, ts) })
	t.Run("sync", func(t *testing.T) { testSync(t, ts) })
	t.Run("worker", func(t *testing.T) { testWorkerDies(t, c) })
	t.Run("parent", func(t *testing.T) { testParentStops(t, c) })
}

// pictures decodes the 1280x720 video of ts and calls f for each frame.
func pictures(t *testing.T, ts []byte, f func(i int, p *media.Frame)) {
	t.Helper()
	picturesOf(t, ts, media.NewFrame(1280, 720), f)
}

// picturesOf does so for video of p's size, which it uses for each frame.
func picturesOf(t *testing.T, ts []byte, p *media.Frame, f func(i int, p *media.Frame)) {
	t.Helper()
	cmd := exec.Command("ffmpeg", "-v", "error", "-nostdin", "-i", "pipe:0", "-map", "0:v", "-vsync", "passthrough", "-f", "rawvideo", "-pix_fmt", "yuv420p", "pipe:1")
	cmd.Stdin = bytes.NewReader(ts)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		for _, plane := range [][]byte{p.Y, p.U, p.V} {
			_, err = io.ReadFull(out, plane)
		}
		if err != nil {
			break
		}
		f(i, p)
	}
	_ = cmd.Wait()
}

// colour is the mean of 16x16 pixels around a place, in RGB.
func colour(p *media.Frame, x, y int) (r, g, b int) {
	img := picture.ToImage(p)
	for dy := -8; dy < 8; dy++ {
		for dx := -8; dx < 8; dx++ {
			c := img.RGBAAt(x+dx, y+dy)
			r, g, b = r+int(c.R), g+int(c.G), b+int(c.B)
		}
	}
	return r / 256, g / 256, b / 256
}

func testColours(t *testing.T, ts []byte) {
	type place struct {
		name    string
		x, y    int
		r, g, b int
	}
	at := func(r picture.Rect, fx, fy float64) (int, int) {
		return r.X + int(fx*float64(r.W)), r.Y + int(fy*float64(r.H))
	}
	var places []place
	for _, q := range []struct {
		name    string
		fx, fy  float64
		r, g, b int
	}{{"red", .25, .25, 255, 0, 0}, {"lime", .75, .25, 0, 255, 0}, {"blue", .25, .75, 0, 0, 255}, {"gray", .75, .75, 128, 128, 128}} {
		x, y := at(bigRect, q.fx, q.fy)
		places = append(places, place{q.name, x, y, q.r, q.g, q.b})
	}
	for i := range picture.Bars {
		r, c := picture.Bar(i, smallRect)
		if r.W >= 20 {
			places = append(places, place{fmt.Sprintf("bar %d", i), r.X + r.W/2, r.Y + r.H/2, int(c.R), int(c.G), int(c.B)})
		}
	}
	seen := false
	pictures(t, ts, func(i int, p *media.Frame) {
		if i != 50 {
			return
		}
		seen = true
		for _, w := range places {
			r, g, b := colour(p, w.x, w.y)
			if !near(float64(r), float64(w.r), 14) || !near(float64(g), float64(w.g), 14) || !near(float64(b), float64(w.b), 14) {
				t.Errorf("%s at %d,%d: %d %d %d, want %d %d %d", w.name, w.x, w.y, r, g, b, w.r, w.g, w.b)
			}
		}
	})
	if !seen {
		t.Error("fewer than 51 frames")
	}
}

// testNumbers reads the pattern's frame number off each mixed picture: the
// camera moves by one frame a frame.
func testNumbers(t *testing.T, ts []byte) {
	var last int64
	var frames, jumps, unread int
	pictures(t, ts, func(_ int, p *media.Frame) {
		n, err := picture.ReadNumber(p, smallRect)
		if err != nil {
			unread++
			return
		}
		if frames++; last != 0 && n != last+1 {
			jumps++
		}
		last = n
	})
	t.Logf("%d numbers read, %d jumps or repeats, %d unreadable", frames, jumps, unread)
	if frames < 150 || unread > frames/20 || jumps > frames/10 {
		t.Error("too many")
	}
}

// timeline collects the time stamps of a stream's units.
type timeline struct{ video, audio []int64 }

func (l *timeline) Video(u media.Unit) {
	if len(l.video) > 0 || u.Key {
		l.video = append(l.video, u.PTS)
	}
}
func (l *timeline) Audio(u media.Unit) { l.audio = append(l.audio, u.PTS) }

// testSync measures flash against beep in the mixer's output.
func testSync(t *testing.T, ts []byte) {
	offsets := syncOffsets(t, ts, smallRect)
	t.Logf("picture minus sound, in ms: %.0f", offsets)
	if len(offsets) < 4 {
		t.Fatalf("only %d flashes with their beep", len(offsets))
	}
	for _, o := range offsets {
		if !near(o, 0, 40) {
			t.Errorf("%.0f ms apart, at most 40", o)
		}
	}
}

// syncOffsets gives for each flash of a pattern shown in r how many ms later
// than its beep it comes.
func syncOffsets(t *testing.T, ts []byte, r picture.Rect) (ms []float64) {
	t.Helper()
	var line timeline
	if err := mpegts.Demux(bytes.NewReader(ts), &line); err != nil {
		t.Fatal(err)
	}
	white := picture.Flash(r)
	var flashes []int64
	on := true // one that is on at the start has no beginning
	pictures(t, ts, func(i int, p *media.Frame) {
		if now := allWhite(p, white); now != on {
			if on = now; on && i < len(line.video) {
				flashes = append(flashes, line.video[i])
			}
		}
	})
	beeps := beeps(t, ts, line.audio[0])
	for _, f := range flashes {
		for _, b := range beeps {
			if d := float64(f-b) / 90; near(d, 0, 500) {
				ms = append(ms, d)
			}
		}
	}
	return ms
}

// allWhite looks at a grid of places: the pattern's clock hand is white too, but
// never everywhere.
func allWhite(p *media.Frame, r picture.Rect) bool {
	for i := 1; i < 6; i++ {
		for j := 1; j < 6; j++ {
			if p.Y[(r.Y+r.H*i/6)*p.YStride+r.X+r.W*j/6] < 180 {
				return false
			}
		}
	}
	return true
}

// beeps gives the PTS at which each beep begins.
func beeps(t *testing.T, ts []byte, first int64) (at []int64) {
	t.Helper()
	cmd := exec.Command("ffmpeg", "-v", "error", "-nostdin", "-i", "pipe:0", "-map", "0:a", "-f", "s16le", "-ac", "1", "pipe:1")
	cmd.Stdin = bytes.NewReader(ts)
	pcm, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	quiet := 0
	for i := 0; i+1 < len(pcm); i += 2 {
		v := int16(binary.LittleEndian.Uint16(pcm[i:]))
		if v > -600 && v < 600 {
			quiet++
			continue
		}
		if quiet > 48000/10 {
			at = append(at, first+int64(i/2)*90000/48000)
		}
		quiet = 0
	}
	return at
}

// testWorkerDies kills and stops capture's worker: a reader of the box stays
// connected, sees a slate, and then the live picture again.
func testWorkerDies(t *testing.T, c *chain) {
	s, err := c.status(portCapture1)
	if err != nil {
		t.Fatal(err)
	}
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
		worker := child(t, s.Process.PID, "worker")
		time.AfterFunc(2*time.Second, func() { _ = syscall.Kill(worker, signal) })
		ts, err := watch(t.Context(), "tcp://"+c.hostPort(portStream1), 12*time.Second)
		if err != nil {
			t.Fatalf("the reader lost its stream: %v", err)
		}
		inspect(t, fmt.Sprintf("box1 while its worker gets %v", signal), ts, 0) // each number once, slate or live
		var slates, live int
		flags := stamps(t, ts)
		for _, f := range flags {
			switch {
			case f.Flags&h264.Slate != 0:
				slates++
				live = 0
			case f.Flags&h264.Live != 0:
				live++
			}
		}
		t.Logf("%v: %d frames, %d of them slate, then %d live", signal, len(flags), slates, live)
		if slates == 0 || live < 25 {
			t.Errorf("%v: %d slates, %d live at the end", signal, slates, live)
		}
	}
}

type stampList []h264.Stamp

func (l *stampList) Video(u media.Unit) {
	if s, ok := h264.FindStamp(u.Data); ok {
		*l = append(*l, s)
	}
}
func (l *stampList) Audio(media.Unit) {}

func stamps(t *testing.T, ts []byte) []h264.Stamp {
	t.Helper()
	var l stampList
	if err := mpegts.Demux(bytes.NewReader(ts), &l); err != nil {
		t.Fatal(err)
	}
	return l
}

// child finds the child process of pid whose command line has a word.
func child(t *testing.T, pid int, word string) int {
	t.Helper()
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		b, _ := os.ReadFile(path)
		var id, parent int
		var name, state string
		_, _ = fmt.Sscanf(string(b), "%d %s %s %d", &id, &name, &state, &parent)
		line, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		if parent == pid && bytes.Contains(line, []byte("\x00"+word+"\x00")) {
			return id
		}
	}
	t.Fatalf("process %d has no child %q", pid, word)
	return 0
}

// testParentStops stops a whole box for a while: the mixer goes on and shows a
// slate in the camera's place, and its status names the camera.
func testParentStops(t *testing.T, c *chain) {
	s, err := c.status(portCapture1)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(s.Process.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(5*time.Second, func() { _ = syscall.Kill(s.Process.PID, syscall.SIGKILL) })
	time.Sleep(2500 * time.Millisecond)
	ts, err := watch(t.Context(), "tcp://"+c.hostPort(portMixer), 1500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	var readable, frames int
	pictures(t, ts, func(_ int, p *media.Frame) {
		frames++
		if _, err := picture.ReadNumber(p, smallRect); err == nil {
			readable++
		}
	})
	if frames < 20 || readable > 0 {
		t.Errorf("%d frames of the mix, %d of them still with the camera's pattern", frames, readable)
	}
	mixer, err := c.status(portControl)
	if err != nil {
		t.Fatal(err)
	}
	if in, ok := mixer.Hop("camera"); !ok || in.State == "ok" || in.Cause == "" {
		t.Errorf("the mixer says of its camera: %+v", in)
	}
	eventually(t, 10*time.Second, "the camera is back", func() error {
		ts, err := watch(t.Context(), "tcp://"+c.hostPort(portMixer), time.Second)
		if err != nil {
			return err
		}
		err = fmt.Errorf("no pattern in the mix")
		pictures(t, ts, func(_ int, p *media.Frame) {
			if _, e := picture.ReadNumber(p, smallRect); e == nil {
				err = nil
			}
		})
		return err
	})
}
