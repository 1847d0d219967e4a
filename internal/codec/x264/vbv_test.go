package x264

import (
	"fmt"
	"testing"

	"github.com/openvideobox/videobox/internal/media"
)

// hard is the worst that a lecture has for an encoder: slides that stand still,
// then noise in every pixel, with cuts in between.
func hard(f *media.Frame, n int) {
	switch second := n / 25; second % 4 {
	case 0: // a still slide
		scene(f, second)
	case 1: // cuts, five a second
		scene(f, n/5*31)
	default:
		seed := uint32(n)*2654435761 + 1
		for i := range f.Y {
			seed = seed*1664525 + 1013904223
			f.Y[i] = byte(seed >> 24)
		}
	}
}

// TestVBVHolds: whatever comes, the decoder's buffer of a second never runs dry.
// So a second after a still one may be nearly twice the bitrate, but no ten
// seconds are above it by more than a tenth.
func TestVBVHolds(t *testing.T) {
	for _, preset := range []string{"ultrafast", "superfast", "veryfast"} {
		c := small
		c.Preset = preset
		e, f := open(t, c), media.NewFrame(c.Width, c.Height)
		const seconds = 24
		var size [seconds * 25]int
		for n := range size {
			hard(f, n)
			au, err := e.Encode(f, media.FrameTicks(int64(n), c.Rate), n%c.Rate == 0)
			if err != nil {
				t.Fatal(err)
			}
			size[n] = len(au) * 8
		}
		rate := float64(c.Bitrate)
		second, ten := worstOf(size[:], 25, 1)/rate, worstOf(size[:], 250, 1)/rate/10
		bucket := underflow(size[:], c.Bitrate)
		t.Logf("%s: any second at most %.2f of the bitrate, any ten %.2f; buffer's fill at least %.2f s", preset, second, ten, bucket)
		if second > 1.95 || ten > 1.1 {
			t.Errorf("%s: a second of %.2f, ten of %.2f of the bitrate", preset, second, ten)
		}
		if bucket < 0 {
			t.Errorf("%s: the decoder's buffer runs dry by %.2f s", preset, -bucket)
		}
	}
}

// worstOf is the largest sum of n sizes, from every step'th on.
func worstOf(size []int, n, step int) (most float64) {
	for i := 0; i+n <= len(size); i += step {
		sum := 0.0
		for _, s := range size[i : i+n] {
			sum += float64(s)
		}
		most = max(most, sum)
	}
	return most
}

// underflow fills a buffer of a second, nine tenths full at first as x264 has
// it, with the bitrate, takes pictures out, and gives its lowest fill in seconds.
func underflow(size []int, bitrate int) (least float64) {
	rate := float64(bitrate)
	fill := 0.9 * rate
	least = 1
	for _, s := range size {
		fill -= float64(s)
		least = min(least, fill/rate)
		fill = min(fill+rate/25, rate)
	}
	return least
}

// TestUnderflowIsFound gives the bucket more than it can hold.
func TestUnderflowIsFound(t *testing.T) {
	size := make([]int, 50)
	for i := range size {
		size[i] = 500_000 / 25
	}
	if got := underflow(size, 500_000); got < 0 {
		t.Errorf("a constant rate runs dry: %.2f", got)
	}
	size[30] = 600_000
	if got := underflow(size, 500_000); got >= 0 {
		t.Errorf("a picture larger than the buffer leaves %.2f s in it", got)
	}
	if got := fmt.Sprint(worstOf([]int{1, 5, 2, 7}, 2, 2)); got != "9" {
		t.Errorf("the worst pair is %s", got)
	}
}
