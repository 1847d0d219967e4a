package still

import (
	"bytes"
	"errors"
	"image/color"
	gojpeg "image/jpeg"
	"math"
	"testing"

	"github.com/openvideobox/videobox/internal/codec/jpeg"
	"github.com/openvideobox/videobox/internal/codec/openh264"
	"github.com/openvideobox/videobox/internal/codec/x264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/picture"
)

// bars codes the test pattern and returns its first n access units.
func bars(t testing.TB, w, h, n int) [][]byte {
	t.Helper()
	e, err := x264.New(x264.Config{Width: w, Height: h, Rate: 25, Bitrate: 3_000_000})
	if errors.Is(err, x264.ErrNoCgo) {
		t.Skip("needs cgo: this build has no libx264")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	f := media.NewFrame(w, h)
	var p picture.Pattern
	var all [][]byte
	for i := range n {
		p.Draw(f, int64(1000+i), 25)
		au, err := e.Encode(f, int64(i)*3600, i == 0)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, bytes.Clone(au))
	}
	return all
}

func TestKeyframeBecomesJPEG(t *testing.T) {
	au := bars(t, 1280, 720, 1)[0]
	for _, c := range []struct{ max, w, h int }{{0, 1280, 720}, {320, 320, 180}, {333, 332, 186}, {5000, 1280, 720}} {
		data, err := JPEG(au, c.max, 85)
		if err != nil {
			t.Fatal(err)
		}
		img, err := gojpeg.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if b := img.Bounds(); b.Dx() != c.w || b.Dy() != c.h {
			t.Fatalf("at most %d: %v, want %dx%d", c.max, b, c.w, c.h)
		}
		for i := range picture.Bars {
			r, want := picture.Bar(i, picture.Rect{W: c.w, H: c.h})
			got := color.RGBAModel.Convert(img.At(r.X+r.W/2, r.Y+r.H/2)).(color.RGBA)
			for _, d := range []int{int(got.R) - int(want.R), int(got.G) - int(want.G), int(got.B) - int(want.B)} {
				if d < -8 || d > 8 {
					t.Errorf("at most %d, bar %d: %v, want %v", c.max, i, got, want)
					break
				}
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	units := bars(t, 320, 180, 2)
	if _, err := JPEG(units[1], 0, 80); !errors.Is(err, openh264.ErrNotKeyframe) {
		t.Errorf("a P picture: %v", err)
	}
	for name, au := range map[string][]byte{
		"nothing": nil, "garbage": bytes.Repeat([]byte{0x47, 0, 0, 1}, 99), "cut": units[0][:60],
	} {
		if data, err := JPEG(au, 0, 80); err == nil || data != nil {
			t.Errorf("%s: %d bytes, %v", name, len(data), err)
		}
	}
	if _, err := JPEG(units[0], 0, 101); err == nil {
		t.Error("quality 101 is accepted")
	}
	if _, err := JPEG(units[0], 160, 80); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

func TestFrameIsLeftAlone(t *testing.T) {
	f := media.NewFrame(640, 360)
	picture.Fill(f, 180, 100, 150)
	var e Encoder
	defer e.Close()
	data, err := e.Frame([]byte("head"), f, 160, 80)
	if err != nil {
		if errors.Is(err, jpeg.ErrNoCgo) {
			t.Skip("needs cgo")
		}
		t.Fatal(err)
	}
	if f.Width != 640 || f.Y[0] != 180 || f.U[0] != 100 || (f.Color != media.Color{}) {
		t.Error("the frame was changed")
	}
	if !bytes.HasPrefix(data, []byte("head\xff\xd8")) {
		t.Errorf("not appended: % x", data[:8])
	}
	img, err := gojpeg.Decode(bytes.NewReader(data[4:]))
	if err != nil {
		t.Fatal(err)
	}
	// BT.709: R = 1.164(180-16) + 1.793(150-128) and so on.
	got := color.RGBAModel.Convert(img.At(80, 45)).(color.RGBA)
	want := [3]float64{1.1644*164 + 1.7927*22, 1.1644*164 + 0.2132*28 - 0.5329*22, 1.1644*164 - 2.1124*28}
	for i, v := range [3]uint8{got.R, got.G, got.B} {
		if math.Abs(float64(v)-want[i]) > 3 {
			t.Errorf("colour %v, want %.0f", got, want)
			break
		}
	}
	e.Close()
}

func BenchmarkJPEG720To320(b *testing.B) {
	au := bars(b, 1280, 720, 1)[0]
	var e Encoder
	defer e.Close()
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if out, err = e.JPEG(out[:0], au, 320, 80); err != nil {
			b.Fatal(err)
		}
	}
}
