package tee

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// requestWithin is how long an HTTP client may take to ask, requestSize how
// much it may say.
const (
	requestWithin = 5 * time.Second
	requestSize   = 16 << 10
)

// streamHeader is HTTP/1.0 so that no client expects chunks.
const streamHeader = "HTTP/1.0 200 OK\r\n" +
	"Content-Type: video/MP2T\r\n" +
	"Cache-Control: no-store\r\n" +
	"Access-Control-Allow-Origin: *\r\n" +
	"Connection: close\r\n\r\n"

var errStuck = errors.New("peer takes nothing")

// client is one connection of a Server. Its goroutine writes; the server's
// watcher checks it.
type client struct {
	conn      net.Conn
	raw       syscall.RawConn // nil where there is no file descriptor
	reader    *Reader
	address   string
	streaming atomic.Bool // what the peer sends now means nothing

	// The watcher's.
	pos     int64     // where the reader was when it last moved
	moved   time.Time // and when that was
	hangup  bool      // the peer has ended its half
	looked  time.Time // when hangup was looked for
	dropped bool
}

func newClient(conn net.Conn, rd *Reader) *client {
	c := &client{conn: conn, reader: rd, address: conn.RemoteAddr().String(), pos: -1}
	if t, ok := conn.(*net.TCPConn); ok {
		// Go turns Nagle's algorithm off, as it should be: what the ring hands
		// out is collected already.
		_ = t.SetWriteBuffer(sendBuffer)
		c.raw, _ = t.SyscallConn()
	}
	return c
}

// close lets what was written arrive: bytes left unread would turn the end of
// the connection into a reset.
func (c *client) close() {
	c.reader.Close()
	if t, ok := c.conn.(*net.TCPConn); ok {
		_ = t.CloseWrite()
		c.listen(make([]byte, 4096))
	}
	c.conn.Close()
}

// answer reads a request and says what will come.
func (c *client) answer() error {
	_ = c.conn.SetDeadline(time.Now().Add(requestWithin))
	req, err := http.ReadRequest(bufio.NewReaderSize(io.LimitReader(c.conn, requestSize), 1024))
	if err != nil {
		_, _ = io.WriteString(c.conn, "HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\n")
		return err
	}
	switch req.Method {
	case http.MethodGet:
		_, err = io.WriteString(c.conn, streamHeader)
	case http.MethodHead:
		_, _ = io.WriteString(c.conn, streamHeader)
		return errors.New("HEAD: only the header was asked for")
	default:
		_, _ = io.WriteString(c.conn, "HTTP/1.0 405 Method Not Allowed\r\nAllow: GET, HEAD\r\nConnection: close\r\n\r\n")
		return fmt.Errorf("method %q: only GET and HEAD are known", req.Method)
	}
	_ = c.conn.SetDeadline(time.Time{})
	return err
}

// stream writes until the reader or the peer ends.
func (c *client) stream(ctx context.Context, sent func(bytes int)) error {
	for {
		b, err := c.reader.Next(ctx)
		if err != nil {
			return err
		}
		n, err := c.conn.Write(b)
		sent(n)
		if errors.Is(err, os.ErrDeadlineExceeded) { // by check
			if _, err := c.reader.Next(ctx); err != nil {
				return err // lapped
			}
			return errStuck
		}
		if err != nil {
			return err
		}
	}
}

// check drops a client that can't do so by itself: one stuck in a write that
// was lapped or takes nothing, and one that left while there is nothing to
// send to it.
func (c *client) check(now time.Time, scratch []byte) {
	if c.dropped || !c.streaming.Load() {
		return
	}
	if pos := c.reader.pos.Load(); pos != c.pos || c.moved.IsZero() {
		c.pos, c.moved = pos, now
	}
	still := now.Sub(c.moved)
	if now.Sub(c.looked) >= goneAfter/4 {
		c.looked = now
		c.hangup = c.hangup || c.listen(scratch)
	}
	switch {
	case c.reader.Lapped(), still >= stuckAfter && c.reader.Lag() > 0:
		c.dropped = true
		_ = c.conn.SetWriteDeadline(time.Unix(1, 0))
	case c.hangup && still >= goneAfter && c.reader.Lag() == 0:
		c.dropped = true
		c.reader.Close()
	}
}

// listen throws away what the peer has sent, without waiting, and tells
// whether it has ended its half.
func (c *client) listen(scratch []byte) (hangup bool) {
	if c.raw == nil {
		return false
	}
	err := c.raw.Read(func(fd uintptr) bool {
		n, _, err := unix.Recvfrom(int(fd), scratch, unix.MSG_DONTWAIT)
		hangup = n == 0 && err == nil || errors.Is(err, syscall.ECONNRESET)
		return true
	})
	return hangup || err != nil
}
