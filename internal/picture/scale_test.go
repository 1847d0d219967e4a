package picture

import (
	"math"
	"testing"

	"github.com/openvideobox/videobox/internal/media"
)

// sizes are pairs that the system meets, and awkward ones.
var sizes = [][4]int{
	{1280, 720, 1024, 576}, {1280, 720, 320, 180}, {1920, 1080, 1280, 720}, {1280, 720, 854, 480},
	{640, 480, 1280, 720}, {854, 480, 1280, 720}, {1280, 720, 1280, 720}, {1280, 720, 640, 720},
	{1280, 720, 1280, 360}, {3840, 2160, 320, 180}, {2, 2, 64, 36}, {64, 36, 2, 2}, {66, 38, 64, 36}, {1000, 998, 14, 998},
}

func TestFiltersAddUpToOne(t *testing.T) {
	for _, from := range []int{1, 2, 3, 4, 5, 16, 90, 180, 427, 640, 1080, 1920, 4096} {
		for _, to := range []int{1, 2, 3, 7, 16, 90, 160, 427, 512, 720, 1280, 4096} {
			f := newFilter(from, to)
			for i := range to {
				sum := 0
				for _, w := range f.weight[i*f.taps:][:f.taps] {
					sum += int(w)
				}
				if sum != one || f.start[i] < 0 || int(f.start[i])+f.taps > from {
					t.Fatalf("%d to %d, output %d: sum %d, samples %d to %d", from, to, i, sum, f.start[i], int(f.start[i])+f.taps)
				}
			}
		}
	}
}

func TestFlatStaysFlat(t *testing.T) {
	var s Scaler
	for _, c := range sizes {
		src, dst := media.NewFrame(c[0], c[1]), media.NewFrame(c[2], c[3])
		Fill(src, 235, 17, 240)
		s.Scale(dst, src, Whole(dst))
		for i, p := range planes(dst, Whole(dst)) {
			want := []byte{235, 17, 240}[i]
			for y := range p.h {
				for x, v := range p.row(y) {
					if v != want {
						t.Fatalf("%v: plane %d at %d,%d is %d, want %d", c, i, x, y, v, want)
					}
				}
			}
		}
	}
}

// reference is area averaging, or linear interpolation, in floating point.
func reference(src []byte, stride, sw, sh, dw, dh int) []float64 {
	weights := func(from, to, i int) map[int]float64 {
		w := map[int]float64{}
		ratio := float64(from) / float64(to)
		if to > from {
			at := math.Min(math.Max((float64(i)+0.5)*ratio-0.5, 0), float64(from-1))
			k := int(at)
			w[k] += 1 - (at - float64(k))
			w[min(k+1, from-1)] += at - float64(k)
			return w
		}
		for k := int(float64(i) * ratio); k < from; k++ {
			covered := math.Min(float64(k+1), float64(i+1)*ratio) - math.Max(float64(k), float64(i)*ratio)
			if covered <= 1e-9 {
				break
			}
			w[k] = covered / ratio
		}
		return w
	}
	out := make([]float64, dw*dh)
	for y := range dh {
		down := weights(sh, dh, y)
		for x := range dw {
			for ky, wy := range down {
				for kx, wx := range weights(sw, dw, x) {
					out[y*dw+x] += float64(src[ky*stride+kx]) * wx * wy
				}
			}
		}
	}
	return out
}

func TestScaleAgreesWithReference(t *testing.T) {
	var s Scaler
	for _, c := range [][4]int{
		{160, 90, 128, 72}, {160, 90, 40, 22}, {192, 108, 128, 72}, {160, 90, 106, 60}, {106, 60, 160, 90},
		{64, 48, 128, 72}, {160, 90, 80, 90}, {162, 90, 10, 6}, {14, 10, 162, 90},
	} {
		src, dst := noise(c[0], c[1]), media.NewFrame(c[2], c[3])
		s.Scale(dst, src, Whole(dst))
		want := reference(src.Y, src.YStride, c[0], c[1], c[2], c[3])
		worst := 0.0
		for i, v := range dst.Y {
			worst = math.Max(worst, math.Abs(float64(v)-want[i]))
		}
		// Half a step for each of two roundings, and weights of 8 bits.
		if worst > 2 {
			t.Errorf("%v: luma is off by %.2f", c, worst)
		}
		want = reference(src.V, src.CStride, c[0]/2, c[1]/2, c[2]/2, c[3]/2)
		for i, v := range dst.V {
			if d := math.Abs(float64(v) - want[i]); d > 2 {
				t.Fatalf("%v: chroma %d is off by %.2f", c, i, d)
			}
		}
	}
}

