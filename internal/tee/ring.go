// Package tee hands one MPEG-TS (ISO/IEC 13818-1) to many: a ring with one
// writer and any number of readers, served by TCP, HTTP and UDP multicast, and
// the receiving end of each.
//
// A reader never slows the writer or another reader. It starts at a keyframe
// with the tables before it; one that falls behind the whole ring is told so
// (ErrLapped) and counted.
//
// Tested on Linux, on loopback, with ffmpeg's and our own muxer as writers.
package tee

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openvideobox/videobox/internal/mpegts"
)

// Blocks are the unit in which the ring is filled and reused. They are cut to
// whole packets, so that no packet lies in two of them and every slice handed
// to a reader starts with a sync byte. A frame that ends in the next block
// costs each reader a second system call; a slow reader holds a block.
const (
	smallBlock = 64 << 10
	largeBlock = 256 << 10
	minBlocks  = 4 // half the ring back needs room on both sides
)

// publishAt is how much is shown to readers without waiting for more: more
// than an IDR picture at 8 Mbit/s, so that it is no earlier than other pictures.
const publishAt = 256 << 10

// Delay is how long written bytes wait for more before readers are woken, for
// a number of readers. A wakeup costs each of them a system call, so this
// bounds the price of a source that writes a little at a time. Few readers get
// the stream soon. Tens are dearest by the byte: at 8 Mbit/s, 28 of them take
// 0.6 s CPU per GB with 20 ms, 0.8 with 10. Hundreds share the cost of the
// wakeup, 0.3 s with 12 ms, and it is their number that delays the last ones.
func Delay(readers int) time.Duration {
	const least, most, each = 5 * time.Millisecond, 20 * time.Millisecond, 750 * time.Microsecond
	if readers > 100 {
		return 12 * time.Millisecond
	}
	return min(most, max(least, time.Duration(readers)*each))
}

// ErrLapped is what a reader gets that has fallen behind the ring: what it
// would read next has been overwritten.
var ErrLapped = errors.New("reader fell behind the ring")

// block is filled once, front to back, and immutable behind the published
// head. Before reuse its sequence number is taken away; a reader pins first
// and checks the number afterwards, so either the writer sees the pin and
// leaves the block to it, or the reader sees the number gone.
type block struct {
	seq  atomic.Int64 // position in the stream in blocks; -1 while it has none
	pins atomic.Int32
	buf  []byte
}

// Ring keeps the newest part of a transport stream in memory. One goroutine
// writes, any number read.
type Ring struct {
	slots     []atomic.Pointer[block]
	blockSize int64
	most      int64 // written and not shown

	head atomic.Int64 // bytes readers may see
	tail atomic.Int64 // first byte still held

	wmu    sync.Mutex // held by the writer and by its flush timer, never by readers
	scan   mpegts.Scanner
	put    func(mpegts.Packet)
	index  index
	cur    *block
	end    int64         // bytes written; head follows
	delay  time.Duration // negative: by the number of readers
	timer  *time.Timer
	armed  bool
	closed bool

	mu      sync.Mutex // held for moments by readers, so that the writer may take it
	keys    []key
	waiting []*waiter
	done    chan struct{} // closed by Close

	keyframes, skipped, losses atomic.Uint64
	joined, lapped, sent       atomic.Uint64
	readers                    atomic.Int64
}

// key is a place to join: a keyframe's first packet and the tables before it.
type key struct {
	pos    int64
	tables []byte // packets; immutable
}

// NewRing makes a ring that holds at least size bytes. Memory is taken as the
// ring fills for the first time and reused from then on. Writing allocates
// only the tables of a keyframe, and a block for each that a slow reader holds
// at the moment when it would be reused.
func NewRing(size int) *Ring {
	return newRing(size, min(largeBlock, max(smallBlock, size/32)))
}

func newRing(size, blockSize int) *Ring {
	blockSize -= blockSize % mpegts.PacketSize
	// One more than asked for: the newest block is only partly filled.
	blocks := max(minBlocks, (size+blockSize-1)/blockSize+1)
	r := &Ring{
		slots: make([]atomic.Pointer[block], blocks), blockSize: int64(blockSize),
		delay: -1, done: make(chan struct{}),
	}
	r.most = int64(min(publishAt, r.Size()/2))
	r.put = r.packet
	r.timer = time.AfterFunc(time.Hour, r.flush)
	r.timer.Stop()
	return r
}

// SetDelay sets how long bytes wait for company before readers are woken, in
// place of Delay; 0 wakes them at every Write. For a source that collects by
// itself.
func (r *Ring) SetDelay(d time.Duration) {
	r.wmu.Lock()
	defer r.wmu.Unlock()
	r.delay = max(0, d)
}

