package ntp

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Client asks servers by UDP.
type Client struct {
	// Raw is the monotonic clock, in ns.
	Raw func() int64
	// Timeout is for one question; 0: a second.
	Timeout time.Duration

	mu    sync.Mutex
	known map[string]string // the address that a server's name had
	tried int               // failures: the next look-up takes another of its addresses
}

// Query asks one server, host or host:port, once. The name is looked up again
// after each failure: a pool then gives another server.
func (c *Client) Query(ctx context.Context, server string) (Reading, error) {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = time.Second
	}
	addr, err := c.address(ctx, server)
	if err != nil {
		return Reading{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r, err := c.exchange(ctx, addr)
	if err != nil {
		c.forget(server)
		return Reading{}, describe(ctx, err, timeout)
	}
	return r, nil
}

func describe(ctx context.Context, err error, timeout time.Duration) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %v", timeout)
	}
	if op := new(net.OpError); errors.As(err, &op) {
		return op.Err // without the addresses, which the caller knows
	}
	return err
}

// exchange uses a new port each time (RFC 9109), and a connected socket, which
// takes answers from the address that was asked only.
func (c *Client) exchange(ctx context.Context, addr string) (Reading, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", addr)
	if err != nil {
		return Reading{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	cookie := binary.BigEndian.Uint64(random[:])
	question := Question(cookie)
	sent := c.Raw()
	if _, err := conn.Write(question); err != nil {
		return Reading{}, err
	}
	var b [1024]byte
	for {
		n, err := conn.Read(b[:])
		received := c.Raw()
		if err != nil {
			return Reading{}, err
		}
		r, err := Check(b[:n], cookie, sent, received)
		if !errors.Is(err, ErrStray) {
			return r, err
		}
	}
}

// resolver is Go's own: libc's doesn't work in the image's static programs.
var resolver = &net.Resolver{PreferGo: true}

// address is the server's, looked up if it isn't known.
func (c *Client) address(ctx context.Context, server string) (string, error) {
	c.mu.Lock()
	addr := c.known[server]
	c.mu.Unlock()
	if addr != "" {
		return addr, nil
	}
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		host, port = server, "123"
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ips, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		if e := new(net.DNSError); errors.As(err, &e) {
			return "", fmt.Errorf("look up %s: %s", host, e.Err)
		}
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	addr = net.JoinHostPort(ips[c.tried%len(ips)].Unmap().String(), port)
	if c.known == nil {
		c.known = map[string]string{}
	}
	c.known[server] = addr
	return addr, nil
}

func (c *Client) forget(server string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, server)
	c.tried++
}
