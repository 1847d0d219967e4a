package h264

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// ffmpeg runs ffmpeg and returns what it writes. In CI it must be there.
func ffmpeg(t *testing.T, stdin []byte, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("ffmpeg is missing: apt-get install ffmpeg")
		}
		t.Skip("ffmpeg is missing")
	}
	var out, errs bytes.Buffer
	cmd := exec.Command("ffmpeg", append([]string{"-v", "error", "-nostdin"}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, errs.Bytes())
	}
	if errs.Len() > 0 {
		t.Errorf("ffmpeg %v complains:\n%s", args, errs.Bytes())
	}
	return out.Bytes()
}

// encode makes a second of the test picture, 320x180 at 25 frames a second,
// and gives its access units.
func encode(t *testing.T, params string, args ...string) [][]byte {
	all := append([]string{"-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=1", "-c:v", "libx264", "-preset", "fast", "-bf", "0",
		"-x264-params", "aud=1:keyint=5:min-keyint=1:scenecut=0:repeat-headers=1:" + params}, args...)
	stream := ffmpeg(t, nil, append(all, "-f", "h264", "-")...)
	var aus [][]byte
	for _, nal := range Split(nil, stream) {
		if nalType(nal) == typeAUD {
			aus = append(aus, nil)
		}
		aus[len(aus)-1] = Append(aus[len(aus)-1], nal)
	}
	if len(aus) != 25 {
		t.Fatalf("%d access units, want 25", len(aus))
	}
	return aus
}

var encodings = map[string]struct {
	params string
	args   []string
	slices int // at least, in an IDR picture
}{
	"CABAC":         {"cabac=1", []string{"-profile:v", "high", "-pix_fmt", "yuv420p"}, 1},
	"CAVLC":         {"cabac=0", []string{"-profile:v", "baseline", "-pix_fmt", "yuv420p"}, 1},
	"CABAC slices":  {"cabac=1:sliced-threads=1:threads=4", []string{"-pix_fmt", "yuv420p"}, 2},
	"CAVLC slices":  {"cabac=0:slices=3", []string{"-pix_fmt", "yuv420p"}, 3},
	"no deblocking": {"cabac=1:no-deblock=1", []string{"-pix_fmt", "yuv420p"}, 1},
	"interlaced":    {"cabac=1:interlaced=1", []string{"-pix_fmt", "yuv420p", "-flags", "+ildct+ilme"}, 1},
	"4:4:4":         {"cabac=1", []string{"-pix_fmt", "yuv444p"}, 1},
	"lossless":      {"cabac=0:qp=0", []string{"-pix_fmt", "yuv420p"}, 1},
}

