package picture

import (
	"image"
	"image/color"
	"math"
	"testing"

	"github.com/openvideobox/videobox/internal/media"
)

// ITU-R BT.709 with 8 bits; the bars are of SMPTE RP 219 (75 %).
var known = []struct {
	rgb     color.RGBA
	y, u, v byte
}{
	{color.RGBA{0, 0, 0, 255}, 16, 128, 128},
	{color.RGBA{255, 255, 255, 255}, 235, 128, 128},
	{color.RGBA{255, 0, 0, 255}, 63, 102, 240},
	{color.RGBA{0, 255, 0, 255}, 173, 42, 26},
	{color.RGBA{0, 0, 255, 255}, 32, 240, 118},
	{color.RGBA{255, 255, 0, 255}, 219, 16, 138},
	{color.RGBA{0, 255, 255, 255}, 188, 154, 16},
	{color.RGBA{255, 0, 255, 255}, 78, 214, 230},
	{color.RGBA{191, 191, 191, 255}, 180, 128, 128},
	{color.RGBA{191, 191, 0, 255}, 168, 44, 136},
	{color.RGBA{128, 128, 128, 255}, 126, 128, 128},
}

func uniform(c color.RGBA, w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := 0; i < len(img.Pix); i += 4 {
		img.Pix[i], img.Pix[i+1], img.Pix[i+2], img.Pix[i+3] = c.R, c.G, c.B, c.A
	}
	return img
}

func off(a, b byte) int { return max(int(a)-int(b), int(b)-int(a)) }

func TestKnownColours(t *testing.T) {
	for _, k := range known {
		var f media.Frame
		FromImage(&f, uniform(k.rgb, 8, 6))
		y, u, v := YUV(k.rgb.R, k.rgb.G, k.rgb.B)
		if f.Y[9] != y || f.U[5] != u || f.V[5] != v {
			t.Errorf("%v: FromImage %d,%d,%d and YUV %d,%d,%d differ", k.rgb, f.Y[9], f.U[5], f.V[5], y, u, v)
		}
		if off(y, k.y) > 1 || off(u, k.u) > 1 || off(v, k.v) > 1 {
			t.Errorf("%v: %d,%d,%d, want %d,%d,%d", k.rgb, y, u, v, k.y, k.u, k.v)
		}
		if (f.Color != media.Color{}) {
			t.Errorf("marked as %+v", f.Color)
		}
	}
}

func TestRoundTripOfColours(t *testing.T) {
	var f media.Frame
	worst := 0
	for r := 0; r < 256; r += 15 {
		for g := 0; g < 256; g += 15 {
			for b := 0; b < 256; b += 15 {
				in := uniform(color.RGBA{uint8(r), uint8(g), uint8(b), 255}, 2, 2)
				FromImage(&f, in)
				out := ToImage(&f)
				for i := range 3 {
					worst = max(worst, off(in.Pix[i], out.Pix[i]))
				}
			}
		}
	}
	if worst > 2 {
		t.Errorf("a colour came back off by %d", worst)
	}
}

func TestFromImageOfOtherKinds(t *testing.T) {
	var want, got media.Frame
	rgba := Slate(160, 90, SlateText{Name: "box1", Cause: "No signal"})
	FromImage(&want, rgba)
	nrgba := image.NewNRGBA(image.Rect(10, 20, 171, 111)) // odd, and not at the origin
	for y := range 90 {
		for x := range 160 {
			nrgba.Set(10+x, 20+y, rgba.At(x, y))
		}
	}
	FromImage(&got, nrgba)
	if got.Width != 160 || got.Height != 90 {
		t.Fatalf("161x91 became %dx%d", got.Width, got.Height)
	}
	if string(got.Y) != string(want.Y) || string(got.U) != string(want.U) || string(got.V) != string(want.V) {
		t.Error("NRGBA and RGBA of the same picture differ")
	}
	FromImage(&got, rgba.SubImage(image.Rect(40, 30, 80, 60)))
	if got.Width != 40 || got.Y[0] != want.Y[30*160+40] {
		t.Errorf("a part of an image: %d wide, first sample %d", got.Width, got.Y[0])
	}
}

// fromRGB is the definition in floating point, for any colour description.
func fromRGB(c media.Color, r, g, b float64) [3]float64 {
	kr, kb := primaries(c.Matrix)
	black, luma, chroma := scales(c)
	y := kr*r + (1-kr-kb)*g + kb*b
	return [3]float64{black + luma*y, 128 + chroma*(b-y)/(2*(1-kb)), 128 + chroma*(r-y)/(2*(1-kr))}
}

func TestConvertBetweenAllDescriptions(t *testing.T) {
	all := []media.Color{{}, {Full: true}, {Matrix: media.BT601}, {Matrix: media.BT601, Full: true}}
	for _, from := range all {
		for _, to := range all {
			for _, k := range known {
				r, g, b := float64(k.rgb.R), float64(k.rgb.G), float64(k.rgb.B)
				in, want := fromRGB(from, r, g, b), fromRGB(to, r, g, b)
				f := media.NewFrame(4, 4)
				f.Color = from
				Fill(f, near(in[0]), near(in[1]), near(in[2]))
				Convert(f, to)
				got := [3]byte{f.Y[15], f.U[3], f.V[3]}
				for i, w := range want {
					if math.Abs(float64(got[i])-math.Min(w, 255)) > 2 {
						t.Errorf("%v from %+v to %+v: %v, want %.1f", k.rgb, from, to, got, want)
						break
					}
				}
				if f.Color != to {
					t.Errorf("marked as %+v, want %+v", f.Color, to)
				}
			}
		}
	}
}

func near(v float64) byte { return byte(math.Round(math.Min(math.Max(v, 0), 255))) }

func TestToImageUsesTheDescription(t *testing.T) {
	for _, c := range []media.Color{{Matrix: media.BT601}, {Matrix: media.BT601, Full: true}, {Full: true}} {
		want := color.RGBA{191, 60, 100, 255}
		s := fromRGB(c, 191, 60, 100)
		f := media.NewFrame(2, 2)
		f.Color = c
		Fill(f, near(s[0]), near(s[1]), near(s[2]))
		got := ToImage(f).RGBAAt(1, 1)
		if off(got.R, want.R) > 2 || off(got.G, want.G) > 2 || off(got.B, want.B) > 2 {
			t.Errorf("%+v: %v, want %v", c, got, want)
		}
	}
}

func TestConvertDoesNotAllocate(t *testing.T) {
	f := noise(320, 180)
	if got := testing.AllocsPerRun(5, func() {
		f.Color = media.Color{Matrix: media.BT601, Full: true}
		Normalize(f)
	}); got > 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkFromImage720(b *testing.B) {
	img := Slate(1280, 720, SlateText{Name: "box1", Cause: "No signal"})
	var f media.Frame
	b.ReportAllocs()
	for b.Loop() {
		FromImage(&f, img)
	}
}

func BenchmarkNormalize720(b *testing.B) {
	f := noise(1280, 720)
	b.ReportAllocs()
	for b.Loop() {
		f.Color = media.Color{Matrix: media.BT601, Full: true}
		Normalize(f)
	}
}
