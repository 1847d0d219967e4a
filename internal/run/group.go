package run

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
)

// Group is a set of goroutines that end together: the first error cancels the
// context that all of them have. A goroutine that returns nil ends alone.
type Group struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	once   sync.Once
	err    error
}

// NewGroup returns a group whose context ends with ctx, at the latest.
func NewGroup(ctx context.Context) *Group {
	ctx, cancel := context.WithCancel(ctx)
	return &Group{ctx: ctx, cancel: cancel}
}

// Context is what the group's goroutines get.
func (g *Group) Context() context.Context { return g.ctx }

// Go starts f. Its error, or its panic as one, is prefixed by name; an empty
// name prefixes nothing.
func (g *Group) Go(name string, f func(ctx context.Context) error) {
	g.wg.Go(func() {
		err := protect(g.ctx, f)
		if err == nil {
			return
		}
		if name != "" {
			err = fmt.Errorf("%s: %w", name, err)
		}
		g.once.Do(func() { g.err = err })
		g.cancel()
	})
}

// Stop cancels the group's context, which is no error by itself.
func (g *Group) Stop() { g.cancel() }

// Wait waits for every goroutine and returns the first error.
func (g *Group) Wait() error {
	g.wg.Wait()
	g.cancel()
	return g.err
}

// protect runs f and makes an error of a panic, with the stack in the log.
func protect(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			slog.Error("panic", "cause", p, "stack", string(debug.Stack()))
		}
	}()
	return f(ctx)
}
