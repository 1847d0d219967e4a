package recording

import (
	"sync"

	"github.com/openvideobox/videobox/internal/mpegts"
)

// blockSize is how much is written at once: whole packets, near 64 KiB.
const blockSize = 64 << 10 / mpegts.PacketSize * mpegts.PacketSize

// item is one step for the writer: open a file, write a block, end the file, or
// index one.
type item struct {
	open         *opening
	data         []byte
	before, last mark // the newest whole frame before the data, and in it
	end          *facts
	index        string // a file that an earlier run left
	close        bool   // the file in hand, if there still is one
}

// queue lies between the stream and the disk. Its bytes are bounded; openings
// and ends are few, since a file is only begun when there is room for it.
type queue struct {
	limit int
	ready chan struct{} // something was put in

	mu     sync.Mutex
	items  []item
	bytes  int
	peak   int
	closed bool
}

func newQueue(limit int) *queue {
	return &queue{limit: limit, ready: make(chan struct{}, 1)}
}

func (q *queue) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// push copies data in, or answers false when there is no room for all of it.
func (q *queue) push(data []byte, before, last mark) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes+len(data) > q.limit {
		return false
	}
	q.bytes += len(data)
	q.peak = max(q.peak, q.bytes)
	for len(data) > 0 {
		data = q.append(data, before, last)
	}
	q.signal()
	return true
}

// append fills the newest block, or a new one, and returns what is left over.
func (q *queue) append(data []byte, before, end mark) []byte {
	if n := len(q.items); n > 0 {
		if last := &q.items[n-1]; last.data != nil && len(last.data) < blockSize {
			take := min(blockSize-len(last.data), len(data))
			last.data, last.last = append(last.data, data[:take]...), end
			return data[take:]
		}
	}
	take := min(blockSize, len(data))
	q.items = append(q.items, item{before: before, last: end, data: append([]byte(nil), data[:take]...)})
	return data[take:]
}

// control puts in an opening or an end.
func (q *queue) control(it item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items = append(q.items, it)
	q.signal()
}

// room says whether a new file may be begun: the disk has caught up by half.
func (q *queue) room() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes <= q.limit/2
}

// take removes the oldest item; done means that there won't be another.
func (q *queue) take() (it item, ok, done bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return item{}, false, q.closed
	}
	it = q.items[0]
	q.items[0] = item{} // let go of the block
	q.items = q.items[1:]
	q.bytes -= len(it.data)
	return it, true, false
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

func (q *queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

func (q *queue) fill() (bytes, peak int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes, q.peak
}
