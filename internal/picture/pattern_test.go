package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/codec/x264"
	"github.com/openvideobox/videobox/internal/media"
)

// start is a frame number of 2026 at 25 frames a second, on a whole second.
var start = media.FrameAt(time.Date(2026, 11, 23, 10, 32, 5, 0, time.UTC).UnixNano(), 25)

func TestNumberIsReadAtAllSizes(t *testing.T) {
	var p Pattern
	for _, s := range [][2]int{{1280, 720}, {1920, 1080}, {854, 480}, {640, 480}, {320, 180}, {240, 136}, {130, 74}} {
		f := media.NewFrame(s[0], s[1])
		for _, n := range []int64{0, 1, start, start + 13, 1<<37 - 1} {
			p.Draw(f, n, 25)
			if got, err := ReadNumber(f, Whole(f)); err != nil || got != n {
				t.Errorf("%v: %d, %v; want %d", s, got, err, n)
			}
		}
	}
}

func TestBarsLieWhereBarSays(t *testing.T) {
	f := media.NewFrame(1280, 720)
	var p Pattern
	p.Draw(f, start+5, 25)
	img := ToImage(f)
	for i := range Bars {
		r, want := Bar(i, Whole(f))
		for _, at := range [][2]int{{r.X + 4, r.Y + 4}, {r.X + r.W/2, r.Y + r.H/2}, {r.X + r.W - 4, r.Y + r.H - 4}} {
			got := img.RGBAAt(at[0], at[1])
			if off(got.R, want.R) > 2 || off(got.G, want.G) > 2 || off(got.B, want.B) > 2 {
				t.Errorf("bar %d at %v: %v, want %v", i, at, got, want)
			}
		}
	}
}

func TestFlashIsTheFirstTwoFramesOfASecond(t *testing.T) {
	var p Pattern
	for _, rate := range []int{25, 30, 50, 60} {
		f := media.NewFrame(640, 360)
		n := media.FrameAt(time.Date(2026, 11, 23, 10, 32, 5, 0, time.UTC).UnixNano(), rate)
		for i := range int64(rate) {
			p.Draw(f, n+i, rate)
			mean := meanLuma(f, Flash(Whole(f)))
			if flash := i < FlashFrames; flash != (mean > 200) || !flash && mean > 60 {
				t.Errorf("rate %d, frame %d of the second: mean luma %d", rate, i, mean)
			}
		}
	}
}

func TestDrawSetsTimeAndMoves(t *testing.T) {
	var p Pattern
	a, b := media.NewFrame(640, 360), media.NewFrame(640, 360)
	p.Draw(a, start+7, 25)
	p.Draw(b, start+8, 25)
	if a.Time != media.FrameTime(start+7, 25) {
		t.Errorf("time is %d", a.Time)
	}
	text := Rect{0, clockTop(360), 400, 2 * textSize(640, 360)}
	same := true
	for y := text.Y; y < text.Y+text.H; y++ {
		same = same && bytes.Equal(a.Y[y*640:][:text.W], b.Y[y*640:][:text.W])
	}
	if same {
		t.Error("the digits of two frames are the same")
	}
	p.Draw(b, start+7, 25)
	if !bytes.Equal(a.Y, b.Y) || !bytes.Equal(a.U, b.U) {
		t.Error("the same frame drawn twice differs")
	}
	p.Name = "slides"
	p.Draw(b, start+7, 25)
	if bytes.Equal(a.Y, b.Y) {
		t.Error("the name is not in the picture")
	}
}

func TestDrawAtOddPlacesAndSizes(t *testing.T) {
	var p Pattern
	for w := 2; w <= 200; w += 22 {
		for h := 2; h <= 120; h += 14 {
			f := media.NewFrame(w, h)
			for i := range int64(30) {
				p.Draw(f, start+i, 30)
			}
		}
	}
}

