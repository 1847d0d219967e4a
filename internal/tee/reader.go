package tee

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
)

// From says where in the ring a reader starts.
type From int

// Newest is the last keyframe. HalfBack is the keyframe nearest to half the
// ring's size before the end; while less is held, the oldest one.
const (
	Newest From = iota
	HalfBack
	edge  // the next packet, whatever it is
	first // the oldest keyframe: for readers that waited for one
)

// Reader reads a ring from a keyframe on. Its methods belong to one goroutine,
// but Close and Lapped may be called from any.
type Reader struct {
	ring   *Ring
	from   From
	pos    atomic.Int64 // next byte to hand out; -1 before a keyframe was found
	tables []byte       // goes out before anything else
	pin    *block       // what the slice handed out last points into
	rest   []byte       // for Read: not yet copied
	waiter
	done   chan struct{}
	close  sync.Once
	lapped bool
}

// NewReader joins at once when there is a keyframe to join at; else the reader
// starts at the next one.
func (r *Ring) NewReader(from From) *Reader {
	rd := &Reader{ring: r, from: from, waiter: newWaiter(), done: make(chan struct{})}
	rd.pos.Store(-1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !rd.join() {
		rd.from = first
	}
	r.readers.Add(1) // who is counted gets what is written from now on
	r.joined.Add(1)
	return rd
}

// join needs ring.mu.
func (rd *Reader) join() bool {
	if rd.from == edge {
		rd.pos.Store(rd.ring.head.Load())
		return true
	}
	k, ok := rd.ring.find(rd.from)
	if ok {
		rd.tables = k.tables
		rd.pos.Store(k.pos)
	}
	return ok
}

// find picks the place to join among what readers may see; needs ring.mu.
func (r *Ring) find(from From) (best key, ok bool) {
	head := r.head.Load()
	want := head
	switch from {
	case HalfBack:
		want -= int64(r.Size() / 2)
	case first:
		want = 0
	}
	for _, k := range r.keys {
		if k.pos >= head {
			break
		}
		if ok && distance(k.pos, want) > distance(best.pos, want) {
			break // positions rise, so it only gets worse
		}
		best, ok = k, true
	}
	return best, ok
}

func distance(a, b int64) int64 { return max(a-b, b-a) }

// Next returns the next bytes of the stream, always whole packets. It waits
// while there are none. The slice is valid until the following call of Next or
// Read. Errors: ErrLapped, io.EOF after the ring was closed, io.ErrClosedPipe
// after Close, or the context's.
func (rd *Reader) Next(ctx context.Context) ([]byte, error) {
	rd.unpin()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for {
		b, err := rd.take()
		if b != nil || err != nil {
			return b, err
		}
		if err := rd.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// poll is take for those who don't wait by themselves: it joins when it can.
func (rd *Reader) poll() ([]byte, error) {
	if rd.pos.Load() < 0 {
		rd.ring.mu.Lock()
		rd.join()
		rd.ring.mu.Unlock()
	}
	return rd.take()
}

// take returns what can be had without waiting, or nil.
func (rd *Reader) take() ([]byte, error) {
	if rd.lapped {
		return nil, ErrLapped
	}
	if b := rd.tables; b != nil {
		rd.tables = nil
		return b, nil
	}
	pos := rd.pos.Load()
	head := rd.ring.head.Load()
	if pos < 0 || pos >= head {
		return nil, nil
	}
	size := rd.ring.blockSize
	seq, off := pos/size, pos%size
	b := rd.ring.slots[seq%int64(len(rd.ring.slots))].Load()
	b.pins.Add(1)
	if b.seq.Load() != seq {
		b.pins.Add(-1)
		rd.lose()
		return nil, ErrLapped
	}
	rd.pin = b
	end := min(head-seq*size, size)
	rd.pos.Store(seq*size + end)
	rd.ring.sent.Add(uint64(end - off))
	return b.buf[off:end:end], nil
}

// lose counts the reader as lapped, once.
func (rd *Reader) lose() {
	if !rd.lapped {
		rd.lapped = true
		rd.ring.lapped.Add(1)
	}
}

func (rd *Reader) unpin() {
	if rd.pin != nil {
		rd.pin.pins.Add(-1)
		rd.pin = nil
	}
}

// wait returns nil when it is worth looking again.
func (rd *Reader) wait(ctx context.Context) error {
	if ready, err := rd.ready(); ready || err != nil {
		return err
	}
	select {
	case <-rd.wake:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-rd.done:
		return io.ErrClosedPipe
	}
}

// ready puts the reader among those whom the next publish wakes, unless there
// is something for it already.
func (rd *Reader) ready() (ready bool, err error) {
	r := rd.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	pos := rd.pos.Load()
	switch {
	case pos < 0 && rd.join(), pos >= 0 && pos < r.head.Load():
		return true, nil
	case r.ended():
		return false, io.EOF
	}
	r.enqueue(&rd.waiter)
	return false, nil
}

// Read is Next for those who need an io.Reader. Close ends it.
func (rd *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(rd.rest) == 0 {
		b, err := rd.Next(context.Background())
		if err != nil {
			return 0, err
		}
		rd.rest = b
	}
	n := copy(p, rd.rest)
	rd.rest = rd.rest[n:]
	return n, nil
}

// Lapped tells whether the ring has overwritten what the reader would get
// next. It holds for a reader that is stuck with what it got before.
func (rd *Reader) Lapped() bool {
	pos := rd.pos.Load()
	return pos >= 0 && pos < rd.ring.tail.Load()
}

// Lag is the number of bytes between the reader and the end of the stream.
func (rd *Reader) Lag() int64 {
	pos := rd.pos.Load()
	if pos < 0 {
		return 0
	}
	return max(0, rd.ring.head.Load()-pos)
}

// Close gives the reader up and ends a Next that waits. The slice handed out
// last stays valid for whoever still holds it. Closing twice is fine.
func (rd *Reader) Close() error {
	rd.close.Do(func() {
		close(rd.done)
		r := rd.ring
		r.readers.Add(-1)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.dequeue(&rd.waiter)
	})
	return nil
}
