package x264

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ffmpeg runs a tool of the suite and returns what it wrote.
func ffmpeg(t *testing.T, tool string, args ...string) (stdout, stderr string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("needs %s, which CI must have: %v", tool, err)
		}
		t.Skipf("needs %s: apt-get install ffmpeg", tool)
	}
	var out, msg bytes.Buffer
	cmd := exec.Command(tool, args...)
	cmd.Stdout, cmd.Stderr = &out, &msg
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", tool, strings.Join(args, " "), err, msg.String())
	}
	return out.String(), msg.String()
}

func write(t *testing.T, units [][]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stream.h264")
	if err := os.WriteFile(path, bytes.Join(units, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

type probe struct {
	Streams []struct {
		Profile        string `json:"profile"`
		HasBFrames     int    `json:"has_b_frames"`
		Level          int    `json:"level"`
		ColorSpace     string `json:"color_space"`
		ColorPrimaries string `json:"color_primaries"`
		ColorTransfer  string `json:"color_transfer"`
		ColorRange     string `json:"color_range"`
		FrameRate      string `json:"r_frame_rate"`
		Width, Height  int
	}
	Frames []struct {
		KeyFrame int    `json:"key_frame"`
		PictType string `json:"pict_type"`
	}
}

func TestFFmpegSeesWhatWasAsked(t *testing.T) {
	for _, c := range []Config{
		small,
		{Width: 320, Height: 180, Rate: 50, Bitrate: 800_000, Preset: "ultrafast"},
		{Width: 320, Height: 192, Rate: 30, Bitrate: 800_000, Preset: "veryfast", Threads: 2},
	} {
		c = c.withDefaults()
		t.Run(c.Preset, func(t *testing.T) {
			keys := map[int]bool{0: true, 13: true, 25: true, 50: true, 51: true}
			path := write(t, encode(t, c, 75, func(i int) bool { return keys[i] }))
			out, _ := ffmpeg(t, "ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_frames", path)
			var p probe
			if err := json.Unmarshal([]byte(out), &p); err != nil {
				t.Fatal(err)
			}
			s := p.Streams[0]
			if s.Profile != "High" || s.HasBFrames != 0 || s.Width != c.Width || s.Height != c.Height {
				t.Errorf("profile %s, %d B-frames, %dx%d", s.Profile, s.HasBFrames, s.Width, s.Height)
			}
			if s.ColorSpace != "bt709" || s.ColorPrimaries != "bt709" || s.ColorTransfer != "bt709" || s.ColorRange != "tv" {
				t.Errorf("colour is %s %s %s %s", s.ColorSpace, s.ColorPrimaries, s.ColorTransfer, s.ColorRange)
			}
			if len(p.Frames) != 75 {
				t.Fatalf("%d frames, want 75", len(p.Frames))
			}
			for i, f := range p.Frames {
				if f.KeyFrame == 1 != keys[i] || f.PictType == "B" {
					t.Errorf("frame %d: key %d, type %s", i, f.KeyFrame, f.PictType)
				}
			}
		})
	}
}

func TestFFmpegDecodesWithoutComplaint(t *testing.T) {
	path := write(t, encode(t, small, 60, func(i int) bool { return i%25 == 0 }))
	out, complaints := ffmpeg(t, "ffmpeg", "-v", "warning", "-xerror", "-i", path, "-f", "framemd5", "-")
	if complaints != "" {
		t.Errorf("ffmpeg complains: %s", complaints)
	}
	frames := 0
	for _, l := range strings.Split(out, "\n") {
		if strings.HasPrefix(l, "0,") {
			frames++
		}
	}
	if frames != 60 {
		t.Errorf("%d frames decoded, want 60", frames)
	}
}

// ITU-T H.264 7.4.3: two IDR pictures in a row must differ in idr_pic_id. And
// no picture is held back for reordering (E.2.1).
func TestHeadersByTrace(t *testing.T) {
	path := write(t, encode(t, small, 8, func(i int) bool { return i != 3 }))
	_, trace := ffmpeg(t, "ffmpeg", "-v", "trace", "-i", path, "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-")
	var ids []string
	reorder := ""
	for _, l := range strings.Split(trace, "\n") {
		if f := strings.Fields(l); strings.Contains(l, "idr_pic_id") {
			ids = append(ids, f[len(f)-1])
		} else if strings.Contains(l, "max_num_reorder_frames") {
			reorder = f[len(f)-1]
		}
	}
	if reorder != "0" {
		t.Errorf("max_num_reorder_frames is %q, want 0", reorder)
	}
	if got := strings.Join(ids, ""); got != "0101010" {
		t.Errorf("idr_pic_id runs %s, want 0101010", got)
	}
}