func TestNoNumberIsReadWhereNoneIs(t *testing.T) {
	f := media.NewFrame(640, 360)
	var p Pattern
	p.Draw(f, start, 25)
	for name, c := range map[string]struct {
		f *media.Frame
		r Rect
	}{
		"noise":   {noise(640, 360), Rect{0, 0, 640, 360}},
		"black":   {media.NewFrame(640, 360), Rect{0, 0, 640, 360}},
		"part":    {f, Rect{0, 0, 320, 360}},
		"outside": {f, Rect{400, 0, 640, 360}},
		"small":   {f, Rect{0, 0, 60, 30}},
	} {
		if n, err := ReadNumber(c.f, c.r); !errors.Is(err, ErrNoCode) {
			t.Errorf("%s: read %d, %v", name, n, err)
		}
	}
	// A picture between two frames, as a blending rate converter makes it.
	g := media.NewFrame(640, 360)
	p.Draw(g, start+1, 25)
	for i, v := range g.Y {
		f.Y[i] = byte((int(f.Y[i]) + int(v)) / 2)
	}
	if n, err := ReadNumber(f, Whole(f)); err == nil && n != start && n != start+1 {
		t.Errorf("two blended frames read as %d", n)
	}
}

func TestChecksumIsCRC32(t *testing.T) {
	for _, n := range []uint64{0, 1, 0x0123456789abcdef, uint64(start)} {
		if got, want := checksum(n), crc32.ChecksumIEEE(binary.BigEndian.AppendUint64(nil, n)); got != want {
			t.Errorf("%x: %08x, want %08x", n, got, want)
		}
	}
}

// Each single wrong cell must be noticed.
func TestChecksum(t *testing.T) {
	want := code(start)
	var means [codeRows][codeColumns]int
	for r := range means {
		for c := range means[r] {
			means[r][c] = int(want[r] >> (codeColumns - 1 - c) & 1 * 200)
		}
	}
	if n, err := decode(means, 100); err != nil || n != start {
		t.Fatalf("%d, %v", n, err)
	}
	for r := range means {
		for c := range means[r] {
			means[r][c] = 200 - means[r][c]
			if n, err := decode(means, 100); err == nil {
				t.Errorf("cell %d,%d flipped: read %d", r, c, n)
			}
			means[r][c] = 200 - means[r][c]
		}
	}
}

func TestDrawAndReadDoNotAllocate(t *testing.T) {
	f := media.NewFrame(1280, 720)
	var p Pattern
	n := start
	step := func() {
		p.Draw(f, n, 25)
		if _, err := ReadNumber(f, Whole(f)); err != nil {
			t.Fatal(err)
		}
		n++
	}
	step()
	if got := testing.AllocsPerRun(30, step); got > 0 {
		t.Errorf("%v allocations a frame", got)
	}
}

