package mpegts

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
)

// ffmpeg runs ffmpeg and returns what it writes and what it logs. In CI it
// must be there.
func ffmpeg(t *testing.T, stdin []byte, level string, args ...string) (out []byte, log string) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("ffmpeg is missing: apt-get install ffmpeg")
		}
		t.Skip("ffmpeg is missing")
	}
	var o, e bytes.Buffer
	cmd := exec.Command("ffmpeg", append([]string{"-v", level, "-nostdin"}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &o, &e
	if err := cmd.Run(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%.2000s", args, err, e.Bytes())
	}
	return o.Bytes(), e.String()
}

// ffmpegStream is seconds of ffmpeg's test picture and a tone, as ffmpeg
// muxes them.
func ffmpegStream(t *testing.T, args ...string) []byte {
	t.Helper()
	all := []string{"-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=4", "-f", "lavfi", "-i", "sine=frequency=1000:sample_rate=48000:duration=4",
		"-ac", "2", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac"}
	out, _ := ffmpeg(t, nil, "error", append(append(all, args...), "-f", "mpegts", "-")...)
	return out
}

// realUnits are access units of x264 and ffmpeg's AAC encoder, from tick at
// on, with stamps.
func realUnits(t *testing.T, at int64) []media.Unit {
	t.Helper()
	c := demux(t, ffmpegStream(t, "-bf", "0"))
	var us []media.Unit
	var n, k int64
	for _, u := range c.units {
		if u.Track == media.Audio {
			u.PTS = at - at%media.TicksPerAAC + (k+1)*media.TicksPerAAC
			k++
		} else {
			u.PTS = at + n*3600
			u.Data = h264.InsertStamp(nil, u.Data, h264.Stamp{Flags: h264.Live, Frame: uint64(u.PTS / 3600), Program: media.TicksToTime(u.PTS)})
			n++
		}
		u.DTS = u.PTS
		us = append(us, u)
	}
	if n != 100 || k < 187 {
		t.Fatalf("%d pictures and %d AAC frames, want 100 and 187", n, k)
	}
	return us
}

// TestFFmpegReads: ffmpeg finds nothing to complain about in a stream, nor in
// segments put together, with or without sound or picture.
func TestFFmpegReads(t *testing.T) {
	us := realUnits(t, start)
	var b bytes.Buffer
	m := NewMuxer(&b, Options{})
	segs := segments(us)
	join := func(keep func(media.Unit) bool) (out []byte) {
		for _, s := range segs {
			out = AppendSegment(out, filter(s, keep))
		}
		return out
	}
	for _, u := range us {
		mux(t, m, []media.Unit{u})
	}
	all := func(media.Unit) bool { return true }
	for name, c := range map[string]struct {
		ts            []byte
		frames, sound bool
	}{
		"stream":                 {b.Bytes(), true, true},
		"segments":               {join(all), true, true},
		"segments without sound": {join(only(media.Video)), true, false},
		"segments of sound":      {join(only(media.Audio)), false, true},
	} {
		var args []string
		if c.frames {
			args = append(args, "-map", "0:v")
		}
		if c.sound {
			args = append(args, "-map", "0:a")
		}
		out, log := ffmpeg(t, c.ts, "debug", append(append([]string{"-i", "-"}, args...), "-f", "framecrc", "-")...)
		for _, line := range strings.Split(log, "\n") {
			if strings.Contains(line, "Continuity check failed") || strings.Contains(line, "corrupt") || strings.Contains(line, "rror while decoding") {
				t.Errorf("%s: %s", name, line)
			}
		}
		video := 0
		for _, line := range strings.Split(string(out), "\n") {
			if c.frames && strings.HasPrefix(line, "0,") {
				video++
			}
		}
		if c.frames && video != 100 {
			t.Errorf("%s: ffmpeg decoded %d pictures, want 100", name, video)
		}
		for _, f := range probe(c.ts).Faults() {
			if c.frames {
				t.Errorf("%s: %s", name, f)
			}
		}
	}
}

// TestFFmpegStreams reads and checks what ffmpeg's muxer makes.
func TestFFmpegStreams(t *testing.T) {
	for name, args := range map[string][]string{
		"no B-frames":  {"-bf", "0"},
		"B-frames":     {"-bf", "2", "-preset", "fast"},
		"other PIDs":   {"-mpegts_pmt_start_pid", "0x20", "-mpegts_start_pid", "0x44", "-bf", "0"},
		"audio first":  {"-map", "1:a", "-map", "0:v", "-bf", "0"},
		"PES lengths":  {"-omit_video_pes_length", "0", "-bf", "0"},
		"constant bit": {"-muxrate", "3M", "-bf", "0"},
	} {
		ts := ffmpegStream(t, append(args, "-pcr_period", "20", "-pat_period", "0.05")...)
		c := demux(t, ts)
		if v, a := len(c.track(media.Video)), len(c.track(media.Audio)); v != 100 || a < 187 {
			t.Errorf("%s: %d pictures, %d AAC frames, want 100 and 187", name, v, a)
		}
		for i, u := range c.track(media.Video) {
			if u.Key != (i%25 == 0) || !bytes.HasPrefix(u.Data, anyDelimiter) {
				t.Errorf("%s: picture %d: key %v, % x", name, i, u.Key, u.Data[:8])
			}
		}
		r := probe(ts)
		if r.Frames != 100 || r.IDRs != 4 || r.AudioFrames < 187 || r.Stamped != 0 {
			t.Errorf("%s: %v, %d IDRs, %d AAC frames", name, r, r.IDRs, r.AudioFrames)
		}
		for _, f := range r.Faults() {
			// Its tables and PCRs come when something is to be sent.
			if !strings.HasPrefix(f, "PAT interval") && !strings.HasPrefix(f, "PMT interval") && !strings.HasPrefix(f, "PCR interval") {
				t.Errorf("%s: %s", name, f)
			}
		}
		t.Logf("%s: %v", name, r)
	}
}

// TestFFmpegOtherCodecs: what can't be taken is said.
func TestFFmpegOtherCodecs(t *testing.T) {
	for want, args := range map[string][]string{
		"MPEG-2 video (type 0x02)": {"-c:v", "mpeg2video"},
		"MPEG-1 audio (type 0x03)": {"-c:a", "mp2"},
		"AAC-LC 44100 Hz":          {"-ar", "44100"},
		"AAC-LC 48000 Hz, 1":       {"-ac", "1"},
		"AAC in LATM":              {"-mpegts_flags", "+latm"},
	} {
		c := demux(t, ffmpegStream(t, args...))
		if len(c.errors) != 1 || !strings.Contains(c.errors[0].Error(), want) {
			t.Errorf("errors %q, want %q", c.errors, want)
		}
		if len(c.units) < 100 {
			t.Errorf("%q: %d units of the other stream", want, len(c.units))
		}
	}
}

func TestFirstStamp(t *testing.T) {
	ts := cleanStream(t, 1000, 25)
	if s, ok := FirstStamp(ts); !ok || s.Frame != uint64(start/3600) || s.Epoch != 7 {
		t.Errorf("%+v %v", s, ok)
	}
	// From the middle of a keyframe on: the next unit's.
	if s, ok := FirstStamp(ts[20*PacketSize+5:]); !ok || s.Frame != uint64(start/3600+1) {
		t.Errorf("joined: %+v %v", s, ok)
	}
	seg := AppendSegment(nil, segments(units(start, 2000, 25))[0])
	if s, ok := FirstStamp(seg); !ok || s.Frame != uint64(start/3600) {
		t.Errorf("segment: %+v %v", s, ok)
	}
	for name, in := range map[string][]byte{"nothing": nil, "tables": ts[:2*PacketSize], "noise": bytes.Repeat([]byte{1}, 999)} {
		if s, ok := FirstStamp(in); ok {
			t.Errorf("%s: %+v", name, s)
		}
	}
}
