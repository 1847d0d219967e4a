package jpeg

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	gojpeg "image/jpeg"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/openvideobox/videobox/internal/media"
)

// gradient is a picture whose samples are known, in JPEG's colours.
func gradient(w, h int) *media.Frame {
	f := media.NewFrame(w, h)
	f.Color = Color
	for y := range h {
		for x := range w {
			f.Y[y*f.YStride+x] = byte(5 + (x+2*y)*240/(w+2*h))
		}
	}
	for y := range h / 2 {
		for x := range w / 2 {
			f.U[y*f.CStride+x] = byte(60 + x*120/(w/2))
			f.V[y*f.CStride+x] = byte(200 - y*120/(h/2))
		}
	}
	return f
}

// code encodes by this package, or skips in a build without cgo.
func code(t testing.TB, f *media.Frame, quality int) []byte {
	t.Helper()
	data, err := Encode(nil, f, quality)
	if errors.Is(err, ErrNoCgo) {
		t.Skip("needs cgo: this build has no libjpeg-turbo")
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func psnr(a, b []byte) float64 {
	sum := 0.0
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		sum += d * d
	}
	return 10 * math.Log10(255*255*float64(len(a))/max(sum, 1))
}

func near(t *testing.T, what string, got, want *media.Frame, least float64) {
	t.Helper()
	if got.Width != want.Width || got.Height != want.Height || got.Color != Color {
		t.Fatalf("%s: %dx%d %+v, want %dx%d", what, got.Width, got.Height, got.Color, want.Width, want.Height)
	}
	for _, p := range []struct {
		name      string
		got, want []byte
	}{{"Y", got.Y, want.Y}, {"U", got.U, want.U}, {"V", got.V, want.V}} {
		if v := psnr(p.got, p.want); v < least {
			t.Errorf("%s: %s is at %.1f dB, want %.0f", what, p.name, v, least)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	var got media.Frame
	for _, size := range [][2]int{{320, 180}, {2, 2}, {18, 34}, {1280, 720}, {854, 480}} {
		want := gradient(size[0], size[1])
		warnings, err := Decode(code(t, want, 95), &got)
		if err != nil || warnings != 0 {
			t.Fatalf("%v: %d warnings, %v", size, warnings, err)
		}
		if size[0] > 2 {
			near(t, "round trip", &got, want, 36)
		}
	}
}

// Go's own encoder and decoder must agree on what a picture is.
func TestAgreesWithGo(t *testing.T) {
	want := gradient(322, 178)
	ycc := &image.YCbCr{
		Y: want.Y, Cb: want.U, Cr: want.V, YStride: want.YStride, CStride: want.CStride,
		SubsampleRatio: image.YCbCrSubsampleRatio420, Rect: image.Rect(0, 0, 322, 178),
	}
	var theirs bytes.Buffer
	if err := gojpeg.Encode(&theirs, ycc, &gojpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	ours := code(t, want, 95)
	var got media.Frame
	if warnings, err := Decode(theirs.Bytes(), &got); err != nil || warnings != 0 {
		t.Fatalf("%d warnings, %v", warnings, err)
	}
	near(t, "Go to us", &got, want, 36)

	img, err := gojpeg.Decode(bytes.NewReader(ours))
	if err != nil {
		t.Fatal(err)
	}
	back := media.NewFrame(322, 178)
	back.Color = Color
	y := img.(*image.YCbCr)
	for r := range 178 {
		copy(back.Y[r*322:][:322], y.Y[r*y.YStride:])
	}
	for r := range 89 {
		copy(back.U[r*161:][:161], y.Cb[r*y.CStride:])
		copy(back.V[r*161:][:161], y.Cr[r*y.CStride:])
	}
	near(t, "us to Go", back, want, 36)
}

// Grey is what cameras in the dark and some sticks without signal send.
func TestGrey(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 65, 33))
	for i := range img.Pix {
		img.Pix[i] = byte(i / 65 * 7)
	}
	var b bytes.Buffer
	if err := gojpeg.Encode(&b, img, &gojpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	var got media.Frame
	if _, err := Decode(b.Bytes(), &got); errors.Is(err, ErrNoCgo) {
		t.Skip("needs cgo")
	} else if err != nil {
		t.Fatal(err)
	}
	if got.Width != 64 || got.Height != 32 {
		t.Fatalf("65x33 became %dx%d", got.Width, got.Height)
	}
	for y := range 32 {
		if d := int(got.Y[y*64+9]) - y*7; d < -3 || d > 3 {
			t.Errorf("row %d is %d, want %d", y, got.Y[y*64+9], y*7)
		}
	}
	if got.U[5] != 128 || got.V[5] != 128 {
		t.Errorf("chroma of grey is %d, %d", got.U[5], got.V[5])
	}
}

// What capture devices send: each chroma layout, by ffmpeg's encoder. The
// colour of the four quarters must come out.
func TestChromaLayouts(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("needs ffmpeg, which CI must have: %v", err)
		}
		t.Skip("needs ffmpeg: apt-get install ffmpeg")
	}
	const filter = "color=red:s=162x90[a];color=0x00ff00:s=162x90[b];color=blue:s=162x90[c];color=white:s=162x90[d];" +
		"[a][b]hstack[x];[c][d]hstack[y];[x][y]vstack"
	for _, layout := range []string{"yuvj420p", "yuvj422p", "yuvj444p", "yuvj440p"} {
		data, err := exec.Command("ffmpeg", "-v", "error", "-filter_complex", filter, "-frames:v", "1",
			"-pix_fmt", layout, "-q:v", "2", "-f", "mjpeg", "-").Output()
		if err != nil {
			t.Fatalf("%s: ffmpeg: %v", layout, err)
		}
		var f media.Frame
		warnings, err := Decode(data, &f)
		if errors.Is(err, ErrNoCgo) {
			t.Skip("needs cgo")
		}
		if err != nil || warnings != 0 || f.Width != 324 || f.Height != 180 {
			t.Fatalf("%s: %dx%d, %d warnings, %v", layout, f.Width, f.Height, warnings, err)
		}
		for i, c := range []color.RGBA{{255, 0, 0, 0}, {0, 255, 0, 0}, {0, 0, 255, 0}, {255, 255, 255, 0}} {
			y, u, v := color.RGBToYCbCr(c.R, c.G, c.B)
			cx, cy := 40+i%2*81, 22+i/2*45
			got := [3]byte{f.Y[2*cy*f.YStride+2*cx], f.U[cy*f.CStride+cx], f.V[cy*f.CStride+cx]}
			for k, w := range [3]byte{y, u, v} {
				if d := int(got[k]) - int(w); d < -4 || d > 4 {
					t.Errorf("%s, quarter %d: %v, want %v", layout, i, got, [3]byte{y, u, v})
					break
				}
			}
		}
	}
}

func TestDamageIsAWarning(t *testing.T) {
	data := code(t, gradient(640, 360), 90)
	var f media.Frame
	warnings, err := Decode(data[:len(data)/2], &f)
	if err != nil || warnings == 0 {
		t.Errorf("half a picture: %d warnings, %v", warnings, err)
	}
	if f.Y[0] > 30 || f.U[0] > 70 {
		t.Errorf("the upper half is lost: %d, %d", f.Y[0], f.U[0])
	}
	if warnings, err := Decode(append(bytes.Clone(data), make([]byte, 5000)...), &f); err != nil || warnings != 0 {
		t.Errorf("zeros behind the picture, as UVC devices pad it: %d warnings, %v", warnings, err)
	}
}

// restarts makes a grey picture of 8 MCUs with a restart marker after each two,
// and what stray gives before the n-th of them. An MCU of 4:2:0 in grey is 4
// bytes, and the same wherever it stands.
func restarts(t *testing.T, stray func(n int) []byte) []byte {
	grey := media.NewFrame(64, 32)
	grey.Color = Color
	for _, p := range [][]byte{grey.Y, grey.U, grey.V} {
		for i := range p {
			p[i] = 128
		}
	}
	data := code(t, grey, 90)
	scan := bytes.Index(data, []byte{0xff, 0xda})
	begin := scan + 2 + int(data[scan+2])<<8 + int(data[scan+3])
	mcus := data[begin : len(data)-2]
	if len(mcus) != 8*4 {
		t.Fatalf("eight grey MCUs are %d bytes, not 32: % x", len(mcus), mcus)
	}
	out := append(bytes.Clone(data[:scan]), 0xff, 0xdd, 0, 4, 0, 2)
	out = append(out, data[scan:begin]...)
	for n := range 4 {
		out = append(out, mcus[8*n:][:8]...)
		if n < 3 {
			out = append(append(out, stray(n)...), 0xff, 0xd0+byte(n))
		}
	}
	return append(out, 0xff, 0xd9)
}

// Logitech's cameras send a few bytes too many before restart markers, in
// pictures that are good; a lost packet leaves more of them.
func TestStrayBytesAreNoDamage(t *testing.T) {
	var f media.Frame
	for _, c := range []struct {
		name    string
		stray   func(n int) []byte
		damaged bool
	}{
		{"none", func(int) []byte { return nil }, false},
		{"1 to 3", func(n int) []byte { return make([]byte, n+1) }, false},
		{"9", func(int) []byte { return bytes.Repeat([]byte{0x5a}, 9) }, false},
		{"half a packet", func(int) []byte { return make([]byte, 512) }, true},
		{"another marker", func(int) []byte { return []byte{0xff, 0xd7} }, true},
	} {
		warnings, err := Decode(restarts(t, c.stray), &f)
		if err != nil || warnings > 0 != c.damaged {
			t.Errorf("%s: %d warnings, %v; damaged %v", c.name, warnings, err, c.damaged)
		}
	}
	good := restarts(t, func(int) []byte { return make([]byte, 3) })
	if warnings, err := Decode(good[:len(good)-20], &f); err != nil || warnings == 0 {
		t.Errorf("cut: %d warnings, %v", warnings, err)
	}
}

// AVI's MJPEG leaves the Huffman tables out (AVI1 marker).
func TestMissingHuffmanTables(t *testing.T) {
	want := gradient(320, 180)
	data := code(t, want, 95)
	for {
		i := bytes.Index(data, []byte{0xff, 0xc4})
		if i < 0 {
			break
		}
		length := int(data[i+2])<<8 | int(data[i+3])
		data = append(data[:i:i], data[i+2+length:]...)
	}
	var got media.Frame
	if _, err := Decode(data, &got); err != nil {
		t.Fatal(err)
	}
	near(t, "without tables", &got, want, 36)
}

func TestDecodeRefuses(t *testing.T) {
	good := code(t, gradient(64, 48), 80)
	size := bytes.Index(good, []byte{0xff, 0xc0})
	huge, progressive := bytes.Clone(good), bytes.Clone(good)
	copy(huge[size+5:], []byte{0xff, 0xf0, 0xff, 0xf0})
	progressive[size+1] = 0xc2
	var f media.Frame
	for name, data := range map[string][]byte{
		"nothing": nil, "noise": bytes.Repeat([]byte{1, 2, 3}, 100), "start only": {0xff, 0xd8},
		"header only": good[:size], "huge": huge, "progressive": progressive,
	} {
		_, err := Decode(data, &f)
		if err == nil || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "jpeg: ") {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	limited := media.NewFrame(64, 48)
	for name, err := range map[string]error{
		"limited range": second(Encode(nil, limited, 80)),
		"quality":       second(Encode(nil, gradient(64, 48), 0)),
		"empty":         second(Encode(nil, &media.Frame{}, 80)),
	} {
		if err == nil || errors.Is(err, ErrNoCgo) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

func second(_ []byte, err error) error { return err }

func BenchmarkDecode1080(b *testing.B) {
	data := code(b, gradient(1920, 1080), 90)
	var f media.Frame
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := Decode(data, &f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode320(b *testing.B) {
	f := gradient(320, 180)
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = code(b, f, 80)
	}
	_ = out
}

// FuzzDecode: a device may send anything. A frame that fits its size, or an
// error; never more than maxSide.
func FuzzDecode(f *testing.F) {
	good := code(f, gradient(32, 16), 60)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte{0xff, 0xd8, 0xff, 0xd9})
	var b bytes.Buffer
	if err := gojpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 17, 9)), nil); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	var frame media.Frame
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := Decode(data, &frame); err == nil {
			if err := frame.Check(); err != nil || frame.Width > maxSide || frame.Height > maxSide {
				t.Fatalf("%dx%d: %v", frame.Width, frame.Height, err)
			}
		}
	})
}