// throughCodec codes n frames of the pattern with little bitrate, has ffmpeg
// decode them with the filter, and calls fn with each.
func throughCodec(t *testing.T, n int, filter string, w, h int, fn func(i int, f *media.Frame)) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("needs ffmpeg, which CI must have: %v", err)
		}
		t.Skip("needs ffmpeg: apt-get install ffmpeg")
	}
	e, err := x264.New(x264.Config{Width: 1280, Height: 720, Rate: 25, Bitrate: 1_500_000})
	if errors.Is(err, x264.ErrNoCgo) {
		t.Skip("needs cgo: this build has no libx264")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var stream []byte
	p, f := Pattern{Name: "camera"}, media.NewFrame(1280, 720)
	for i := range n {
		p.Draw(f, start+int64(i), 25)
		au, err := e.Encode(f, int64(i)*3600, i%25 == 0)
		if err != nil {
			t.Fatal(err)
		}
		stream = append(stream, au...)
	}
	path := filepath.Join(t.TempDir(), "pattern.h264")
	if err := os.WriteFile(path, stream, 0o600); err != nil {
		t.Fatal(err)
	}
	raw, err := exec.Command("ffmpeg", "-v", "error", "-i", path, "-vf", filter, "-pix_fmt", "yuv420p", "-f", "rawvideo", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	size := w * h * 3 / 2
	if len(raw) != n*size {
		t.Fatalf("ffmpeg returned %d bytes, want %d frames of %d", len(raw), n, size)
	}
	got := media.NewFrame(w, h)
	for i := range n {
		b := raw[i*size:]
		copy(got.Y, b)
		copy(got.U, b[w*h:])
		copy(got.V, b[w*h*5/4:])
		fn(i, got)
	}
}

// The whole way of a source in the mix: coded, decoded, scaled to a quarter and
// placed, coded sizes read again.
func TestNumberSurvivesCodingAndScaling(t *testing.T) {
	var s Scaler
	small, mix := media.NewFrame(320, 180), media.NewFrame(1280, 720)
	throughCodec(t, 60, "null", 1280, 720, func(i int, f *media.Frame) {
		want := start + int64(i)
		check := func(what string, f *media.Frame, r Rect) {
			if n, err := ReadNumber(f, r); err != nil || n != want {
				t.Errorf("frame %d, %s: %d, %v; want %d", i, what, n, err, want)
			}
		}
		check("decoded", f, Whole(f))
		s.Scale(small, f, Whole(small))
		check("quarter", small, Whole(small))
		for _, r := range []Rect{{0, 0, 1024, 576}, {960, 540, 320, 180}, {14, 22, 640, 360}, {2, 6, 426, 240}} {
			s.Scale(mix, f, r)
			check(r.String(), mix, r)
		}
	})
}

func TestNumberSurvivesFFmpegsScaling(t *testing.T) {
	throughCodec(t, 30, "scale=320:180:flags=bicubic", 320, 180, func(i int, f *media.Frame) {
		if n, err := ReadNumber(f, Whole(f)); err != nil || n != start+int64(i) {
			t.Errorf("frame %d: %d, %v", i, n, err)
		}
	})
}

func TestBeep(t *testing.T) {
	second := start / 25 * media.SampleRate
	pcm := make([]int16, 2*media.SampleRate)
	Beep(pcm, second)
	crossings, peak := 0, 0
	for i := range BeepSamples {
		if pcm[2*i] != pcm[2*i+1] {
			t.Fatal("the channels differ")
		}
		peak = max(peak, int(pcm[2*i]))
		if i > 0 && pcm[2*i-2] < 0 && pcm[2*i] >= 0 {
			crossings++
		}
	}
	if db := 20 * math.Log10(float64(peak)/32768); math.Abs(db+18) > 0.1 {
		t.Errorf("peak is %.2f dBFS, want -18", db)
	}
	if crossings < 39 || crossings > 40 { // 40 ms of 1 kHz
		t.Errorf("%d periods in the beep", crossings)
	}
	quiet, sum := 0, 0
	for i := BeepSamples; i < media.SampleRate; i++ {
		quiet, sum = max(quiet, int(max(pcm[2*i], -pcm[2*i]))), sum+int(max(pcm[2*i], -pcm[2*i]))
	}
	if quiet > 1 || sum == 0 {
		t.Errorf("between beeps up to %d, in all %d: want noise of one bit", quiet, sum)
	}
	// In pieces, from anywhere, it is the same.
	for _, cut := range []int{1, 960, 1919, 1920, 47999} {
		a, b := make([]int16, 2*cut), make([]int16, 2*(media.SampleRate-cut))
		Beep(a, second+media.SampleRate*7)
		Beep(b, second+int64(cut))
		for i, v := range append(a, b...) {
			if v != pcm[i] {
				t.Fatalf("cut at %d: sample %d differs", cut, i/2)
			}
		}
	}
}

// Bound: 1.5 ms.
func BenchmarkPattern720(b *testing.B) {
	f := media.NewFrame(1280, 720)
	var p Pattern
	p.Draw(f, start, 25)
	b.ReportAllocs()
	n := start
	for b.Loop() {
		p.Draw(f, n, 25)
		n++
	}
}

func BenchmarkReadNumber720(b *testing.B) {
	f := media.NewFrame(1280, 720)
	var p Pattern
	p.Draw(f, start, 25)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ReadNumber(f, Whole(f)); err != nil {
			b.Fatal(err)
		}
	}
}
