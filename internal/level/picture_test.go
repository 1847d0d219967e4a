package level

import (
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/media"
)

const frameTime = 40 * time.Millisecond

// run writes n frames that draw makes, and returns the values after each.
func run(p *Picture, at *int64, f *media.Frame, n int, draw func(i int)) PictureValues {
	for i := range n {
		draw(i)
		p.Write(f, *at)
		*at += int64(frameTime)
	}
	return p.Values()
}

func texture(f *media.Frame, phase int) {
	for y := range f.Height {
		for x := range f.Width {
			f.Y[y*f.YStride+x] = byte(60 + (x*3+y*5+phase*11)%120)
		}
	}
}

func TestFrozen(t *testing.T) {
	p, f, at := NewPicture(2*time.Second), media.NewFrame(640, 360), time.Now().UnixNano()
	if v := run(p, &at, f, 100, func(i int) { texture(f, i) }); v.Frozen || v.FrozenFor != 0 || v.Black {
		t.Errorf("a moving picture: %+v", v)
	}
	if v := run(p, &at, f, 49, func(int) {}); v.Frozen || v.FrozenFor != 49*frameTime {
		t.Errorf("49 frames later: %+v", v)
	}
	seed := uint32(1)
	noise := func(int) { // of a coder
		for i := range f.Y {
			seed = seed*1664525 + 1013904223
			f.Y[i] = byte(60+(i%640*3+i/640*5+99*11)%120) + byte(seed>>30)
		}
	}
	if v := run(p, &at, f, 10, noise); !v.Frozen {
		t.Errorf("with noise of 3 steps: %+v", v)
	}
	// A clock in the corner: 48x24 of 640x360.
	clock := func(i int) {
		for y := range 24 {
			for x := range 48 {
				f.Y[y*640+x] = byte(40 + i%2*150)
			}
		}
	}
	if v := run(p, &at, f, 10, clock); v.Frozen || v.FrozenFor != 0 {
		t.Errorf("with a clock: %+v", v)
	}
}

func TestBlack(t *testing.T) {
	for _, c := range []media.Color{{}, {Matrix: media.BT601, Full: true}} {
		p, f, at := NewPicture(time.Second), media.NewFrame(640, 360), int64(0)
		f.Color = c
		black := byte(16)
		if c.Full {
			black = 0
		}
		paint := func(v byte) func(int) {
			return func(int) {
				for i := range f.Y {
					f.Y[i] = v
				}
			}
		}
		if v := run(p, &at, f, 20, paint(black+5)); v.Black || v.BlackFor != 19*frameTime {
			t.Errorf("%+v: 20 frames: %+v", c, v)
		}
		if v := run(p, &at, f, 10, paint(black+5)); !v.Black {
			t.Errorf("%+v: 30 frames: %+v", c, v)
		}
		if v := run(p, &at, f, 1, paint(black+40)); v.Black || v.BlackFor != 0 {
			t.Errorf("%+v: dark grey: %+v", c, v)
		}
		title := func(int) { // white on 5 % of a black picture
			paint(black)(0)
			for i := range f.Y[:640*18] {
				f.Y[i] = 230
			}
		}
		if v := run(p, &at, f, 60, title); v.Black {
			t.Errorf("%+v: a title on black: %+v", c, v)
		}
	}
}

func TestSizeChangeStartsOver(t *testing.T) {
	p, at := NewPicture(time.Second), int64(0)
	run(p, &at, media.NewFrame(640, 360), 60, func(int) {})
	for _, size := range [][2]int{{1280, 720}, {2, 2}, {642, 362}} {
		v := run(p, &at, media.NewFrame(size[0], size[1]), 2, func(int) {})
		if v.FrozenFor != frameTime || v.BlackFor != frameTime {
			t.Errorf("%v: %+v", size, v)
		}
	}
}

// Bound: 0.2 ms at 720p, without allocations.
func BenchmarkPicture720(b *testing.B) {
	p, f := NewPicture(0), media.NewFrame(1280, 720)
	texture(f, 1)
	b.ReportAllocs()
	at := int64(0)
	for b.Loop() {
		p.Write(f, at)
		at += int64(frameTime)
	}
}

func TestPictureDoesNotAllocate(t *testing.T) {
	p, f := NewPicture(0), media.NewFrame(640, 360)
	p.Write(f, 0)
	if got := testing.AllocsPerRun(10, func() { texture(f, 1); p.Write(f, 1) }); got > 0 {
		t.Errorf("%v allocations", got)
	}
}
