package metrics

import (
	"sync"
	"sync/atomic"
	"time"
)

// Rates are taken over the last 3 s: long enough to hold one whole HLS segment
// or three GOPs, short enough for a table that a person watches.
const (
	rateWindow = 3 * time.Second
	rateStep   = 250 * time.Millisecond
	rateLeast  = 500 * time.Millisecond // divides by no less, right after the start
	rateSlots  = int(rateWindow/rateStep) + 2
)

// rate keeps what two counters were at points about a step apart.
type rate struct {
	next  atomic.Int64 // when the next point is due
	mu    sync.Mutex
	point [rateSlots]point
	at    int // the newest
}

type point struct {
	time          int64 // 0: none yet
	bytes, frames uint64
}

// tick takes a point when one is due: what the counters were before now.
func (r *rate) tick(now int64, bytes, frames uint64) {
	due := r.next.Load()
	if now < due || !r.next.CompareAndSwap(due, now+int64(rateStep)) {
		return
	}
	r.mu.Lock()
	r.at = (r.at + 1) % rateSlots
	r.point[r.at] = point{now, bytes, frames}
	r.mu.Unlock()
}

// per is how much a second passed in the window that ends now.
func (r *rate) per(now int64, bytes, frames uint64) (bytesPerSecond, framesPerSecond float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range rateSlots {
		p := r.point[(r.at+1+i)%rateSlots] // from the oldest
		if p.time == 0 || p.time < now-int64(rateWindow) {
			continue
		}
		span := max(time.Duration(now-p.time), rateLeast).Seconds()
		return sub(bytes, p.bytes) / span, sub(frames, p.frames) / span
	}
	return 0, 0
}

// sub is a-b; a was read first, so another goroutine's point may be ahead.
func sub(a, b uint64) float64 {
	if a < b {
		return 0
	}
	return float64(a - b)
}
