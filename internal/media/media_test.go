package media

import (
	"testing"
	"time"
)

func TestGridIsExact(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC).UnixNano()
	for _, rate := range []int{10, 25, 30, 50, 60} {
		n := FrameAt(now, rate)
		if got := FrameTime(n, rate); got != now {
			t.Errorf("rate %d: a whole second is not on the grid: %d, want %d", rate, got, now)
		}
		for i := n; i < n+int64(rate); i++ {
			if got := FrameAt(FrameTime(i, rate)+1, rate); got != i {
				t.Errorf("rate %d: FrameAt(FrameTime(%d)) = %d", rate, i, got)
			}
			if d := FrameTicks(i+1, rate) - FrameTicks(i, rate); d != int64(TicksPerSecond/rate) {
				t.Errorf("rate %d: frame of %d ticks", rate, d)
			}
		}
	}
	if got := TimeToTicks(now); got != FrameTicks(FrameAt(now, 25), 25) {
		t.Errorf("TimeToTicks = %d", got)
	}
	k := AACAt(now)
	if at := AACTicks(k); at > TimeToTicks(now) || at+TicksPerAAC <= TimeToTicks(now) {
		t.Errorf("AAC frame %d does not hold the instant", k)
	}
}

func TestUnwrap(t *testing.T) {
	const wrap = int64(1) << 33
	for _, c := range []struct{ wire, near, want int64 }{
		{5, 3, 5},
		{0, wrap - 10, wrap},
		{wrap - 1, wrap + 5, wrap - 1},
		{100, 7 * wrap, 7*wrap + 100},
		{wrap - 100, 7 * wrap, 7*wrap - 100},
	} {
		if got := Unwrap(c.wire, c.near); got != c.want {
			t.Errorf("Unwrap(%d, %d) = %d, want %d", c.wire, c.near, got, c.want)
		}
	}
}

func TestFrameCheck(t *testing.T) {
	f := NewFrame(64, 36)
	if err := f.Check(); err != nil {
		t.Fatal(err)
	}
	if f.Y[0] != 16 || f.U[63] != 128 {
		t.Error("a new frame is not black")
	}
	for name, bad := range map[string]Frame{
		"odd":    {Width: 3, Height: 2, YStride: 3, CStride: 1},
		"stride": {Width: 4, Height: 2, YStride: 2, CStride: 2},
		"short":  {Width: 4, Height: 2, YStride: 4, CStride: 2, Y: make([]byte, 7), U: make([]byte, 2), V: make([]byte, 2)},
	} {
		if bad.Check() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
