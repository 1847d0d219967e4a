package picture

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"os"
	"os/exec"
	"testing"

	"github.com/openvideobox/videobox/internal/media"
)

// barColours are full and 75 % bars, black, white and grey.
var barColours = []color.RGBA{
	{255, 255, 255, 255}, {255, 255, 0, 255}, {0, 255, 255, 255}, {0, 255, 0, 255},
	{255, 0, 255, 255}, {255, 0, 0, 255}, {0, 0, 255, 255}, {0, 0, 0, 255},
	{191, 191, 191, 255}, {191, 191, 0, 255}, {0, 191, 191, 255}, {0, 191, 0, 255},
	{191, 0, 191, 255}, {191, 0, 0, 255}, {0, 0, 191, 255}, {128, 128, 128, 255},
}

const barWidth, barHeight = 40, 360 // 16 of them are 640x360

func bars() *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, barWidth*len(barColours), barHeight))
	for y := range barHeight {
		for x := range barWidth * len(barColours) {
			img.SetRGBA(x, y, barColours[x/barWidth])
		}
	}
	return img
}

// ffmpegYUV has ffmpeg make a frame of an image, in a matrix and a range.
func ffmpegYUV(t *testing.T, img *image.RGBA, matrix, full string) *media.Frame {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("needs ffmpeg, which CI must have: %v", err)
		}
		t.Skip("needs ffmpeg: apt-get install ffmpeg")
	}
	f := media.NewFrame(img.Rect.Dx(), img.Rect.Dy())
	cmd := exec.Command("ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgba", "-s", fmt.Sprintf("%dx%d", f.Width, f.Height), "-i", "-",
		"-vf", "scale=flags=accurate_rnd+full_chroma_int:out_color_matrix="+matrix+":out_range="+full+",format=yuv420p", "-f", "rawvideo", "-")
	cmd.Stdin = bytes.NewReader(img.Pix)
	out, err := cmd.Output()
	if err != nil || len(out) != f.Width*f.Height*3/2 {
		t.Fatalf("ffmpeg: %v, %d bytes", err, len(out))
	}
	n := copy(f.Y, out)
	n += copy(f.U, out[n:])
	copy(f.V, out[n:])
	return f
}

// barsOff is the largest difference within the bars' middles, where no filter
// mixes two of them.
func barsOff(a, b *media.Frame) (worst int) {
	for i := range barColours {
		x, y := i*barWidth+barWidth/2, barHeight/2
		at, c := y*a.YStride+x, y/2*a.CStride+x/2
		worst = max(worst, off(a.Y[at], b.Y[at]), off(a.U[c], b.U[c]), off(a.V[c], b.V[c]))
	}
	return worst
}

// TestBarsLookAsFFmpegMakesThem takes colour bars in each matrix and range that
// a stick sends, and compares what is sent on, BT.709 limited, with ffmpeg's.
func TestBarsLookAsFFmpegMakesThem(t *testing.T) {
	img := bars()
	want := ffmpegYUV(t, img, "bt709", "limited")
	kinds := map[media.Color][2]string{
		{}:                                {"bt709", "limited"},
		{Full: true}:                      {"bt709", "full"},
		{Matrix: media.BT601}:             {"bt601", "limited"},
		{Matrix: media.BT601, Full: true}: {"bt601", "full"},
	}
	for c, name := range kinds {
		in := ffmpegYUV(t, img, name[0], name[1])
		if (c != media.Color{}) && barsOff(in, want) <= 2 {
			t.Errorf("%v: the input is the same as BT.709 limited: this test finds nothing", name)
		}
		in.Color = c
		same := media.NewFrame(in.Width, in.Height)
		Copy(same, in)
		same.Color = in.Color
		Normalize(same)
		if d := barsOff(same, want); d > 2 {
			t.Errorf("%v: off by %d", name, d)
		}
		// Down and up again: scaling must not change a colour.
		small, back := media.NewFrame(320, 180), media.NewFrame(in.Width, in.Height)
		var s Scaler
		s.Letterbox(small, in)
		s.Letterbox(back, small)
		back.Color = c
		Normalize(back)
		if d := barsOff(back, want); d > 2 {
			t.Errorf("%v, scaled: off by %d", name, d)
		}
	}
}

// TestAnyInputSizeIsLetterboxed goes from 640x480 to 3840x2160: all of the
// picture is there, in the middle, in its shape, and around it is black.
func TestAnyInputSizeIsLetterboxed(t *testing.T) {
	for _, size := range [][2]int{{640, 480}, {720, 576}, {800, 600}, {1024, 768}, {1280, 720}, {1280, 1024}, {1600, 1200}, {1920, 1080}, {1920, 1200}, {2560, 1440}, {3440, 1440}, {3840, 2160}, {1080, 1920}} {
		src, dst := media.NewFrame(size[0], size[1]), media.NewFrame(1280, 720)
		Fill(src, 180, 90, 200)
		Fill(dst, 33, 44, 55)
		var s Scaler
		s.Letterbox(dst, src)
		w, h := 1280, 720
		if size[0]*9 > size[1]*16 {
			h = 1280 * size[1] / size[0]
		} else {
			w = 720 * size[0] / size[1]
		}
		inside := image.Rect(0, 0, w, h).Add(image.Pt((1280-w)/2, (720-h)/2))
		for y := 0; y < 720; y += 8 {
			for x := 0; x < 1280; x += 8 {
				p := image.Pt(x, y)
				want, c := byte(16), byte(128)
				if p.In(inside.Inset(4)) {
					want, c = 180, 90
				} else if p.In(inside.Inset(-4)) {
					continue // the edge
				}
				if got, u := dst.Y[y*1280+x], dst.U[y/2*640+x/2]; off(got, want) > 1 || off(u, c) > 1 {
					t.Fatalf("%v: %d,%d at %v, want %d,%d", size, got, u, p, want, c)
				}
			}
		}
	}
}
