package source

import (
	"bytes"
	"sync"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
)

// Frame is a decoded picture. It belongs to the queue that it came from.
type Frame struct {
	media.Frame       // its Time is the capture time
	Program     int64 // program time, UTC ns
	Flags       h264.Flags
	Change      uint64 // differs from the frame's before when the picture does
}

// maxFrames bounds a source's decoded pictures: 200 ms of 60 frames a second
// wait to be aligned, and half as much may come at once. Memory is taken as
// needed; 25 frames a second need eight.
const maxFrames = 20

// frames is the queue from a decoder to the engine, in the order of program
// time. The decoder fills frames that next gave it and pushes them; the engine
// holds one, given by at, until it asks again.
type frames struct {
	mu      sync.Mutex
	free    []*Frame
	queued  []*Frame
	current *Frame
	newest  *Frame // pushed last, to tell a change; may be in the free list
	made    int

	lastChange uint64
	asked      int64 // program time asked for last
	stats      FrameStats
}

// FrameStats counts what became of decoded pictures.
type FrameStats struct {
	Decoded uint64
	Late    uint64 // came after the output frame that should have shown them
	Dropped uint64 // the queue was full: the engine stood still
	Changes uint64 // of them that differ from the one before
}

// next is a frame for the decoder to fill. The one pushed last is spared while
// there is another, since the picture to come is compared with it.
func (q *frames) next() *Frame {
	q.mu.Lock()
	defer q.mu.Unlock()
	if f := take(&q.free, q.newest); f != nil {
		return f
	}
	if q.made < maxFrames {
		q.made++
		return &Frame{}
	}
	if f := take(&q.queued, q.newest); f != nil {
		q.stats.Dropped++
		return f
	}
	q.newest = nil
	return take(&q.free, nil)
}

// take removes and returns the first of list that is not spared.
func take(list *[]*Frame, spared *Frame) *Frame {
	for i, f := range *list {
		if f != spared {
			*list = append((*list)[:i], (*list)[i+1:]...)
			return f
		}
	}
	return nil
}

// push hands a filled frame over.
func (q *frames) push(f *Frame) {
	f.Change = q.changeOf(f)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.newest, q.lastChange = f, f.Change
	q.stats.Decoded++
	if f.Program <= q.asked {
		q.stats.Late++
	}
	i := len(q.queued)
	for i > 0 && q.queued[i-1].Program > f.Program {
		i--
	}
	q.queued = append(q.queued, nil)
	copy(q.queued[i+1:], q.queued[i:])
	q.queued[i] = f
}

// changeOf compares f with the frame pushed before. That one can't be filled
// anew meanwhile: only the decoder, which is us, fills frames.
func (q *frames) changeOf(f *Frame) uint64 {
	p := q.newest
	switch {
	case p == nil:
		return q.lastChange + 1
	case p.Width == f.Width && p.Height == f.Height && p.Color == f.Color &&
		bytes.Equal(p.Y, f.Y) && bytes.Equal(p.U, f.U) && bytes.Equal(p.V, f.V):
		return p.Change
	}
	q.mu.Lock()
	q.stats.Changes++
	q.mu.Unlock()
	return p.Change + 1
}

// at is the newest frame whose program time is not after t, nil when there was
// none yet. It is valid until the next call.
func (q *frames) at(t int64) *Frame {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked = t
	n := 0
	for n < len(q.queued) && q.queued[n].Program <= t {
		q.release(q.current)
		q.current = q.queued[n]
		n++
	}
	q.queued = append(q.queued[:0], q.queued[n:]...)
	return q.current
}

// giveBack returns a frame that could not be filled.
func (q *frames) giveBack(f *Frame) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if f == q.newest {
		q.newest = nil
	}
	q.release(f)
}

func (q *frames) release(f *Frame) {
	if f != nil {
		q.free = append(q.free, f)
	}
}

// clear gives up what is queued, for a new time.
func (q *frames) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, f := range q.queued {
		q.release(f)
	}
	q.queued = q.queued[:0]
}

func (q *frames) snapshot() FrameStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.stats
}
