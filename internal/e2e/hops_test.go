package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/run"
	"github.com/openvideobox/videobox/internal/tee"
)

// usage is the CPU time of a process and its children, in seconds.
func usage(t *testing.T, pid int) float64 {
	t.Helper()
	u, err := run.ProcessUsage(pid, true)
	if err != nil {
		t.Fatal(err)
	}
	return u.CPUSeconds
}

// watch reads a stream for d and gives what it read.
func watch(ctx context.Context, url string, d time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, d+5*time.Second)
	defer cancel()
	r, err := tee.Open(ctx, url, tee.OpenOptions{Interface: "lo"})
	if err != nil {
		return nil, err
	}
	start := time.Now() // before the timer: who is held up in between isn't early
	stop := time.AfterFunc(d, func() { r.Close() })
	defer stop.Stop()
	var b bytes.Buffer
	_, err = io.Copy(&b, r)
	if time.Since(start) < d {
		return b.Bytes(), fmt.Errorf("%s ended after %v: %v", url, time.Since(start), err)
	}
	return b.Bytes(), nil
}

// probeSeconds is how long each hop is watched; the minute, and more
// in drills.
func probeSeconds() time.Duration {
	if os.Getenv("DRILL") != "" {
		return 10 * time.Minute
	}
	return time.Minute
}

// testProbe watches a box, the multicast groups and HLS for a minute at once:
// no fault by the probe, no complaint by ffmpeg, a picture soon after joining.
func testProbe(t *testing.T, c *chain) {
	t.Run("late joiner", func(t *testing.T) { testLateJoiner(t, c) })
	urls := map[string]string{
		"box1 tcp":        "tcp://" + c.hostPort(portStream1),
		"box2 multicast":  fmt.Sprintf("udp://239.255.43.2:%d", 5004+c.offset),
		"mixer multicast": fmt.Sprintf("udp://239.255.42.1:%d", 5004+c.offset),
		"480 multicast":   fmt.Sprintf("udp://239.255.42.1:%d", 5006+c.offset),
		"mixer tcp":       "tcp://" + c.hostPort(portMixer),
	}
	first, err := c.media(portCache, "main")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	streams := map[string][]byte{}
	for name, url := range urls {
		wg.Go(func() {
			ts, err := watch(t.Context(), url, probeSeconds())
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			streams[name] = ts
		})
	}
	wg.Wait()
	// Inspecting loads the machine: only when all has been received.
	streams["hls"] = segments(t, c, first)
	for name, ts := range streams {
		inspect(t, name, ts, skippable)
	}
}

// inspect runs the probe and ffmpeg over a piece of a stream, of which so many
// frames may be left out.
func inspect(t *testing.T, name string, ts []byte, leftOut uint64) {
	t.Helper()
	p := mpegts.NewProbe()
	_, _ = p.Write(ts)
	r := p.Report()
	if faults := faultsOf(r, leftOut); len(faults) > 0 {
		t.Errorf("%s: %s", name, strings.Join(faults, "; "))
	}
	if r.Packets < 1000 {
		t.Errorf("%s: only %d packets", name, r.Packets)
	}
	file := filepath.Join(t.TempDir(), "hop.ts")
	if err := os.WriteFile(file, ts, 0o600); err != nil {
		t.Error(err)
		return
	}
	out, _ := exec.Command("ffmpeg", "-v", "debug", "-nostdin", "-i", file, "-c", "copy", "-f", "null", "-").CombinedOutput()
	if bytes.Contains(out, []byte("Continuity check failed")) {
		t.Errorf("%s: ffmpeg says: Continuity check failed", name)
	}
	t.Logf("%s: %s", name, r)
}

// skippable is how many frames an encoder may leave out, counted, where the
// machine that the test runs on stands still for longer than they are patient.
const skippable = 12

// faultsOf are the probe's, without what follows from a few frames left out.
func faultsOf(r mpegts.Report, leftOut uint64) []string {
	if r.MissingFrames > leftOut {
		return r.Faults()
	}
	return slices.DeleteFunc(r.Faults(), func(f string) bool {
		return strings.HasPrefix(f, "missing frames:") || strings.HasPrefix(f, "video PTS jumps:") || strings.HasPrefix(f, "IDR interval:")
	})
}

