package simbox

import (
	"context"
	"time"

	"github.com/openvideobox/videobox/images/fleet/internal/box"
)

// Faults are what a test has a box do.
type Faults struct {
	TrialFails   string // the reason; the box then comes back with the old version
	DieAt        int64  // bytes of an upload after which it goes away, once
	DeadFor      time.Duration
	StartLost    bool          // the answer to start never comes
	StartIgnored bool          // start is answered, and nothing begins
	Hangs        bool          // never comes back from its trial
	Endless      bool          // its trial has no end
	Preparing    time.Duration // from start to its restart
	Note         string        // what it says that it doesn't know
	Asked        func()        // is called at each request, also while it is away; nil: nothing is
	// Early is for how long, in its trial, it answers before its data partition
	// is there: it knows of no update then. EarlyCode, if not 0, is that of a
	// refusal, since it knows no credentials either.
	Early     time.Duration
	EarlyCode int
	// StartHeld is called when a trial has begun and before that is answered,
	// with the request's context; nil: nothing is.
	StartHeld func(context.Context)
}

// Set changes the box as a test wants.
func (b *Box) Set(change func(*Faults, *box.Running)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.faults, &b.running)
}

// SetBusy marks the box as busy; "" as free.
func (b *Box) SetBusy(reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy = reason
}

// SetTalk has a talk begin in the box's room; "" ends it.
func (b *Box) SetTalk(talk string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.talk = talk
}

// Touched says how many uploads and starts there were.
func (b *Box) Touched() (puts, starts int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.puts, b.starts
}

// Running is what it runs.
func (b *Box) Running() box.Running {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pass()
	return b.running
}
