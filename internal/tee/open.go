package tee

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

const defaultDialTimeout = 5 * time.Second

// OpenOptions say how a stream is opened. The zero value will do.
type OpenOptions struct {
	Interface   string        // where a multicast group is joined; "": as the routing table says
	DialTimeout time.Duration // to connect and to get an HTTP answer; 0: 5 s
	ReadTimeout time.Duration // Read fails when nothing came for so long; 0: never
}

// Open opens a transport stream:
//
//	tcp://HOST:PORT           a box, a mixer, tstee
//	udp://GROUP:PORT          multicast; udp://ADDRESS:PORT is unicast to this host
//	http://… https://…        anything that streams
//	file:///PATH or PATH      a file
//
// The stream ends with ctx, or by Close; either ends a Read that waits.
// Reconnecting is the caller's matter. A udp stream is a *UDPReader.
func Open(ctx context.Context, rawURL string, o OpenOptions) (io.ReadCloser, error) {
	o.DialTimeout = cmp.Or(o.DialTimeout, defaultDialTimeout)
	if !strings.Contains(rawURL, "://") {
		return openFile(ctx, rawURL)
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("stream address %q: %w", rawURL, err)
	}
	switch u.Scheme {
	case "tcp":
		return openTCP(ctx, u, o)
	case "udp":
		return openUDP(ctx, u, o)
	case "http", "https":
		return openHTTP(ctx, u, o)
	case "file":
		return openFile(ctx, u.Path)
	}
	return nil, fmt.Errorf("stream address %q: unknown scheme %q: want tcp, udp, http, https or file", rawURL, u.Scheme)
}

// stream closes what it wraps when its context ends, and names it in errors.
type stream struct {
	io.ReadCloser
	ctx     context.Context
	name    string
	timeout time.Duration
	release func() bool
}

func newStream(ctx context.Context, rc io.ReadCloser, name string, o OpenOptions) *stream {
	s := &stream{ReadCloser: rc, ctx: ctx, name: name, timeout: o.ReadTimeout}
	s.release = context.AfterFunc(ctx, func() { rc.Close() })
	return s
}

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case s.ctx.Err() != nil:
		return n, s.ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, fmt.Errorf("%s: no data for %v: %w", s.name, s.timeout, os.ErrDeadlineExceeded)
	}
	return n, fmt.Errorf("%s: %w", s.name, err)
}

func (s *stream) Close() error {
	s.release()
	return s.ReadCloser.Close()
}

// impatientConn lets no Read wait longer than its timeout, in ns; 0: for ever.
type impatientConn struct {
	net.Conn
	timeout *atomic.Int64
}

func (c impatientConn) Read(p []byte) (int, error) {
	if d := time.Duration(c.timeout.Load()); d > 0 {
		if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(p)
}

func openFile(ctx context.Context, path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err // names the path
	}
	return newStream(ctx, f, path, OpenOptions{}), nil
}

func dial(ctx context.Context, address string, o OpenOptions, read *atomic.Int64) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: o.DialTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return impatientConn{conn, read}, nil
}

func openTCP(ctx context.Context, u *url.URL, o OpenOptions) (io.ReadCloser, error) {
	if u.Hostname() == "" || u.Port() == "" {
		return nil, fmt.Errorf("stream address %q: want tcp://HOST:PORT", u)
	}
	var read atomic.Int64
	read.Store(int64(o.ReadTimeout))
	conn, err := dial(ctx, u.Host, o, &read)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", u, err)
	}
	return newStream(ctx, conn, u.String(), o), nil
}

func openHTTP(ctx context.Context, u *url.URL, o OpenOptions) (io.ReadCloser, error) {
	var read atomic.Int64 // until there is an answer, DialTimeout holds
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return dial(ctx, address, o, &read)
		},
		TLSHandshakeTimeout:   o.DialTimeout,
		ResponseHeaderTimeout: o.DialTimeout,
		DisableKeepAlives:     true,
		DisableCompression:    true,
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, err // names the method and the URL
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("%s: answered %s", u.Redacted(), resp.Status)
	}
	read.Store(int64(o.ReadTimeout))
	return newStream(ctx, resp.Body, u.Redacted(), o), nil
}

func openUDP(ctx context.Context, u *url.URL, o OpenOptions) (io.ReadCloser, error) {
	to, err := resolveUDP(ctx, u.Host)
	if err != nil {
		return nil, fmt.Errorf("stream address %q: %w", u, err)
	}
	r, err := listenUDP(to, o.Interface)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", u, err)
	}
	r.start(ctx, u.String(), o.ReadTimeout)
	return r, nil
}

// resolveUDP wants an IPv4 address and a port. Host names are looked up.
func resolveUDP(ctx context.Context, address string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return netip.AddrPort{}, errors.New("want GROUP:PORT, as 239.255.42.1:5004")
	}
	n, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
	if err != nil || n == 0 {
		return netip.AddrPort{}, fmt.Errorf("port %q: want 1 to 65535", port)
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("host %q has no IPv4 address: %w", host, err)
	}
	return netip.AddrPortFrom(ips[0].Unmap(), uint16(n)), nil
}