// testLateJoiner wants a picture within 1 s by TCP and 1 s after the next IDR,
// which comes each second, by multicast.
func testLateJoiner(t *testing.T, c *chain) {
	for url, limit := range map[string]time.Duration{
		"tcp://" + c.hostPort(portStream1):                  time.Second,
		"tcp://" + c.hostPort(portMixer):                    time.Second,
		fmt.Sprintf("udp://239.255.42.1:%d", 5004+c.offset): 2 * time.Second,
	} {
		start := time.Now()
		ts, err := watch(t.Context(), url, limit)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		cmd := exec.Command("ffmpeg", "-v", "error", "-nostdin", "-i", "pipe:0", "-frames:v", "1", "-f", "rawvideo", "pipe:1")
		cmd.Stdin = bytes.NewReader(ts)
		out, err := cmd.Output()
		if err != nil || len(out) != 1280*720*3/2 {
			t.Errorf("%s: no picture in the first %v: %d bytes, %v", url, time.Since(start), len(out), err)
		}
	}
}

// segments joins the segments that came since first.
func segments(t *testing.T, c *chain, first playlist) (all []byte) {
	t.Helper()
	p, err := c.media(portCache, "main")
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range p.segments {
		if p.first+i < first.first+len(first.segments) {
			continue
		}
		if s == "" {
			t.Errorf("segment %d is a gap", p.first+i)
			continue
		}
		ts, err := get(p.urls[i])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ts...)
	}
	return all
}

// testIdentical compares main's and backup's segments, and restarts the
// backup, whose numbering must go on.
func testIdentical(t *testing.T, c *chain) {
	same := func() (n int) {
		a, err := c.media(portMain, "main")
		if err != nil {
			t.Fatal(err)
		}
		b, err := c.media(portBackup, "main")
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range a.segments {
			j := a.first + i - b.first
			if s == "" || j < 1 || j >= len(b.segments) || b.segments[j] == "" || i == 0 {
				continue // what one of them lacks, or joined in the middle of
			}
			x, errX := get(a.urls[i])
			y, errY := get(b.urls[j])
			if errX != nil || errY != nil {
				continue // gone from the window meanwhile
			}
			if sha256.Sum256(x) != sha256.Sum256(y) {
				t.Errorf("segment %d differs: %d and %d bytes", a.first+i, len(x), len(y))
			}
			n++
		}
		return n
	}
	before := same()
	s, err := c.status(portBackup)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(s.Process.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "the backup lists segments again", func() error {
		b, err := c.media(portBackup, "main")
		if err == nil && len(b.segments) < 4 {
			err = fmt.Errorf("%d segments", len(b.segments))
		}
		return err
	})
	after := same()
	t.Logf("%d segments the same before, %d after the backup's restart", before, after)
	if before < 3 || after < 2 {
		t.Error("too few to compare")
	}
}

// testRecordings wants every recorder to have written, and what it wrote to play.
func testRecordings(t *testing.T, c *chain) {
	for _, dir := range []string{"recordings/box1", "recordings/box2", "origin-main/demo", "origin-main/demo-480", "origin-backup/demo", "dump/box1", "dump/box2", "dump/demo", "dump/demo-480"} {
		base := filepath.Base(dir)
		files, _ := filepath.Glob(filepath.Join(c.dir, dir, base+"-2*.ts"))
		if len(files) == 0 {
			t.Errorf("%s: no recording", dir)
			continue
		}
		ts, err := os.ReadFile(files[0])
		if err != nil {
			t.Error(err)
			continue
		}
		p := mpegts.NewProbe()
		_, _ = p.Write(ts[:len(ts)/188*188])
		// Frames that an overloaded encoder left out are missing in every
		// recording; they are counted where they were left out.
		r := p.Report()
		if r.Continuity+r.DuplicateFrames+r.BackwardFrames > 0 || r.SkippedBytes > 0 || r.Frames < 25*20 {
			t.Errorf("%s: %s: %q", dir, r, r.Faults())
		}
	}
}