// TestSetIDRPicID rewrites every IDR picture to ids whose codes have all
// lengths, and compares what ffmpeg decodes.
func TestSetIDRPicID(t *testing.T) {
	for name, c := range encodings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aus := encode(t, c.params, c.args...)
			var before, after []byte
			ids := []uint32{0, 1, 2, 6, 65535, 30, 300, 3000}
			keys := 0
			for _, au := range aus {
				before = append(before, au...)
				if !IsIDR(au) {
					after = append(after, au...)
					continue
				}
				want := ids[keys%len(ids)]
				keys++
				got, err := SetIDRPicID(nil, au, want)
				if err != nil {
					t.Fatal(err)
				}
				if id, err := IDRPicID(got); err != nil || id != want {
					t.Fatalf("idr_pic_id %d (%v), want %d", id, err, want)
				}
				checkSlices(t, got, want, c.slices)
				checkBack(t, au, got)
				after = append(after, got...)
			}
			if keys < 5 {
				t.Fatalf("%d IDR pictures, want 5", keys)
			}
			md5 := []string{"-f", "h264", "-i", "-", "-f", "framemd5", "-"}
			want, got := ffmpeg(t, before, md5...), ffmpeg(t, after, md5...)
			if !bytes.Equal(want, got) || bytes.Count(got, []byte("\n")) < 25 {
				t.Errorf("decoded:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func checkSlices(t *testing.T, au []byte, want uint32, least int) {
	t.Helper()
	n := 0
	for _, nal := range Split(nil, au) {
		if nalType(nal) != typeIDR {
			continue
		}
		n++
		s, err := parseIDRSlice(appendUnescaped(nil, nal[1:]), au)
		if err != nil || s.id != want {
			t.Errorf("slice %d: idr_pic_id %d (%v), want %d", n, s.id, err, want)
		}
	}
	if n < least {
		t.Errorf("%d slices, want %d", n, least)
	}
}

// checkBack sets the old id again, which must give the old bytes.
func checkBack(t *testing.T, au, rewritten []byte) {
	t.Helper()
	id, err := IDRPicID(au)
	if err != nil {
		t.Fatal(err)
	}
	back, err := SetIDRPicID(nil, rewritten, id)
	if err != nil {
		t.Fatal(err)
	}
	if want := Append(nil, Split(nil, au)...); !bytes.Equal(back, want) {
		t.Errorf("back with id %d: %d bytes, want %d", id, len(back), len(want))
	}
}

// TestInsertStampDecodes puts stamps into a stream: the decoder must not see
// a difference.
func TestInsertStampDecodes(t *testing.T) {
	var before, after []byte
	for i, au := range encode(t, "cabac=1", "-pix_fmt", "yuv420p") {
		before = append(before, au...)
		s := Stamp{Flags: Live, Frame: uint64(i), Program: int64(i) * 4e7}
		after = InsertStamp(after, au, s)
	}
	md5 := []string{"-f", "h264", "-i", "-", "-f", "framemd5", "-"}
	if want, got := ffmpeg(t, before, md5...), ffmpeg(t, after, md5...); !bytes.Equal(want, got) {
		t.Errorf("decoded:\n%s\nwant:\n%s", got, want)
	}
}

func TestParseSPS(t *testing.T) {
	for name, c := range map[string]struct {
		size, rate string
		args       []string
		want       SPS
	}{
		"720p25": {"1280x720", "25", []string{"-pix_fmt", "yuv420p", "-profile:v", "high", "-bf", "0", "-level", "3.1",
			"-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"},
			SPS{Profile: 100, Level: 31, Width: 1280, Height: 720, RateNum: 25, RateDen: 1, Chroma: 1, BitDepth: 8, Matrix: MatrixBT709, Reorder: 0}},
		"1080p29.97 full": {"1920x1080", "30000/1001", []string{"-pix_fmt", "yuvj420p", "-profile:v", "main", "-bf", "2", "-level", "4", "-colorspace", "smpte170m"},
			SPS{Profile: 77, Constraints: 0x40, Level: 40, Width: 1920, Height: 1080, RateNum: 30000, RateDen: 1001, Chroma: 1, BitDepth: 8, Matrix: MatrixSMPTE170M, FullRange: true, Reorder: 2}},
		"odd baseline": {"854x480", "50", []string{"-pix_fmt", "yuv420p", "-profile:v", "baseline", "-level", "3.1"},
			SPS{Profile: 66, Constraints: 0xc0, Level: 31, Width: 854, Height: 480, RateNum: 50, RateDen: 1, Chroma: 1, BitDepth: 8, Matrix: MatrixUnspecified, Reorder: 0}},
	} {
		args := append([]string{"-f", "lavfi", "-i", fmt.Sprintf("color=red:size=%s:rate=%s:duration=0.2", c.size, c.rate), "-c:v", "libx264", "-preset", "fast"}, c.args...)
		sps, _ := ParameterSets(ffmpeg(t, nil, append(args, "-f", "h264", "-")...))
		got, err := ParseSPS(sps)
		if err != nil || got != c.want {
			t.Errorf("%s: %+v (%v), want %+v", name, got, err, c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	for name, nal := range map[string][]byte{"empty": nil, "a slice": {0x65, 1, 2, 3, 4}, "cut": {0x67, 100, 0, 31}} {
		if _, err := ParseSPS(nal); err == nil {
			t.Errorf("ParseSPS of %s: no error", name)
		}
	}
	idr := []byte{0x65, 0x88, 0x84, 0x00}
	for name, au := range map[string][]byte{
		"nothing":           nil,
		"no IDR":            Append(nil, []byte{0x41, 0x9a}),
		"no parameter sets": Append(nil, idr),
		"broken PPS":        Append(nil, []byte{0x68}, idr),
		"header cut":        Append(nil, []byte{0x65}),
	} {
		if _, err := IDRPicID(au); err == nil {
			t.Errorf("IDRPicID of %s: no error", name)
		}
		if out, err := SetIDRPicID([]byte("x"), au, 1); err == nil || string(out) != "x" {
			t.Errorf("SetIDRPicID of %s: %v, % x", name, err, out)
		}
	}
	if _, err := SetIDRPicID(nil, nil, MaxIDRPicID+1); err == nil {
		t.Error("SetIDRPicID took an id of 17 bits")
	}
}
