package metrics

import (
	"sync"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
)

// Finding is what a look at a leaf has found.
type Finding struct {
	State State
	Cause string // why it isn't ok
	Value string // what was measured, in words; "" if there is nothing to add
}

// LeafState is a leaf that the program sets.
type LeafState struct {
	clock clock.Clock
	name  string

	mu            sync.Mutex
	found         Finding
	since, looked instant
}

func newLeaf(c clock.Clock, name string) *LeafState {
	now := instantOf(c)
	return &LeafState{clock: c, name: name, found: Finding{State: Starting}, since: now, looked: now}
}

// Set sets state and cause; Since moves when the state changes.
func (l *LeafState) Set(state State, cause string) { l.Found(Finding{State: state, Cause: cause}) }

// Found is Set with what was measured.
func (l *LeafState) Found(f Finding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looked = instantOf(l.clock)
	if l.found.State != f.State {
		l.since = l.looked
	}
	l.found = f
}

// Snapshot is the leaf as it is now.
func (l *LeafState) Snapshot() Leaf {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := instantOf(l.clock)
	return Leaf{
		Name: l.name, State: l.found.State, Cause: l.found.Cause, Value: l.found.Value,
		Since: l.since.seenFrom(now), Looked: l.looked.seenFrom(now),
	}
}

// instant is a time by the clock, and one that no step of the system's clock
// touches.
type instant struct {
	utc  int64
	mono time.Time
}

func instantOf(c clock.Clock) instant {
	i := instant{utc: c.Now()}
	if c == clock.System {
		i.mono = time.Now()
	}
	return i
}

// stepped is what counts as a step of the clock.
const stepped = time.Second

// seenFrom is when i was, by a clock that may have been set since: a box learns
// the time when it has been up for a while, and an age of fifty years tells
// nobody anything.
func (i instant) seenFrom(now instant) time.Time {
	t := i.utc
	if !now.mono.IsZero() {
		if by := now.utc - int64(now.mono.Sub(i.mono)); time.Duration(by-t).Abs() > stepped {
			t = by
		}
	}
	return utc(t)
}
