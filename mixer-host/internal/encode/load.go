package encode

import (
	"context"
	"sync"

	"github.com/openvideobox/videobox/internal/clock"
)

// load is how busy the encoders have been in the last one to two windows.
type load struct {
	clock clock.Clock

	mu              sync.Mutex
	since           int64
	before, current loadWindow
}

type loadWindow struct {
	used, span int64 // ns
	skipped    int
}

const window = 5_000_000_000 // ns

func (l *load) add(used, span int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.roll()
	l.current.used += used
	l.current.span += span
}

func (l *load) skip() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.roll()
	l.current.skipped++
}

func (l *load) roll() {
	switch now := l.clock.Now(); {
	case now-l.since >= 2*window:
		l.before, l.current, l.since = loadWindow{}, loadWindow{}, now
	case now-l.since >= window:
		l.before, l.current, l.since = l.current, loadWindow{}, now
	}
}

func (l *load) recent() (share float64, skipped int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.roll()
	if span := l.before.span + l.current.span; span > 0 {
		share = float64(l.before.used+l.current.used) / float64(span)
	}
	return share, l.before.skipped + l.current.skipped
}

// fault is an error that ends Run; the first one counts.
type fault struct {
	once sync.Once
	err  error
	set  chan struct{}
}

func (f *fault) report(err error) {
	f.once.Do(func() {
		f.err = err
		close(f.set)
	})
}

func (f *fault) wait(ctx context.Context) error {
	select {
	case <-f.set:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}
