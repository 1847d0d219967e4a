package run

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Listen opens a TCP socket. The error of a port in use says what to do.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", addr)
	if err == nil {
		return l, nil
	}
	_, port, _ := net.SplitHostPort(addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen %s: in use; end what holds it (ss -ltnp sport = :%s) or change port_offset: %w", addr, port, syscall.EADDRINUSE)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("listen %s: not permitted; use a port from 1024 on, or run as root: %w", addr, syscall.EACCES)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("listen %s: no such address on this host; use one that `ip addr` shows: %w", addr, syscall.EADDRNOTAVAIL)
	}
	return nil, err
}

// ServeHTTP serves h on addr until the context ends, whose error it returns.
// Requests have that context as theirs, and a second to finish. A client that
// sends its request slowly is cut off.
func ServeHTTP(ctx context.Context, addr string, h http.Handler) error {
	l, err := Listen(ctx, addr)
	if err != nil {
		return err
	}
	return ServeListener(ctx, l, h)
}

// ServeListener is ServeHTTP on a socket that is open already. It closes it.
func ServeListener(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if srv.Shutdown(grace) != nil {
		srv.Close()
	}
	<-failed
	return ctx.Err()
}
