package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/mpegts"
)

// TestFilm looks at the chain as `make run` starts it.
func TestFilm(t *testing.T) {
	if _, err := os.Stat(filepath.Join(root(), ".cache/film-1280x720.mkv")); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no film: `make deps` fetches it")
		}
		t.Log("no film: the camera shows the pattern")
	}
	c := newChain(t, 3000)
	eventually(t, 30*time.Second, "the cache's playlist plays", func() error { return c.plays(1) })
	t.Logf("plays %.1f s after the first process", time.Since(c.start).Seconds())
	eventually(t, 30*time.Second, "ten segments", func() error { return c.plays(5) })

	t.Run("ffprobe", func(t *testing.T) { testFormat(t, c) })
	t.Run("decode", func(t *testing.T) { testDecodes(t, c) })
	t.Run("status", func(t *testing.T) { testStatus(t, c) })
	t.Run("latency", func(t *testing.T) { testLatency(t, c, slack()) })
	t.Run("cost", func(t *testing.T) { testCost(t, c) })
	t.Run("probe", func(t *testing.T) { testProbe(t, c) })
	t.Run("identical", func(t *testing.T) { testIdentical(t, c) })
	t.Run("recordings", func(t *testing.T) { testRecordings(t, c) })
	t.Run("pages", func(t *testing.T) { testPages(t, c) })
	t.Run("browser", func(t *testing.T) { testBrowser(t, c) })
}

type ffprobe struct {
	Streams []struct {
		CodecName  string `json:"codec_name"`
		Profile    string `json:"profile"`
		Width      int    `json:"width"`
		Height     int    `json:"height"`
		FrameRate  string `json:"r_frame_rate"`
		SampleRate string `json:"sample_rate"`
		Channels   int    `json:"channels"`
	} `json:"streams"`
}

func testFormat(t *testing.T, c *chain) {
	out, _ := command(t, 30*time.Second, "ffprobe", "-v", "error", "-show_streams", "-of", "json", c.url(portCache, "/hls/demo/main/index.m3u8"))
	var p ffprobe
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatal(err)
	}
	var video, audio bool
	for _, s := range p.Streams {
		switch s.CodecName {
		case "h264":
			video = s.Width == 1280 && s.Height == 720 && s.FrameRate == "25/1"
		case "aac":
			audio = s.SampleRate == "48000" && s.Channels == 2
		}
	}
	if !video || !audio {
		t.Errorf("want H.264 1280x720 25 fps and AAC 48 kHz stereo, got %+v", p.Streams)
	}
}

func testDecodes(t *testing.T, c *chain) {
	for _, rendition := range []string{"main", "480"} {
		_, stderr := command(t, 60*time.Second, "ffmpeg", "-v", "error", "-nostdin", "-t", "20", "-i", c.url(portCache, "/hls/demo/"+rendition+"/index.m3u8"), "-f", "null", "-")
		if stderr != "" {
			t.Errorf("%s: ffmpeg complains: %.1000s", rendition, stderr)
		}
	}
	_, stderr := command(t, 60*time.Second, "ffmpeg", "-nostdin", "-t", "20", "-i", c.url(portCache, "/hls/demo/index.m3u8"), "-map", "0:a:0", "-af", "volumedetect", "-f", "null", "-")
	m := regexp.MustCompile(`max_volume: (-?[\d.]+) dB`).FindStringSubmatch(stderr)
	if m == nil {
		t.Fatalf("no volume in %.500s", stderr)
	}
	if v, _ := strconv.ParseFloat(m[1], 64); v < -40 {
		t.Errorf("the sound's loudest sample is at %v dB: silent", v)
	}
}