// Size is the number of bytes that the ring holds when full.
func (r *Ring) Size() int { return (len(r.slots) - 1) * int(r.blockSize) }

// Write takes any cut of a transport stream. Bytes that are no packets are
// skipped and counted. It never waits for a reader.
func (r *Ring) Write(p []byte) (int, error) {
	r.wmu.Lock()
	defer r.wmu.Unlock()
	if r.closed {
		return 0, io.ErrClosedPipe
	}
	r.scan.Scan(p, r.put)
	r.skipped.Store(r.scan.Skipped)
	r.losses.Store(r.scan.SyncLosses)
	switch pending := r.end - r.head.Load(); {
	case pending == 0:
	case r.delay == 0 || pending >= r.most:
		r.publish()
	case !r.armed:
		r.armed = true
		r.timer.Reset(r.wait())
	}
	return len(p), nil
}

func (r *Ring) wait() time.Duration {
	if r.delay >= 0 {
		return r.delay
	}
	return Delay(int(r.readers.Load()))
}

// packet appends one packet.
func (r *Ring) packet(p mpegts.Packet) {
	off := r.end % r.blockSize
	if off == 0 {
		if r.end-r.head.Load() >= r.most {
			r.publish()
		}
		r.advance()
	}
	if tables := r.index.packet(p); tables != nil {
		r.keyframes.Add(1)
		r.mu.Lock()
		r.keys = append(r.keys, key{r.end, tables})
		r.mu.Unlock()
	}
	copy(r.cur.buf[off:], p)
	r.end += mpegts.PacketSize
}

// advance opens the block at end in place of the oldest one.
func (r *Ring) advance() {
	seq := r.end / r.blockSize
	slot := &r.slots[seq%int64(len(r.slots))]
	b := slot.Load()
	if b != nil {
		r.forget((seq - int64(len(r.slots)) + 1) * r.blockSize)
		b.seq.Store(-1)
	}
	if b == nil || b.pins.Load() != 0 {
		b = &block{buf: make([]byte, r.blockSize)} // a pinned one is left to its reader, and then to the collector
	}
	b.seq.Store(seq)
	slot.Store(b)
	r.cur = b
}

// forget drops what lies before tail from the index.
func (r *Ring) forget(tail int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tail.Store(tail)
	n := 0
	for n < len(r.keys) && r.keys[n].pos < tail {
		n++
	}
	if n > 0 {
		rest := copy(r.keys, r.keys[n:])
		clear(r.keys[rest:])
		r.keys = r.keys[:rest]
	}
}

// flush is the timer's end of Write.
func (r *Ring) flush() {
	r.wmu.Lock()
	defer r.wmu.Unlock()
	r.armed = false
	if r.end > r.head.Load() {
		r.publish()
	}
}

// publish shows readers everything written and wakes those that wait.
func (r *Ring) publish() {
	if r.armed {
		r.armed = !r.timer.Stop()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.head.Store(r.end)
	r.wakeAll()
}

// Close ends the stream: readers get what is left, then io.EOF. Calling it
// again does nothing.
func (r *Ring) Close() error {
	r.wmu.Lock()
	defer r.wmu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	r.publish()
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.done)
	r.wakeAll()
	return nil
}

// Done is closed when the ring is.
func (r *Ring) Done() <-chan struct{} { return r.done }

func (r *Ring) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// Stats is a snapshot of a ring's counters.
type Stats struct {
	Bytes      uint64 `json:"bytes"`   // whole packets written
	Skipped    uint64 `json:"skipped"` // bytes written that were no packets
	SyncLosses uint64 `json:"sync_losses"`
	Keyframes  uint64 `json:"keyframes"`
	Held       int    `json:"held"`    // bytes in the ring now
	Size       int    `json:"size"`    // bytes it holds when full
	Readers    int    `json:"readers"` // now
	Joined     uint64 `json:"joined"`  // readers since the start
	Lapped     uint64 `json:"lapped"`  // readers that fell behind
	Sent       uint64 `json:"sent"`    // bytes handed to readers
}

// Stats reads the counters; it may be called at any time.
func (r *Ring) Stats() Stats {
	head := r.head.Load()
	return Stats{
		Bytes: uint64(head), Skipped: r.skipped.Load(), SyncLosses: r.losses.Load(),
		Keyframes: r.keyframes.Load(), Held: int(max(0, head-r.tail.Load())), Size: r.Size(),
		Readers: int(r.readers.Load()), Joined: r.joined.Load(), Lapped: r.lapped.Load(), Sent: r.sent.Load(),
	}
}
