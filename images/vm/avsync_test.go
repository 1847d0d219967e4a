//go:build vm

package vm_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/picture"
)

// The stick's two crystals, which are off by different amounts: in half an hour
// its own flash and beep go apart by 324 ms.
const videoPPM, audioPPM = 60, -120

// pair is a flash of the picture and the beep that belongs to it, in seconds.
type pair struct {
	flash, beep float64   // in the stream
	grid        float64   // by how much the flash's frame stands later there than it was captured
	at          time.Time // that was
}

// apart is by how much the stick's own beep has become later than its flash since
// its crystals were set wrong.
func (p pair) apart(tuned time.Time) float64 {
	return p.at.Sub(tuned).Seconds() * (videoPPM - audioPPM) / 1e6
}

// seen is by how much the beep is later than the flash for a viewer, and exact the
// same without the grid's rounding, which is up to 20 ms either way at 25 frames a
// second and goes round with the crystals. Both without what the stick itself does.
func (p pair) seen(tuned time.Time) float64  { return p.beep - p.flash - p.apart(tuned) }
func (p pair) exact(tuned time.Time) float64 { return p.seen(tuned) + p.grid }

// stampTable is those of the pictures in a stream, by their PTS.
type stampTable map[int64]h264.Stamp

func (s stampTable) Video(u media.Unit) {
	if st, ok := h264.FindStamp(u.Data); ok && st.Capture != 0 && st.Flags&(h264.Slate|h264.Repeated) == 0 {
		s[media.Wire(u.PTS)] = st
	}
}

func (stampTable) Audio(media.Unit) {}

// pairs measures a recorded stream as ffmpeg decodes it, by the PTS of both
// tracks, in ticks. A beep's onset is found to a millisecond.
func pairs(t *testing.T, ts []byte) (all []pair) {
	t.Helper()
	dir := t.TempDir()
	path, video, audio := filepath.Join(dir, "ts"), filepath.Join(dir, "video"), filepath.Join(dir, "audio")
	if err := os.WriteFile(path, ts, 0o600); err != nil {
		t.Fatal(err)
	}
	flash := picture.Flash(picture.Rect{W: 320, H: 180})
	out, err := exec.Command("ffmpeg", "-v", "fatal", "-nostdin", "-copyts", "-i", path,
		"-map", "0:v", "-vf", fmt.Sprintf("crop=%d:%d:%d:%d,signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=%s",
			flash.W, flash.H, flash.X, flash.Y, video), "-f", "null", "-",
		"-map", "0:a", "-af", "asetnsamples=n=48,astats=metadata=1:reset=1,ametadata=print:key=lavfi.astats.Overall.Peak_level:file="+audio,
		"-f", "null", "-").CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	known := stampTable{}
	_ = mpegts.Demux(bytes.NewReader(ts), known) // what it was cut off in is left out
	beeps := onsets(t, audio, -30)
	for _, pts := range onsets(t, video, 180) {
		st, ok := known[media.Wire(pts)]
		at := float64(pts) / media.TicksPerSecond
		for _, pts := range beeps {
			if beep := float64(pts) / media.SampleRate; ok && math.Abs(beep-at) < 0.45 {
				all = append(all, pair{at, beep, float64(st.Program-st.Capture) / 1e9, time.Unix(0, st.Capture)})
				break
			}
		}
	}
	return all
}

// onsets are the times, in the track's own ticks, at which the values in a
// metadata filter's file go over a threshold.
func onsets(t *testing.T, path string, threshold float64) (at []int64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	now, over := int64(0), true
	for s := bufio.NewScanner(f); s.Scan(); {
		if _, text, ok := strings.Cut(s.Text(), " pts:"); ok {
			if now, err = strconv.ParseInt(strings.Fields(text)[0], 10, 64); err != nil {
				t.Fatalf("%s: %q", path, s.Text())
			}
			continue
		}
		_, text, _ := strings.Cut(s.Text(), "=")
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			continue
		}
		if v > threshold && !over {
			at = append(at, now)
		}
		over = v > threshold
	}
	return at
}

// window is what some seconds of stream say.
type window struct {
	flashes             int
	seen                [3]float64 // the 10th of 100, the median, the 90th
	exact               float64    // median
	uncertain           float64    // of it: the standard error
	drift, gaps, offset float64    // as capture says
}

func (w window) String() string {
	return fmt.Sprintf("%d flashes: sound later by %.1f ms (%.1f to %.1f); without the grid by %.1f ± %.1f ms; drift held to be %.0f ppm, %.0f gaps, offset %.0f ms",
		w.flashes, w.seen[1]*1e3, w.seen[0]*1e3, w.seen[2]*1e3, w.exact*1e3, w.uncertain*1e3, w.drift, w.gaps, w.offset)
}

// fault is what is wrong with it.
func (w window) fault() error {
	if w.flashes < 4 {
		return fmt.Errorf("%d flashes with a beep, want at least 4", w.flashes)
	}
	if math.Abs(w.exact) > 0.040 || math.Abs(w.seen[1]) > 0.040 {
		return fmt.Errorf("sound later than picture by %.1f ms, without the grid by %.1f, want at most 40 either way", w.seen[1]*1e3, w.exact*1e3)
	}
	return nil
}

// certainly measures for a while, and once or twice longer where the machine was
// too busy for a certain answer.
func (b box) certainly(t *testing.T, tuned time.Time, long time.Duration) window {
	t.Helper()
	for again := time.Duration(1); ; again++ {
		w := b.measure(t, tuned, again*long)
		if w.flashes >= 4 && w.uncertain < 0.005 || again == 3 {
			return w
		}
		t.Logf("not certain: %v", w)
	}
}