// testStatus wants every program to answer in one shape, and to be well.
func testStatus(t *testing.T, c *chain) {
	for name, port := range c.programs() {
		eventually(t, 10*time.Second, name+" is ok", func() error {
			s, err := c.status(port)
			switch {
			case err != nil:
				return err
			case s.Program == "" || s.Process.PID == 0 || len(s.Hops) == 0:
				return fmt.Errorf("incomplete: %+v", s)
			}
			return well(s)
		})
		if b, err := get(c.url(port, "/metrics")); err != nil || !strings.Contains(string(b), "videobox_") {
			t.Errorf("%s: /metrics: %v", name, err)
		}
		if _, err := get(c.url(port, "/healthz")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// programs are the ports where each program says how it is.
func (c *chain) programs() map[string]int {
	return map[string]int{
		"box1 capture": portCapture1, "box1 record": portRecord1, "box1 boxd": portBox1,
		"box2 capture": portCapture2, "box2 record": portRecord2, "box2 boxd": portBox2,
		"mixer": portControl, "push": portPush, "dump": portDump,
		"main": portMain, "backup": portBackup, "cache": portCache,
	}
}

// slack is what the latency's bounds are multiplied by: nothing where figures
// are wanted (make bench), two where the machine may be doing other things.
func slack() float64 {
	if os.Getenv("BENCH") != "" {
		return 1
	}
	return 2
}

// testLatency measures from capture: how old a segment's first frame is when
// the cache first lists it, and how long capture to mixer output takes. times
// loosens the bounds.
func testLatency(t *testing.T, c *chain, times float64) {
	p, err := c.media(portCache, "main")
	if err != nil {
		t.Fatal(err)
	}
	known := len(p.segments) + p.first
	var worst time.Duration
	for range 3 {
		eventually(t, 15*time.Second, "a new segment", func() error {
			p, err = c.media(portCache, "main")
			if err == nil && len(p.segments)+p.first <= known {
				err = fmt.Errorf("still %d", known)
			}
			return err
		})
		listed := time.Now()
		known = len(p.segments) + p.first
		ts, err := get(p.urls[len(p.urls)-1])
		if err != nil {
			t.Fatal(err)
		}
		stamp, ok := mpegts.FirstStamp(ts)
		if !ok || stamp.Capture == 0 {
			t.Fatalf("no capture time in the segment: %+v", stamp)
		}
		worst = max(worst, listed.Sub(time.Unix(0, stamp.Capture)))
	}
	t.Logf("a segment's first frame is %v old when listed", worst.Round(time.Millisecond))
	if limit := time.Duration(times * 4 * float64(time.Second)); worst > limit {
		t.Errorf("limit %v", limit)
	}
	median := medianOf(t, 21, func() float64 {
		s, err := c.status(portControl)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range s.Hops {
			if h.Direction == "out" && h.LatencyMS > 0 {
				return h.LatencyMS
			}
		}
		t.Fatalf("no latency in %+v", s.Hops)
		return 0
	})
	t.Logf("capture to mixer output: %.0f ms at the median", median)
	if median > 400*times {
		t.Errorf("limit %.0f ms", 400*times)
	}
}

func medianOf(t *testing.T, n int, f func() float64) float64 {
	t.Helper()
	var v []float64
	for range n {
		v = append(v, f())
		time.Sleep(100 * time.Millisecond)
	}
	for i := range v {
		for j := i; j > 0 && v[j] < v[j-1]; j-- {
			v[j], v[j-1] = v[j-1], v[j]
		}
	}
	return v[len(v)/2]
}

// testCost adds up the CPU time of all processes over 10 s.
func testCost(t *testing.T, c *chain) {
	before, start := c.cpu(t), time.Now()
	time.Sleep(10 * time.Second)
	after, d := c.cpu(t), time.Since(start).Seconds()
	total := 0.0
	var parts []string
	for name, s := range after {
		share := (s - before[name]) / d
		total += share
		parts = append(parts, fmt.Sprintf("%s %.2f", name, share))
	}
	t.Logf("%.2f cores: %s", total, strings.Join(parts, ", "))
	if limit := 1.5; total > limit {
		t.Errorf("the chain uses %.2f cores, at most %.1f", total, limit)
	}
}

// cpu is each program's CPU time with its children's, in seconds.
func (c *chain) cpu(t *testing.T) map[string]float64 {
	t.Helper()
	used := map[string]float64{}
	for name, port := range c.programs() {
		s, err := c.status(port)
		if err != nil {
			t.Fatal(err)
		}
		used[name] = usage(t, s.Process.PID)
	}
	return used
}

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }
