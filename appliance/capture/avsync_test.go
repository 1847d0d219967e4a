package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/picture"
)

// TestFlashAndBeepCoincide measures A/V offset as a viewer would have it: from
// the received stream, decoded by ffmpeg, by the time stamps of both tracks.
func TestFlashAndBeepCoincide(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("needs ffmpeg: apt install ffmpeg")
	}
	b := start(t, "pattern")
	r := read(b.dial())
	r.until(t, "six seconds", func(_ h264.Stamp, rep mpegts.Report) bool { return rep.Frames >= 150 })
	r.mu.Lock()
	path := filepath.Join(t.TempDir(), "stream.ts")
	err := os.WriteFile(path, r.data.Bytes(), 0o644)
	r.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	offsets := avOffsets(t, path, 640, 360)
	if len(offsets) < 3 {
		t.Fatalf("%d flashes with a beep in six seconds", len(offsets))
	}
	t.Logf("sound after picture by %v", offsets)
	// The median: on a machine with too much to do a flash may lose its first
	// frame, which says nothing about the sound.
	slices.Sort(offsets)
	if d := offsets[len(offsets)/2]; d.Abs() > 10*time.Millisecond {
		t.Errorf("A/V offset %v, want 0, 40ms at the very most", d)
	}
}

// TestDrillSoundStaysWithPictureOfTwoCrystals is the same through a source whose
// picture and sound run by crystals 250 ppm apart: within 40 ms at any time, and
// within 10 ms the same. DRILL=1 takes half an hour of it, 20 s of each minute.
func TestDrillSoundStaysWithPictureOfTwoCrystals(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("needs ffmpeg: apt install ffmpeg")
	}
	times, long, pause := 1, 10*time.Second, time.Duration(0)
	if os.Getenv("DRILL") != "" {
		times, long, pause = 30, 20*time.Second, 40*time.Second
	}
	s := &script{path: filepath.Join(t.TempDir(), "script")}
	if err := s.write("crystals"); err != nil {
		t.Fatal(err)
	}
	path, err := scripted()
	if err != nil {
		t.Fatal(err)
	}
	b := startProgram(t, path, "script:"+s.path, asCapture+"=1")
	var all []time.Duration
	for range times {
		all = append(all, b.recordOffsets(long)...)
		time.Sleep(pause)
	}
	slices.Sort(all)
	// One flash in five may lose its first frame on a machine with too much to do.
	low, high := all[len(all)/5], all[len(all)-1-len(all)/5]
	t.Logf("%d flashes: sound after picture by %v to %v, all but a fifth at each end %v to %v", len(all), all[0], all[len(all)-1], low, high)
	if len(all) < times*5 || low < -40*time.Millisecond || high > 40*time.Millisecond || high-low > 20*time.Millisecond {
		t.Errorf("%d flashes, sound after picture by %v", len(all), all)
	}
	// And what measures it finds an offset that is there.
	if err := s.write("late sound"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	late := b.recordOffsets(5 * time.Second)
	slices.Sort(late)
	if len(late) < 3 || (late[len(late)/2]-50*time.Millisecond).Abs() > 10*time.Millisecond {
		t.Errorf("with sound that is 50 ms late: %v", late)
	}
	t.Logf("with sound that is 50 ms late: %v", late)
}

// recordOffsets reads the stream for a while and measures its flashes and beeps.
func (b *box) recordOffsets(long time.Duration) []time.Duration {
	b.t.Helper()
	conn := b.dial()
	r := read(conn)
	start := r.until(b.t, "live picture", live).Latest.Frame
	frames := uint64(long.Seconds() * 25)
	for {
		next := r.until(b.t, "a second more", func(s h264.Stamp, _ mpegts.Report) bool { return s.Frame >= start+min(frames, 25) })
		if frames -= min(frames, 25); frames == 0 {
			break
		}
		start = next.Latest.Frame
	}
	conn.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	path := filepath.Join(b.t.TempDir(), "stream.ts")
	if err := os.WriteFile(path, r.data.Bytes(), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return avOffsets(b.t, path, 640, 360)
}

// avOffsets says for each flash of the test pattern in a stream of that size by
// how much its beep comes later.
func avOffsets(t testing.TB, path string, width, height int) (offsets []time.Duration) {
	t.Helper()
	dir := t.TempDir()
	video, audio := filepath.Join(dir, "video"), filepath.Join(dir, "audio")
	flash := picture.Flash(picture.Rect{W: width, H: height})
	out, err := exec.Command("ffmpeg", "-v", "error", "-nostdin", "-copyts", "-i", path,
		"-map", "0:v", "-vf", fmt.Sprintf("crop=%d:%d:%d:%d,signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=%s",
			flash.W, flash.H, flash.X, flash.Y, video), "-f", "null", "-",
		// A millisecond a block is the resolution of the onset.
		"-map", "0:a", "-af", "asetnsamples=n=48,astats=metadata=1:reset=1,ametadata=print:key=lavfi.astats.Overall.Peak_level:file="+audio,
		"-f", "null", "-").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("ffmpeg: %v\n%s", err, out)
	}
	// Onset of the beep: 12 dB below its level of -18 dBFS, reached within its
	// ramp of two milliseconds.
	beeps := onsets(t, audio, media.SampleRate, -30)
	for _, at := range onsets(t, video, media.TicksPerSecond, 180) {
		if i := slices.IndexFunc(beeps, func(b time.Duration) bool { return (b - at).Abs() < 500*time.Millisecond }); i >= 0 {
			offsets = append(offsets, beeps[i]-at)
		}
	}
	return offsets
}

// onsets are the times at which the values that a metadata filter printed go
// over a threshold, those at the very start left out. Times are counted in
// perSecond: ffmpeg prints seconds with six digits, which late in a day are tenths.
func onsets(t testing.TB, path string, perSecond int64, threshold float64) (at []time.Duration) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var now time.Duration
	over := true
	for s := bufio.NewScanner(f); s.Scan(); {
		if _, text, ok := strings.Cut(s.Text(), " pts:"); ok {
			pts, err := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
			if err != nil {
				t.Fatalf("%s: %q", path, s.Text())
			}
			now = time.Duration(float64(pts) / float64(perSecond) * float64(time.Second))
			continue
		}
		_, text, _ := strings.Cut(s.Text(), "=")
		v, err := strconv.ParseFloat(text, 64)
		if err != nil { // -inf of digital silence parses; what else there is doesn't matter
			continue
		}
		if v > threshold && !over {
			at = append(at, now)
		}
		over = v > threshold
	}
	return at
}
