package push

import (
	"context"
	"sync"

	"github.com/openvideobox/videobox/internal/media"
)

// A unit that waits to be sent. pts and dts are unwrapped ticks.
type unit struct {
	media.Unit
	seq     int64 // in the order of arrival
	capture int64 // UTC ns, 0 unknown
}

// A backlog holds the newest seconds of one stream for all its senders, who
// read it at their own pace. It is bounded in time and bytes: a sender that
// falls out of it loses whole GOPs, and one that connects anew starts at the
// oldest keyframe, so that an origin that was restarted gets again what the old
// process had not finished.
type backlog struct {
	span  int64 // ticks
	bytes int

	mu     sync.Mutex
	units  []unit // ascending seq, from first on
	size   int
	next   int64 // seq of the next unit
	video  int64 // ticks of the newest picture
	wake   chan struct{}
	starts int64 // how often the stream started anew
}

func newBacklog(span int64, bytes int) *backlog {
	return &backlog{span: span, bytes: bytes, wake: make(chan struct{})}
}

// add appends a unit and lets the oldest ones go.
func (b *backlog) add(u unit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u.seq = b.next
	b.next++
	if u.Track == media.Video {
		b.video = u.DTS
	}
	b.units = append(b.units, u)
	b.size += len(u.Data)
	for len(b.units) > 1 && (b.size > b.bytes || b.video-b.units[0].DTS > b.span) {
		b.size -= len(b.units[0].Data)
		b.units[0] = unit{}
		b.units = b.units[1:]
	}
	close(b.wake)
	b.wake = make(chan struct{})
}

// restart forgets everything: program time was set back.
func (b *backlog) restart() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.units, b.size = nil, 0
	b.starts++
}

// cursor is one sender's place.
type cursor struct {
	seq    int64 // of the next unit to send
	starts int64 // of the backlog when the cursor was made
}

// oldest puts a cursor at the oldest keyframe, or where the next one will be.
func (b *backlog) oldest() cursor {
	b.mu.Lock()
	defer b.mu.Unlock()
	return cursor{b.keyAfter(0), b.starts}
}

// keyAfter is the seq of the first keyframe from seq on, or of the next unit.
func (b *backlog) keyAfter(seq int64) int64 {
	for _, u := range b.units {
		if u.seq >= seq && u.Key {
			return u.seq
		}
	}
	return b.next
}

// errRestarted says that the stream starts anew and the connection must too.
type errRestarted struct{}

func (errRestarted) Error() string { return "program time was set back: the stream starts anew" }

// read waits for the unit at the cursor and moves on. dropped counts the
// pictures that were gone before they could be read; then the unit is a
// keyframe.
func (b *backlog) read(ctx context.Context, c *cursor, stop <-chan struct{}) (u unit, dropped int64, err error) {
	for {
		b.mu.Lock()
		wake := b.wake
		if c.starts != b.starts {
			b.mu.Unlock()
			return u, 0, errRestarted{}
		}
		if len(b.units) > 0 && c.seq < b.units[0].seq {
			to := b.keyAfter(0)
			dropped += to - c.seq
			c.seq = to
		}
		if c.seq < b.next {
			u = b.units[c.seq-b.units[0].seq]
			c.seq++
			b.mu.Unlock()
			return u, dropped, nil
		}
		b.mu.Unlock()
		select {
		case <-wake:
		case <-stop:
			return u, dropped, errStopped
		case <-ctx.Done():
			return u, dropped, ctx.Err()
		}
	}
}