// record reads the stream for a while. It resets the connection then: of one that
// is closed QEMU's network tells the guest nothing, which goes on sending.
func (b box) record(t *testing.T, long time.Duration) []byte {
	t.Helper()
	conn, err := net.Dial("tcp", b.Addr(8899))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetLinger(0)
	var ts bytes.Buffer
	_ = conn.SetDeadline(time.Now().Add(long))
	_, _ = io.Copy(&ts, conn)
	return ts.Bytes()
}

// measure records for a while and looks.
func (b box) measure(t *testing.T, tuned time.Time, long time.Duration) (w window) {
	t.Helper()
	all := pairs(t, b.record(t, long))
	w.flashes = len(all)
	if len(all) < 2 {
		return w
	}
	var seen, exact []float64
	for _, p := range all {
		seen = append(seen, p.seen(tuned))
		exact = append(exact, p.exact(tuned))
	}
	slices.Sort(seen)
	slices.Sort(exact)
	n := len(all)
	w.seen = [3]float64{seen[n/10], seen[n/2], seen[n-1-n/10]}
	w.exact = exact[n/2]
	// From the quartiles, which one lost frame doesn't move; 1.25 is the median's
	// penalty against the mean.
	w.uncertain = 1.25 * (exact[n*3/4] - exact[n/4]) / 1.35 / math.Sqrt(float64(n))
	c := b.capture(t).Detail.Input
	w.drift, w.gaps, w.offset = c.Sound.DriftPPM, float64(c.Sound.Gaps), c.Offset
	return w
}

// avEvent has a picture that such a machine encodes at a whole camera's rate, so that
// the grid rounds by 20 ms at most.
const avEvent = `event: Virtual machine
video: {size: 320x180, rate: 25, bitrate: 400k}
audio: {rate: 48000, channels: 2, bitrate: 96k}
boxes:
  - name: videobox
rooms:
  - {name: virtual, camera: videobox, mixer: {host: videobox-control}}
secrets: event.secrets.yaml
`

// inSync looks for some seconds, each time again, and wants every beep within 40
// ms of its flash, and their distance the same within 10 ms from the first time to
// the last.
func inSync(t *testing.T, times int, each, pause time.Duration) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("needs ffmpeg: apt install ffmpeg")
	}
	b := bootPC(t, func(c *vm.Config) {
		openCapture(c)
		c.Perm["event.yaml"] = avEvent
	}).box
	tuned := b.detuned(t)
	var all []float64
	for i := range times {
		if i > 0 {
			time.Sleep(pause)
		}
		w := b.certainly(t, tuned, each)
		t.Logf("after %4.0f s: %v", time.Since(tuned).Seconds(), w)
		if err := w.fault(); err != nil {
			t.Error(err)
		}
		all = append(all, w.exact)
	}
	low, high := slices.Min(all), slices.Max(all)
	t.Logf("%d times: sound later by %.1f to %.1f ms without the grid", times, low*1e3, high*1e3)
	if high-low > 0.020 {
		t.Errorf("it wanders by %.1f ms, want 10 either way at most", (high-low)*1e3)
	}
	b.lateSound(t, tuned, each, all[len(all)-1])
}

// detuned waits for a live picture, sets the stick's crystals wrong and gives the
// sound six seconds to follow.
func (b box) detuned(t *testing.T) (tuned time.Time) {
	t.Helper()
	ctx := within(t, 3*time.Minute)
	b.streams(ctx, t)
	r := b.follow(t)
	first := r.until(ctx, t, "live picture", isLive).Latest.Frame
	tuned = time.Now()
	for _, c := range []string{fmt.Sprintf("ppm video %d", videoPPM), fmt.Sprintf("ppm audio %d", audioPPM)} {
		if answer := b.stick.Command(c); answer != "ok" {
			t.Fatal(answer)
		}
	}
	r.until(ctx, t, "six seconds of it", func(s h264.Stamp) bool { return isLive(s) && s.Frame > first+150 })
	return tuned
}

// lateSound shows that the measurement finds what it is for: a stick whose sound is
// 80 ms later than its profile says, twice of what is allowed.
func (b box) lateSound(t *testing.T, tuned time.Time, each time.Duration, before float64) {
	t.Helper()
	if answer := b.stick.Command("late 80"); answer != "ok" {
		t.Fatal(answer)
	}
	w := b.certainly(t, tuned, each+2*time.Second)
	t.Logf("sound 80 ms late: %v", w)
	if later := w.exact - before; w.fault() == nil || later < 0.065 || later > 0.095 {
		t.Errorf("with sound that is 80 ms late it is later by %.1f ms, found to be wrong: %v", later*1e3, w.fault())
	}
}

// TestShortPCAVSync is flash and beep through the stick, from the received stream.
func TestShortPCAVSync(t *testing.T) { inSync(t, 2, 8*time.Second, 0) }

// TestDrillPCAVSync is the same over half an hour, or as long as there is time.
func TestDrillPCAVSync(t *testing.T) {
	const each, pause = 20 * time.Second, 100 * time.Second
	times := 16
	if end, ok := t.Deadline(); ok {
		times = min(times, int((time.Until(end)-4*time.Minute)/(each+pause)))
	}
	inSync(t, max(times, 2), each, pause)
}
