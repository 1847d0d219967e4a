package tee

import (
	"context"
	"errors"
	"slices"
	"sync"
	"syscall"
)

// pump writes to all clients of a server that keep up with the ring, one after
// the other, without waiting for any of them. With a goroutine for each, waking
// 28 of them cost more than twice what the system calls do. A client whose
// socket is full gets a goroutine of its own until it has caught up.
type pump struct {
	waiter
	server  *Server
	clients []*client // guarded by server.mu
	over    bool      // takes no more; guarded by server.mu
	seen    int64     // how far the ring was when they were served last
}

func newPump(s *Server) pump { return pump{waiter: newWaiter(), server: s} }

// take takes a client over that has nothing to be written, unless the pump has
// ended.
func (p *pump) take(c *client) bool {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	if p.over || c.raw == nil {
		return false
	}
	p.clients = append(p.clients, c)
	p.poke() // something may have come meanwhile
	return true
}

// run serves until ctx or the ring ends, and then hands its clients back.
func (p *pump) run(ctx context.Context, group *sync.WaitGroup) {
	for p.wait(ctx) {
		p.pass(ctx, group)
	}
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	p.over = true
	for _, c := range p.clients {
		group.Go(func() { p.server.follow(ctx, c) })
	}
	p.clients = nil
}

func (p *pump) wait(ctx context.Context) bool {
	r := p.server.Ring
	p.server.mu.Lock()
	idle := len(p.clients) == 0
	p.server.mu.Unlock()
	r.mu.Lock()
	if r.head.Load() != p.seen && !idle {
		p.poke()
	} else if !idle {
		r.enqueue(&p.waiter)
	}
	r.mu.Unlock()
	select {
	case <-p.wake:
	case <-ctx.Done():
	case <-r.Done():
	}
	return ctx.Err() == nil && !r.ended()
}

// pass offers every client what is new. The order stays the same, and with it
// the time between two offers to one client.
func (p *pump) pass(ctx context.Context, group *sync.WaitGroup) {
	s := p.server
	s.mu.Lock()
	defer s.mu.Unlock()
	p.seen = s.Ring.head.Load()
	p.clients = slices.DeleteFunc(p.clients, func(c *client) bool {
		err := c.offer(p.seen, s.count)
		switch {
		case err == nil:
			return false
		case errors.Is(err, syscall.EAGAIN):
			group.Go(func() { s.follow(ctx, c) })
		default:
			group.Go(func() { s.end(c, err) })
		}
		return true
	})
}
