package recording

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/mpegts"
)

// ffmpeg runs it with what it reads, and returns what it writes and says.
func ffmpeg(t *testing.T, stdin []byte, args ...string) (out []byte, said string) {
	t.Helper()
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed: make deps")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append([]string{"-hide_banner", "-nostdin"}, args...)...)
	if stdin != nil {
		cmd.Args = append([]string{path, "-hide_banner"}, args...)
		cmd.Stdin = bytes.NewReader(stdin)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("ffmpeg %v: %v: %s", args, err, stderr.String())
	}
	return stdout.Bytes(), stderr.String()
}

// plays checks that ffmpeg decodes so many pictures without a complaint.
func plays(t *testing.T, name string, ts []byte, pictures int) {
	t.Helper()
	if _, said := ffmpeg(t, ts, "-v", "warning", "-f", "mpegts", "-i", "-", "-f", "null", "-"); said != "" {
		t.Errorf("%s: %s", name, said)
	}
	_, said := ffmpeg(t, ts, "-v", "debug", "-f", "mpegts", "-i", "-", "-map", "0:v", "-f", "null", "-")
	if strings.Contains(said, "Continuity check failed") {
		t.Errorf("%s: a continuity error", name)
	}
	raw, _ := ffmpeg(t, ts, "-v", "error", "-f", "mpegts", "-i", "-", "-map", "0:v", "-vf", "scale=16:16", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-")
	if got := len(raw) / 256; got != pictures {
		t.Errorf("%s: %d pictures, want %d", name, got, pictures)
	}
}

var testSource = []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=20"}

var testCodec = []string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "25", "-sc_threshold", "0", "-x264-params", "aud=1:threads=1", "-pix_fmt", "yuv420p"}

// accessUnits cuts an H.264 stream at its delimiters.
func accessUnits(b []byte) (aus [][]byte) {
	delimiter := []byte{0, 0, 0, 1, 9}
	for _, au := range bytes.Split(b, delimiter)[1:] {
		aus = append(aus, append(bytes.Clone(delimiter), au...))
	}
	return aus
}

// pictureCount is how many pictures start in a stream.
func pictureCount(ts []byte, video uint16) (n int) {
	var s mpegts.Scanner
	s.Scan(ts, func(p mpegts.Packet) {
		if p.PID() == video && p.PayloadStart() {
			n++
		}
	})
	return n
}

func TestFilesPlayAloneAndInARow(t *testing.T) {
	raw, _ := ffmpeg(t, nil, append(append(append([]string{}, testSource...), testCodec...), "-f", "h264", "-")...)
	aus := accessUnits(raw)
	if len(aus) != 500 {
		t.Fatalf("ffmpeg made %d access units", len(aus))
	}
	s, m := newStreamer(), newMemFS()
	for _, au := range aus {
		s.addPicture(h264.InsertStamp(nil, au, s.stamp()), h264.IsIDR(au))
	}
	synctest.Test(t, func(t *testing.T) {
		c := testConfig(m)
		c.Segment = 6 * time.Second
		r := open(t, c)
		feed(t, r, s.out.Bytes()[:s.out.Len()/2+77])
		m = kill(t, r, m)
		time.Sleep(time.Second)
		r = open(t, c2(c, m))
		feed(t, r, s.out.Bytes()[s.starts[7]:])
		closeIt(t, r)
	})
	names, data := m.recorded()
	if len(names) != 4 {
		t.Errorf("files %v", names)
	}
	checkFiles(t, names, data, testVideo)
}

func c2(c Config, m *memFS) Config { c.FS = m; return c }

func checkFiles(t *testing.T, names []string, data [][]byte, video uint16) {
	t.Helper()
	for i := range data {
		plays(t, names[i], data[i], pictureCount(data[i], video))
	}
	all := bytes.Join(data, nil)
	plays(t, "all in a row", all, 500)
	p := mpegts.NewProbe()
	p.Write(all)
	if r := p.Report(); r.Continuity != 0 || r.SyncLosses != 0 || r.PCRJumps != 0 || r.VideoPTSJumps != 0 || r.MissingFrames != 0 || r.DuplicateFrames != 0 || r.BackwardFrames != 0 || r.Frames != 500 {
		t.Errorf("the probe finds %v", r)
	}
}

// ffmpeg's own muxer stands for any other box: sound, no stamps.
func TestRecordsFfmpegsStream(t *testing.T) {
	args := append(append([]string{}, testSource...), "-f", "lavfi", "-i", "sine=r=48000:d=20")
	ts, _ := ffmpeg(t, nil, append(append(args, testCodec...), "-c:a", "aac", "-f", "mpegts", "-")...)
	m := newMemFS()
	synctest.Test(t, func(t *testing.T) {
		c := testConfig(m)
		c.Segment = 6 * time.Second
		r := open(t, c)
		for n := range 20 {
			feed(t, r, ts[len(ts)*n/20:len(ts)*(n+1)/20])
			time.Sleep(time.Second)
		}
		closeIt(t, r)
	})
	names, data := m.recorded()
	if len(names) != 4 && len(names) != 3 {
		t.Errorf("files %v", names)
	}
	checkFiles(t, names, data, 0x100)
}
