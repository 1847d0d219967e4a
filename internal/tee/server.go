package tee

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// checkEvery is how often connections are looked at for being lapped or
	// gone. A lapped reader holds one block until then.
	checkEvery = time.Second
	// drainFor is how long readers get for what is left when the ring ends.
	drainFor = 2 * time.Second
	// acceptPause follows a connection that could not be accepted.
	acceptPause = 100 * time.Millisecond
)

// Server serves a ring to the TCP clients of one listener: the stream from the
// first byte on, or after an HTTP header. Set the fields before Serve.
type Server struct {
	Ring *Ring
	From From
	HTTP bool         // read a request, answer with a header
	Log  *slog.Logger // nil: slog.Default()

	// Callbacks for counters, from any goroutine; nil ones are left out.
	OnSent    func(bytes int)
	OnReaders func(delta int) // one came or went
	OnLapped  func(readers int)

	mu      sync.Mutex
	clients map[*client]struct{} // all
	pump    pump                 // serves those that keep up

	accepted, lapped, refused, sent atomic.Uint64
}

// ServerStats is a snapshot of a server's counters.
type ServerStats struct {
	Readers  int    // now
	Accepted uint64 // since the start
	Lapped   uint64 // dropped because they fell behind the ring
	Refused  uint64 // for want of file descriptors or memory, or for a bad request
	Sent     uint64 // bytes
}

// Stats reads the counters; it may be called at any time.
func (s *Server) Stats() ServerStats {
	s.mu.Lock()
	n := len(s.clients)
	s.mu.Unlock()
	return ServerStats{n, s.accepted.Load(), s.lapped.Load(), s.refused.Load(), s.sent.Load()}
}

func call(f func(int), n int) {
	if f != nil {
		f(n)
	}
}

func (s *Server) log() *slog.Logger { return cmp.Or(s.Log, slog.Default()) }

// Listen opens a TCP port. Its error names the port and what to do.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("TCP port %s is taken by another program: end that one or choose another port", address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("TCP port %s: not permitted: ports below 1024 need root or CAP_NET_BIND_SERVICE", address)
	case err != nil:
		return nil, fmt.Errorf("TCP port %s can't be opened: %w", address, err)
	}
	return ln, nil
}

// Serve accepts readers until ctx ends, which cuts them off, or until the ring
// is closed, which gives them what is left first. It closes ln, waits for all
// its goroutines, and returns nil unless ln failed by itself.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var clients, watcher sync.WaitGroup
	s.mu.Lock()
	s.clients, s.pump = make(map[*client]struct{}), newPump(s)
	s.mu.Unlock()
	watcher.Go(func() { s.watch(ctx, ln) })
	clients.Go(func() { s.pump.run(ctx, &clients) })
	err := s.accept(ctx, ln, &clients)
	if err != nil {
		cancel()
	}
	clients.Wait()
	cancel()
	watcher.Wait()
	return err
}

func (s *Server) accept(ctx context.Context, ln net.Listener, clients *sync.WaitGroup) error {
	failing := false
	for {
		conn, err := ln.Accept()
		switch {
		case err == nil:
			failing = false
			if c := s.admit(ctx, conn); c != nil {
				clients.Go(func() { s.serve(ctx, c) })
			}
		case ctx.Err() != nil || s.Ring.ended():
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("%v: %w", ln.Addr(), err)
		default: // out of file descriptors or memory, or the peer gave up
			s.refused.Add(1)
			if !failing {
				s.log().Error("can't accept readers", "address", ln.Addr().String(), "err", err)
			}
			failing = true
			pause(ctx, acceptPause)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// admit takes a connection up, or closes it when serving is over.
func (s *Server) admit(ctx context.Context, conn net.Conn) *client {
	c := newClient(conn, s.Ring.NewReader(s.From))
	s.accepted.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		c.close()
		return nil
	}
	s.clients[c] = struct{}{}
	call(s.OnReaders, 1)
	return c
}

// serve starts a client: in a goroutine of its own, until it has caught up.
func (s *Server) serve(ctx context.Context, c *client) {
	if s.HTTP {
		stream, err := c.answer()
		if err != nil {
			s.refused.Add(1)
			s.log().Info("bad HTTP request", "reader", c.address, "err", err)
		}
		if !stream {
			s.dismiss(c)
			return
		}
	}
	c.streaming.Store(true)
	s.follow(ctx, c)
}

// follow writes to a client that is behind. It ends when the pump can take it,
// or when it is over.
func (s *Server) follow(ctx context.Context, c *client) {
	for {
		err := c.flush(s.count)
		if err == nil {
			err = c.fetch(ctx, s.pump.take)
		}
		switch {
		case errors.Is(err, errTaken):
			return
		case err != nil:
			s.end(c, err)
			return
		}
	}
}

func (s *Server) count(bytes int) {
	s.sent.Add(uint64(bytes))
	call(s.OnSent, bytes)
}

// end says why a client is dropped, and drops it.
func (s *Server) end(c *client, err error) {
	if cause := c.cause.Load(); cause != nil {
		err = *cause
	}
	switch {
	case errors.Is(err, ErrLapped):
		c.reader.lose() // where check has seen it first
		s.lapped.Add(1)
		call(s.OnLapped, 1)
		s.log().Warn("reader dropped: it fell behind the ring", "reader", c.address, "ring", s.Ring.Size())
	case errors.Is(err, errStuck):
		s.log().Warn("reader dropped: it takes nothing", "reader", c.address, "for", stuckAfter)
	default:
		s.log().Debug("reader left", "reader", c.address, "err", err)
	}
	s.dismiss(c)
}

func (s *Server) dismiss(c *client) {
	s.mu.Lock()
	delete(s.clients, c)
	s.mu.Unlock()
	call(s.OnReaders, -1)
	c.close()
}

// watch ends the listener and the clients in their time, and looks after those
// whose own goroutine can't: it may be stuck in a write.
func (s *Server) watch(ctx context.Context, ln net.Listener) {
	defer s.each(func(c *client) { c.conn.Close() })
	defer ln.Close()
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	ended := s.Ring.Done()
	var drained <-chan time.Time
	scratch := make([]byte, 4096)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ended:
			ln.Close()
			ended, drained = nil, time.After(drainFor)
		case <-drained:
			return
		case now := <-tick.C:
			s.each(func(c *client) {
				if c.check(now, scratch) {
					s.pump.poke() // it may be the pump's
				}
			})
		}
	}
}

func (s *Server) each(fn func(*client)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.clients {
		fn(c)
	}
}
