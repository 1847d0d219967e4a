package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/run/runtest"
)

// stopwatch says of each picture how long after its capture the last of its
// packets had come.
type stopwatch struct {
	scanner mpegts.Scanner
	now     time.Time
	last    time.Time // when the newest video packet came
	au      []byte    // of the picture so far
	took    []time.Duration
}

func (s *stopwatch) Write(p []byte) (int, error) {
	s.now = time.Now()
	s.scanner.Scan(p, s.packet)
	return len(p), nil
}

func (s *stopwatch) packet(p mpegts.Packet) {
	if p.PID() != mpegts.PIDVideo {
		return
	}
	if p.PayloadStart() {
		if st, ok := h264.FindStamp(s.au); ok && st.Flags&(h264.Live|h264.Repeated|h264.Slate) == h264.Live {
			s.took = append(s.took, s.last.Sub(time.Unix(0, st.Capture)))
		}
		s.au = s.au[:0]
	}
	s.au = append(s.au, p.Payload()...)
	s.last = s.now
}

// stages is what the status says a frame costs, in ms.
type stages struct {
	Process struct {
		Own      int64 `json:"resident_bytes"`
		Children int64 `json:"children_resident_bytes"`
	} `json:"process"`
	Detail struct {
		MuxMS    float64 `json:"mux_ms"`
		RingHeld int64   `json:"ring_bytes"`
		RingSize int64   `json:"ring_size"`
		Input    struct {
			ScaleMS     float64 `json:"scale_ms"`
			ConvertMS   float64 `json:"convert_ms"`
			EncodeMS    float64 `json:"encode_ms"`
			EncodeMaxMS float64 `json:"encode_max_ms"`
			Skipped     uint64  `json:"skipped"`
		} `json:"input"`
	} `json:"detail"`
}

func (s *stages) add(t stages) {
	in, more := &s.Detail.Input, t.Detail.Input
	in.ScaleMS += more.ScaleMS
	in.ConvertMS += more.ConvertMS
	in.EncodeMS += more.EncodeMS
	in.EncodeMaxMS = max(in.EncodeMaxMS, more.EncodeMaxMS)
	s.Detail.MuxMS += t.Detail.MuxMS
}

func (b *box) stages() (s stages) {
	b.t.Helper()
	resp, err := http.Get("http://" + b.status + "/api/status")
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		b.t.Fatal(err)
	}
	return s
}

// filmed starts capture on a camera of 1920x1080 in full-range BT.601 with an
// event's video.
func filmed(t testing.TB, video string, encoder ...string) *box {
	t.Helper()
	s := &script{path: filepath.Join(t.TempDir(), "script")}
	if err := s.write("camera"); err != nil {
		t.Fatal(err)
	}
	path, err := scripted()
	if err != nil {
		t.Fatal(err)
	}
	return startVideo(t, path, "script:"+s.path, video, encoder, asCapture+"=1")
}

// TestLatency is from a frame's handing over by the driver, 1080p, to its last
// byte at a reader's socket, 720p25 superfast. BENCH=1 holds it to 60 ms at the
// 99th percentile; on a machine with other things to do the median has to do.
func TestLatency(t *testing.T) {
	seconds := 4
	if os.Getenv("BENCH") != "" {
		seconds = 30
	}
	b := filmed(t, "size: 1280x720, rate: 25, bitrate: 2500k", "--preset", "superfast")
	conn := b.dial()
	var w stopwatch
	buf := make([]byte, 256<<10)
	var sum stages
	looks := 0.0
	for len(w.took) < 25*(seconds+1) {
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if w.Write(buf[:n]); len(w.took) > 0 && len(w.took)%25 == 0 {
			sum.add(b.stages())
			looks++
		}
	}
	took := w.took[25:] // the first second is of a machine that starts
	slices.Sort(took)
	at := func(share float64) time.Duration { return took[int(float64(len(took)-1)*share)] }
	in := sum.Detail.Input
	t.Logf("handed over to last byte at a reader, %d frames: median %.1f ms, 99th percentile %.1f ms, most %.1f ms",
		len(took), ms(at(0.5)), ms(at(0.99)), ms(at(1)))
	scale, convert, encode, mux := in.ScaleMS/looks, in.ConvertMS/looks, in.EncodeMS/looks, sum.Detail.MuxMS/looks
	mean := 0.0
	for _, d := range took {
		mean += ms(d) / float64(len(took))
	}
	t.Logf("mean %.1f ms, of it: scale %.1f ms, convert %.1f, encode %.1f (%.1f at most), mux and ring %.2f, pipe and socket %.1f",
		mean, scale, convert, encode, in.EncodeMaxMS, mux, mean-scale-convert-encode-mux)
	if limit := 60 * time.Millisecond; at(0.5) > limit || os.Getenv("BENCH") != "" && at(0.99) > limit {
		t.Errorf("median %v, 99th percentile %v; want %v", at(0.5), at(0.99), limit)
	}
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

// TestMemory is what parent and worker hold once the ring is full.
func TestMemory(t *testing.T) {
	for video, limit := range map[string]int64{
		"size: 1920x1080, rate: 30, bitrate: 5000k": 120 << 20,
		"size: 1280x720, rate: 25, bitrate: 2500k":  80 << 20,
	} {
		t.Run(video, func(t *testing.T) { memory(t, video, limit) })
	}
}

func memory(t *testing.T, video string, limit int64) {
	b := filmed(t, video, "--preset", "ultrafast")
	r := watch(b.dial())
	start := r.until(t, "live picture", live).Latest.Frame
	r.until(t, "four seconds", func(s h264.Stamp, _ mpegts.Report) bool { return s.Frame > start+120 })
	// The source of this test holds eight frames, which a device's doesn't.
	frames := int64(8 * 1920 * 1080 * 3 / 2)
	held := func() (s stages, full int64) {
		s = b.stages()
		return s, s.Process.Own + s.Process.Children + s.Detail.RingSize - s.Detail.RingHeld - frames
	}
	s, full := held()
	// On a busy machine the child that encodes the slate may still be at it: what
	// counts is what stays.
	for end := time.Now().Add(runtest.Patience); full > limit && time.Now().Before(end); s, full = held() {
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("parent %d MB, worker %d MB with %d MB of the test's own; with a full ring %d MB",
		s.Process.Own>>20, s.Process.Children>>20, frames>>20, full>>20)
	if full > limit {
		t.Errorf("%d MB resident, want at most %d", full>>20, limit>>20)
	}
}
