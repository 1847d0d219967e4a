package flv

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/openvideobox/videobox/internal/adts"
	"github.com/openvideobox/videobox/internal/h264"
)

// pictures makes n access units of H.264 in Annex B.
func pictures(t *testing.T, n int) [][]byte {
	t.Helper()
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed")
	}
	raw, err := exec.CommandContext(context.Background(), path, "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=64x64:r=25",
		"-frames:v", fmt.Sprint(n), "-c:v", "libx264", "-tune", "zerolatency", "-x264-params", "aud=1:keyint=5", "-f", "h264", "pipe:1").Output()
	if err != nil {
		t.Fatal(err)
	}
	var aus [][]byte
	for _, au := range bytes.Split(raw, []byte{0, 0, 0, 1, 9})[1:] {
		aus = append(aus, append([]byte{0, 0, 0, 1, 9}, au...))
	}
	return aus
}

// TestFFmpegReadsIt sends pictures and no sound, at times far from zero.
func TestFFmpegReadsIt(t *testing.T) {
	aus := pictures(t, 12)
	var b bytes.Buffer
	w := NewWriter(&b)
	sps, pps := h264.ParameterSets(aus[0])
	if err := w.Header(sps, pps, nil); err != nil {
		t.Fatal(err)
	}
	const start = 1<<24 + 5 // the upper byte of the time is stored apart
	for i, au := range aus {
		at := int64(start + i*40)
		if err := w.Video(at, at+3, h264.IsIDR(au), au); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-f", "flv", "-show_entries", "frame=pts,pkt_dts,key_frame", "-of", "csv=p=0", "pipe:0")
	cmd.Stdin = &b
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Fields(string(out))
	if len(lines) != len(aus) {
		t.Fatalf("%d frames of %d: %s", len(lines), len(aus), out)
	}
	for i, l := range lines {
		key := "0"
		if i%5 == 0 {
			key = "1"
		}
		if want := fmt.Sprintf("%s,%d,%d", key, start+i*40+3, start+i*40); l != want {
			t.Errorf("frame %d: %s, want %s", i, l, want)
		}
	}
}

func TestSoundTag(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b)
	asc := adts.Config{SampleRate: 48000, Channels: 2}.ASC()
	if err := w.Header([]byte{0x67, 100, 0, 31}, []byte{0x68, 1}, asc); err != nil {
		t.Fatal(err)
	}
	if b.Bytes()[4] != 5 || !bytes.Contains(b.Bytes(), append([]byte{0xAF, 0}, asc...)) {
		t.Errorf("header % x", b.Bytes())
	}
	b.Reset()
	if err := w.Audio(0x01020304, []byte{0xde, 0xad}); err != nil {
		t.Fatal(err)
	}
	want := []byte{8, 0, 0, 4, 2, 3, 4, 1, 0, 0, 0, 0xAF, 1, 0xde, 0xad, 0, 0, 0, 15}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("got  % x\nwant % x", b.Bytes(), want)
	}
}

func TestRefuses(t *testing.T) {
	w := NewWriter(&bytes.Buffer{})
	slice := []byte{0, 0, 1, 0x65, 1, 2}
	for name, err := range map[string]error{
		"no SPS":   w.Header(nil, []byte{1}, nil),
		"no PPS":   w.Header([]byte{1, 2, 3, 4}, nil, nil),
		"no slice": w.Video(0, 0, true, []byte{0, 0, 1, 9, 0xf0}),
		"noise":    w.Video(0, 0, true, []byte("noise")),
		"offset":   w.Video(0, 1<<23, true, slice),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
