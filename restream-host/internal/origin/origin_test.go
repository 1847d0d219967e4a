package origin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/run/runtest"
	"github.com/openvideobox/videobox/restream-host/internal/hls"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const eventText = `
event: Test
video: {size: 320x180, rate: 25, bitrate: 300k}
renditions:
  - {name: "480", size: 160x90, bitrate: 100k}
multicast: {interface: lo, ttl: 0}
audio: {rate: 48000, channels: 2, bitrate: 96k, target_lufs: -16}
rooms:
  - name: demo
    camera: tcp://127.0.0.1:9
    mixer: {host: 127.0.0.1, engine: native}
    output: {multicast: "239.255.42.1:5004", tcp: 28899}
origins:
  - {name: main, rtmp: "rtmp://127.0.0.1:1935/stream", http: "http://127.0.0.1:8081", dir: %q}
secrets: secrets.yaml
`

// serve runs an origin on sockets of its own.
func serve(t *testing.T) (o *Origin, rtmp, web, dir string) {
	t.Helper()
	dir = t.TempDir()
	path := filepath.Join(dir, "event.yaml")
	for name, text := range map[string]string{"event.yaml": fmt.Sprintf(eventText, dir), "secrets.yaml": `publish_key: "s3cret"`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e, err := event.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if o, err = New(e, "main", slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
		t.Fatal(err)
	}
	var l [2]net.Listener
	for i := range l {
		if l[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- o.Serve(ctx, l[0], l[1]) }()
	t.Cleanup(func() {
		cancel()
		<-done
		o.close()
		http.DefaultClient.CloseIdleConnections()
	})
	return o, l[0].Addr().String(), "http://" + l[1].Addr().String(), dir
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

// TestFFmpegPublishesAndPlays: a publisher that is not ours, a player that is
// not ours.
func TestFFmpegPublishesAndPlays(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("no ffmpeg: `make deps` installs it")
	}
	o, rtmp, web, dir := serve(t)
	if code, text := get(t, web+"/hls/demo/index.m3u8"); code != 503 || !strings.Contains(text, "no live input") {
		t.Errorf("before anybody publishes: %d %q", code, text)
	}
	ctx, stop := context.WithCancel(t.Context())
	publisher := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-nostdin", "-re", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25", "-re", "-f", "lavfi", "-i", "sine=r=48000",
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-b:v", "300k", "-ac", "2", "-c:a", "aac", "-f", "flv", "rtmp://"+rtmp+"/stream/demo?key=s3cret")
	if err := publisher.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stop()
		publisher.Wait()
	}()
	playlist := web + "/hls/demo/index.m3u8"
	runtest.Eventually(t, "two segments", func() bool {
		_, text := get(t, web+"/hls/demo/main/index.m3u8")
		return strings.Count(text, ".ts\n") >= 2
	})
	out, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width,height,avg_frame_rate,sample_rate,channels", "-of", "compact", playlist).CombinedOutput()
	for _, want := range []string{"h264", "width=320|height=180", "avg_frame_rate=25/1", "aac", "sample_rate=48000|channels=2"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("ffprobe: %v, no %s in\n%s", err, want, out)
		}
	}
	out, err = exec.Command("ffmpeg", "-v", "error", "-nostdin", "-t", "3", "-i", playlist, "-f", "null", "-").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("ffmpeg plays with %v: %s", err, out)
	}
	src, err := hls.Open(t.Context(), playlist)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(src, make([]byte, 188*100)); err != nil {
		t.Error(err)
	}
	src.Close()
	runtest.Eventually(t, "the recording", func() bool {
		files, _ := filepath.Glob(filepath.Join(dir, "demo", "demo-*.ts"))
		return len(files) == 1 && size(files[0]) > 10_000
	})
	var st metrics.Status
	_, text := get(t, web+"/api/status")
	if err := json.Unmarshal([]byte(text), &st); err != nil {
		t.Fatal(err)
	}
	if h, ok := st.Hop("demo"); !ok || h.Frames == 0 || h.State != metrics.OK {
		t.Errorf("hop: %+v", h)
	}
	for path, want := range map[string]string{
		"/api/rooms": `"name":"demo","live":true`, "/metrics": `videobox_hls_segments_total{name="main",program="origin",stream="demo"}`,
		"/licenses": "hls.js", "/": "<title>", "/hls/demo/480/index.m3u8": "no live input",
	} {
		if _, text := get(t, web+path); !strings.Contains(text, want) {
			t.Errorf("%s has no %s: %.200s", path, want, text)
		}
	}
	if len(o.rejected()) == 0 || o.rejected()["bad_key"] != 0 {
		t.Errorf("rejected: %v", o.rejected())
	}
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
