package worker

import (
	"time"

	"github.com/openvideobox/videobox/internal/media"
)

// The encoder works off the frame grid of UTC: for each frame number once, in
// order. A frame captured within half a frame of a grid time belongs to it, so
// that a source in step with UTC is taken as its frames arrive, and one out of
// step is off by half a frame at most.

// maxLag is how far the encoder may be behind before it skips: catching up is
// cheap where frames repeat, and program.Patience is longer by two frames.
const maxLag = 300 * time.Millisecond

// lag is maxLag in frames.
func (g grid) lag() int64 { return max(int64(maxLag)*int64(g.rate)/int64(time.Second), 1) }

// choice is what becomes of a grid frame.
type choice int

const (
	wait   choice = iota // its frame may still come
	take                 // the newest frame
	repeat               // the frame before it once more
)

// grid knows the times of frames.
type grid struct{ rate int }

func (g grid) time(n int64) int64 { return media.FrameTime(n, g.rate) }
func (g grid) half() int64        { return 500_000_000 / int64(g.rate) }

// of is the frame number to which a frame captured at t belongs.
func (g grid) of(t int64) int64 { return media.FrameAt(t+g.half(), g.rate) }

// deadline is when frame n is encoded with what there is: late enough for a
// frame at the far end of its half and the time a driver takes to hand it over.
func (g grid) deadline(n int64) int64 { return g.time(n) + 2*g.half() + g.half()/2 }

// choose decides on frame n at now, with the newest frame captured at newest (0:
// none has come).
func (g grid) choose(n, now, newest int64) choice {
	switch {
	case newest == 0 && now < g.deadline(n):
		return wait
	case newest == 0:
		return repeat
	case g.of(newest) == n:
		return take
	case g.of(newest) > n && g.of(newest) <= n+g.lag():
		return repeat // frames come in order: there is none for n
	case now < g.deadline(n):
		return wait
	}
	return take
}

// skip is the frame to go on with after n when the clock stands at now.
func (g grid) skip(n, now int64) int64 {
	if due := media.FrameAt(now, g.rate); due-n > g.lag() {
		return due
	}
	return n
}
