package rtmp

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/run/runtest"
)

func avcc(nals ...[]byte) []byte {
	var b []byte
	for _, n := range nals {
		b = binary.BigEndian.AppendUint32(b, uint32(len(n)))
		b = append(b, n...)
	}
	return b
}

func TestAnnexB(t *testing.T) {
	aud, idr, p := []byte{9, 0x10}, []byte{0x65, 1}, []byte{0x41, 2}
	for name, c := range map[string]struct {
		in   []byte
		key  bool
		want [][]byte
	}{
		"complete":      {avcc(aud, testSPS, testPPS, idr), true, [][]byte{aud, testSPS, testPPS, idr}},
		"bare keyframe": {avcc(idr), true, [][]byte{{9, 0xf0}, testSPS, testPPS, idr}},
		"only AUD":      {avcc(aud, idr), true, [][]byte{aud, testSPS, testPPS, idr}},
		"only sets":     {avcc(testSPS, testPPS, idr), true, [][]byte{{9, 0xf0}, testSPS, testPPS, idr}},
		"picture":       {avcc(p), false, [][]byte{{9, 0xf0}, p}},
	} {
		if hasIDR(c.in) != c.key {
			t.Errorf("%s: key is %v", name, !c.key)
		}
		got, err := annexB(c.in, testSPS, testPPS, c.key)
		if err != nil || !bytes.Equal(got, h264.Append(nil, c.want...)) {
			t.Errorf("%s: %x, %v", name, got, err)
		}
	}
	for name, in := range map[string][]byte{
		"empty": nil, "short": {0, 0}, "no payload": {0, 0, 0, 0}, "cut": {0, 0, 0, 5, 1, 2},
		"huge": {0xff, 0xff, 0xff, 0xff, 1}, "rest": append(avcc(p), 0, 0),
	} {
		if got, err := annexB(in, testSPS, testPPS, hasIDR(in)); err == nil {
			t.Errorf("%s: %x and no error", name, got)
		}
	}
}

func FuzzAnnexB(f *testing.F) {
	f.Add(avcc([]byte{9, 0xf0}, testSPS, testPPS, []byte{0x65, 1}))
	f.Add(avcc([]byte{0x65, 1}))
	f.Fuzz(func(t *testing.T, in []byte) {
		size := len(in)
		au, err := annexB(in, testSPS, testPPS, hasIDR(in))
		if err != nil {
			return
		}
		if len(au) < size || !h264.HasDelimiter(au) {
			t.Fatalf("%d bytes became %x", size, au)
		}
	})
}

func TestClientURL(t *testing.T) {
	u, err := clientURL("rtmp://h:1935/stream/demo?key=a%20b")
	if err != nil || u.Fragment != "demo?key=a%20b" || u.Path != "/stream" || u.Host != "h:1935" {
		t.Errorf("%+v, %v", u, err)
	}
	for _, bad := range []string{"http://h/stream/demo", "rtmp://h", "rtmp://h/demo", "rtmp:///stream/demo", "rtmp://h/stream/", "rtmp://%"} {
		if _, err := clientURL(bad); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

func TestDialGivesUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	start := time.Now()
	_, err = Dial(t.Context(), "rtmp://"+l.Addr().String()+"/stream/demo", 200*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "no answer within 200ms") || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, "rtmp://"+l.Addr().String()+"/stream/demo", time.Minute); err == nil {
		t.Error("Dial with an ended context")
	}
}

// TestFFmpegPublishes: the URL as people give it to ffmpeg; OBS sends the same
// (application "stream", stream key "demo?key=s3cret").
func TestFFmpegPublishes(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("no ffmpeg: `make deps` installs it")
	}
	s := serve(t, "s3cret")
	run := func(query, seconds string, more ...string) ([]byte, error) {
		args := []string{"-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=" + seconds, "-f", "lavfi", "-i", "sine=r=48000:d=" + seconds,
			"-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-bf", "2", "-ac", "2", "-c:a", "aac"}
		args = append(append(args, more...), "-f", "flv", "rtmp://"+s.addr+"/stream/demo"+query)
		return exec.CommandContext(t.Context(), "ffmpeg", args...).CombinedOutput()
	}
	if out, err := run("?key=s3cret", "2"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	k := s.sink(t)
	<-k.closed
	close(k.units)
	var pictures, keys, sounds, reordered int
	for u := range k.units {
		switch {
		case u.audio:
			sounds++
		case u.key:
			keys++
			if sps, pps := h264.ParameterSets(u.data); sps == nil || pps == nil || !h264.IsIDR(u.data) {
				t.Error("a keyframe without parameter sets")
			}
			fallthrough
		default:
			pictures++
			if u.cts > 0 {
				reordered++
			}
		}
	}
	if pictures != 50 || keys != 2 || sounds < 90 || reordered == 0 {
		t.Errorf("%d pictures, %d keyframes, %d AAC frames, %d reordered", pictures, keys, sounds, reordered)
	}
	// What is turned away must notice before all is sent: ten minutes take long.
	if out, err := run("?key=wrong", "600"); err == nil {
		t.Errorf("ffmpeg with a wrong key ended well: %s", out)
	}
	if out, err := run("?key=s3cret", "600", "-ar", "44100"); err == nil {
		t.Errorf("44.1 kHz sound was taken: %s", out)
	}
	runtest.Eventually(t, "the log says what is wrong with the sound", func() bool {
		return strings.Contains(s.log.String(), "44100 Hz") && strings.Contains(s.log.String(), "-ar 48000")
	})
}