func TestScaleStaysInItsRectangle(t *testing.T) {
	src, dst := noise(320, 180), media.NewFrame(640, 360)
	Fill(dst, 77, 78, 79)
	var s Scaler
	r := Rect{102, 54, 160, 90}
	s.Scale(dst, src, r)
	for y := range 360 {
		for x := range 640 {
			in := x >= r.X && x < r.X+r.W && y >= r.Y && y < r.Y+r.H
			if !in && dst.Y[y*640+x] != 77 {
				t.Fatalf("%d,%d outside of %v was written", x, y, r)
			}
			if !in && (dst.U[y/2*320+x/2] != 78 || dst.V[y/2*320+x/2] != 79) {
				t.Fatalf("chroma at %d,%d outside of %v was written", x, y, r)
			}
		}
	}
	before := append([]byte(nil), dst.Y...)
	for _, bad := range []Rect{{-2, 0, 100, 100}, {0, 0, 642, 360}, {600, 300, 100, 50}, {0, 0, 0, 90}, {0, 0, 90, 1}} {
		s.Scale(dst, src, bad)
	}
	if string(before) != string(dst.Y) {
		t.Error("a rectangle that does not lie in the frame was drawn")
	}
}

func TestScalePart(t *testing.T) {
	src, dst := media.NewFrame(640, 360), media.NewFrame(100, 100)
	Fill(src, 50, 128, 128)
	FillRect(src, Rect{320, 180, 320, 180}, 200, 90, 160)
	var s Scaler
	s.ScalePart(dst, src, Whole(dst), Rect{320, 180, 320, 180})
	for i, p := range planes(dst, Whole(dst)) {
		for y := range p.h {
			for _, v := range p.row(y) {
				if want := []byte{200, 90, 160}[i]; v != want {
					t.Fatalf("plane %d, row %d is %d, want %d", i, y, v, want)
				}
			}
		}
	}
}

func TestLetterbox(t *testing.T) {
	for _, c := range []struct {
		w, h int
		want Rect
	}{
		{640, 480, Rect{160, 0, 960, 720}},
		{1920, 1080, Rect{0, 0, 1280, 720}},
		{1920, 800, Rect{0, 92, 1280, 534}},
		{1080, 1920, Rect{436, 0, 406, 720}},
		{1920, 1200, Rect{64, 0, 1152, 720}},
	} {
		src, dst := media.NewFrame(c.w, c.h), media.NewFrame(1280, 720)
		Fill(src, 200, 90, 160)
		Fill(dst, 99, 99, 99)
		var s Scaler
		s.Letterbox(dst, src)
		for y := range 720 {
			for x := range 1280 {
				in := x >= c.want.X && x < c.want.X+c.want.W && y >= c.want.Y && y < c.want.Y+c.want.H
				got := [3]byte{dst.Y[y*1280+x], dst.U[y/2*640+x/2], dst.V[y/2*640+x/2]}
				want := [3]byte{16, 128, 128}
				if in {
					want = [3]byte{200, 90, 160}
				}
				if got != want {
					t.Fatalf("%dx%d: %d,%d is %v, want %v", c.w, c.h, x, y, got, want)
				}
			}
		}
	}
}

func TestLetterboxOfFullRangeHasFullRangeBlack(t *testing.T) {
	src, dst := media.NewFrame(64, 64), media.NewFrame(128, 72)
	src.Color = media.Color{Matrix: media.BT601, Full: true}
	Letterbox(dst, src)
	if dst.Color != src.Color || dst.Y[0] != 0 {
		t.Errorf("colour %+v, bar %d", dst.Color, dst.Y[0])
	}
}

func TestScalerDoesNotAllocate(t *testing.T) {
	src, dst := noise(1280, 720), media.NewFrame(1280, 720)
	var s Scaler
	step := func() {
		s.Scale(dst, src, Rect{0, 0, 1024, 576})
		s.Scale(dst, src, Rect{960, 540, 320, 180})
		s.LetterboxRect(dst, src, Rect{2, 2, 400, 400})
	}
	step()
	if got := testing.AllocsPerRun(5, step); got > 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestFilterCacheIsBounded(t *testing.T) {
	var s Scaler
	for i := range 500 {
		s.filter(100+i, 50)
	}
	if n := len(s.filters); n > maxFilters {
		t.Errorf("%d filters are kept", n)
	}
}
