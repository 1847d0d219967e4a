package matroska

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"testing"
)

// made runs ffmpeg as the source's decoder does, on a test picture.
func made(t testing.TB, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed")
	}
	in := []string{"-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=s=64x36:r=25:d=0.4",
		"-f", "lavfi", "-i", "sine=1000:r=48000:d=0.4", "-c:v", "rawvideo", "-pix_fmt", "yuv420p",
		"-c:a", "pcm_s16le", "-ac", "2"}
	out, err := exec.CommandContext(context.Background(), path, append(append(in, args...), "-f", "matroska", "pipe:1")...).Output()
	if err != nil {
		t.Fatalf("ffmpeg: %v", err)
	}
	return out
}

func TestReadsWhatFFmpegWrites(t *testing.T) {
	for name, args := range map[string][]string{
		"plain":          nil,
		"live":           {"-live", "1"},
		"late, unmapped": {"-live", "1", "-output_ts_offset", "100"},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewReader(bytes.NewReader(made(t, args...)))
			tracks, err := r.Header()
			if err != nil || len(tracks) != 2 {
				t.Fatalf("tracks %+v, %v", tracks, err)
			}
			want := []Track{
				{Number: 1, Type: Video, Codec: "V_UNCOMPRESSED", FourCC: "I420", Width: 64, Height: 36},
				{Number: 2, Type: Audio, Codec: "A_PCM/INT/LIT", SampleRate: 48000, Channels: 2, BitDepth: 16},
			}
			for i := range want {
				if tracks[i] != want[i] {
					t.Errorf("track %+v, want %+v", tracks[i], want[i])
				}
			}
			checkBlocks(t, r, len(args) > 2)
		})
	}
}

func checkBlocks(t *testing.T, r *Reader, offset bool) {
	var start int64
	if offset {
		start = 100e9
	}
	frames, sound := 0, int64(0)
	for {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		payload, err := io.ReadAll(r)
		if err != nil || int64(len(payload)) != b.Size {
			t.Fatalf("payload of %d bytes, %v; want %d", len(payload), err, b.Size)
		}
		switch b.Track {
		case 1:
			if b.Size != 64*36*3/2 || b.Time != start+int64(frames)*40e6 {
				t.Errorf("frame %d: %+v", frames, b)
			}
			frames++
		case 2:
			sound += b.Size
		}
	}
	if frames != 10 || sound < 48000*4*4/10-4096 {
		t.Errorf("%d frames and %d bytes of sound", frames, sound)
	}
}

func TestNextSkipsWhatWasNotRead(t *testing.T) {
	r := NewReader(bytes.NewReader(made(t, "-live", "1")))
	if _, err := r.Header(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; ; n++ {
		if _, err := r.Next(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, r, int64(n)); err != nil {
			t.Fatal(err)
		}
	}
	if n < 20 {
		t.Errorf("%d blocks", n)
	}
}

// header is the smallest one: an EBML header and a segment of unknown size.
var header = []byte{0x1A, 0x45, 0xDF, 0xA3, 0x80, 0x18, 0x53, 0x80, 0x67, 0x01, 255, 255, 255, 255, 255, 255, 255}

func TestRefuses(t *testing.T) {
	cluster := []byte{0x1F, 0x43, 0xB6, 0x75, 0xFF}
	join := func(b ...[]byte) []byte { return bytes.Join(b, nil) }
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"empty":          {nil, io.EOF},
		"no EBML":        {[]byte("RIFF....AVI "), nil},
		"cut in header":  {header[:9], io.ErrUnexpectedEOF},
		"end in header":  {header, io.EOF},
		"lacing":         {join(header, cluster, []byte{0xA3, 0x84, 0x81, 0, 0, 0x06}), ErrLacing},
		"short block":    {join(header, cluster, []byte{0xA3, 0x82, 0x81, 0}), nil},
		"long number":    {join(header, cluster, []byte{0xE7, 0x89}), nil},
		"ID of zero":     {join(header, []byte{0}), nil},
		"cut block":      {join(header, cluster, []byte{0xA3, 0x88, 0x81, 0, 0, 0, 1}), io.ErrUnexpectedEOF},
		"endless void":   {join(header, cluster, []byte{0xEC, 0xFF}), nil},
		"too long codec": {join(header, []byte{0xAE, 0x80, 0x86, 0x50, 0x00}), nil},
	} {
		r := NewReader(bytes.NewReader(c.in))
		_, err := r.Header()
		for err == nil {
			_, err = r.Next()
		}
		if c.want != nil && !errors.Is(err, c.want) || c.want == nil && errors.Is(err, io.EOF) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(header)
	f.Add(append(append([]byte{}, header...), 0x1F, 0x43, 0xB6, 0x75, 0xFF, 0xE7, 0x81, 9, 0xA0, 0x86, 0xA1, 0x84, 0x81, 0, 1, 0))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(bytes.NewReader(in))
		tracks, err := r.Header()
		if len(tracks) > maxTracks {
			t.Errorf("%d tracks", len(tracks))
		}
		for total := int64(0); err == nil; {
			var b Block
			if b, err = r.Next(); err != nil {
				break
			}
			n, _ := io.Copy(io.Discard, r)
			if total += n; n > b.Size || total > int64(len(in)) {
				t.Fatalf("%d bytes of a block of %d, input of %d", n, b.Size, len(in))
			}
		}
	})
}
