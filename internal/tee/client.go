package tee

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// requestWithin is how long an HTTP client may take to ask, requestSize
	// how much it may say.
	requestWithin = 5 * time.Second
	requestSize   = 16 << 10
	// stuckAfter frees a connection whose peer takes nothing of what there is
	// for it.
	stuckAfter = time.Minute
	// goneAfter frees one whose peer has ended its half and gets nothing: it
	// may be gone, which only sending to it would tell.
	goneAfter = 10 * time.Second
	// sendBuffer is asked for per connection (the kernel doubles it, for its
	// own accounting). Left alone the kernel would hold up to 4 MB for each
	// reader that never reads; 40 Mbit/s over 100 ms need 500 kB.
	sendBuffer = 512 << 10
)

// streamHeader is HTTP/1.0 so that no client expects chunks.
const streamHeader = "HTTP/1.0 200 OK\r\n" +
	"Content-Type: video/MP2T\r\n" +
	"Cache-Control: no-store\r\n" +
	"Access-Control-Allow-Origin: *\r\n" +
	"Connection: close\r\n\r\n"

var (
	errStuck = errors.New("peer takes nothing")
	errGone  = errors.New("peer has left")
	errTaken = errors.New("the pump goes on")
)

// client is one connection of a Server. It is written to by its own goroutine
// or by the server's pump; the server's watcher checks it.
type client struct {
	conn      net.Conn
	raw       syscall.RawConn // nil where there is no file descriptor
	reader    *Reader
	address   string
	streaming atomic.Bool           // what the peer sends now means nothing
	cause     atomic.Pointer[error] // why check closed the connection

	rest []byte // of what the reader gave, not yet written

	send func(fd uintptr) bool // writes rest; one closure for all calls
	n    int                   // its result
	err  error

	// The watcher's.
	pos    int64     // where the reader was when it last moved
	moved  time.Time // and when that was
	hangup bool      // the peer has ended its half
	looked time.Time // when hangup was looked for
}

func newClient(conn net.Conn, rd *Reader) *client {
	c := &client{conn: conn, reader: rd, address: conn.RemoteAddr().String(), pos: -1}
	c.send = c.sendNow
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

// answer reads a request and says what will come. It tells whether the stream
// was asked for.
func (c *client) answer() (stream bool, err error) {
	_ = c.conn.SetDeadline(time.Now().Add(requestWithin))
	defer c.conn.SetDeadline(time.Time{})
	req, err := http.ReadRequest(bufio.NewReaderSize(io.LimitReader(c.conn, requestSize), 1024))
	if err != nil {
		c.refuse("400 Bad Request")
		return false, err
	}
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		c.refuse("405 Method Not Allowed\r\nAllow: GET, HEAD")
		return false, fmt.Errorf("method %q: only GET and HEAD are known", req.Method)
	}
	_, err = io.WriteString(c.conn, streamHeader)
	return err == nil && req.Method == http.MethodGet, err
}

func (c *client) refuse(status string) {
	_, _ = io.WriteString(c.conn, "HTTP/1.0 "+status+"\r\nConnection: close\r\n\r\n")
}

// flush writes what is left, however long that takes.
func (c *client) flush(sent func(bytes int)) error {
	if len(c.rest) == 0 {
		return nil
	}
	n, err := c.conn.Write(c.rest)
	sent(n)
	c.rest = c.rest[n:]
	return err
}

// fetch gets what comes next. When that isn't there yet it offers the client
// to take, and returns errTaken if it was taken.
func (c *client) fetch(ctx context.Context, take func(*client) bool) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.reader.unpin()
	if c.rest, err = c.reader.take(); err != nil || c.rest != nil {
		return err
	}
	if take(c) {
		return errTaken
	}
	c.rest, err = c.reader.Next(ctx)
	return err
}

// offer writes what can be written without waiting, as far as upto: a peer as
// fast as the ring's writer must not keep the others waiting. EAGAIN means that
// the socket is full and something is left.
func (c *client) offer(upto int64, sent func(bytes int)) error {
	if c.cause.Load() != nil {
		return net.ErrClosed
	}
	for {
		c.reader.unpin()
		b, err := c.reader.poll()
		if b == nil {
			return err
		}
		c.rest = b
		if err := c.raw.Write(c.send); err != nil {
			return err
		}
		sent(c.n)
		c.rest = c.rest[c.n:]
		switch {
		case c.err != nil:
			return c.err
		case len(c.rest) > 0:
			return syscall.EAGAIN
		case c.reader.pos.Load() >= upto:
			return nil
		}
	}
}

// sendNow is called with the connection's file descriptor. It doesn't tell the
// scheduler of the system call, which never waits: the runtime's monitor would
// wake up and look 50 times within a few ms, at a third of the CPU time in all.
func (c *client) sendNow(fd uintptr) bool {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, fd,
		uintptr(unsafe.Pointer(&c.rest[0])), uintptr(len(c.rest)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	c.n, c.err = int(n), nil
	if errno != 0 {
		c.n, c.err = 0, errno
	}
	return true
}

// check closes a client that its writer can't give up: one stuck in a write
// that was lapped or takes nothing, and one that left while there is nothing to
// send to it. It tells whether it has.
func (c *client) check(now time.Time, scratch []byte) bool {
	if c.cause.Load() != nil || !c.streaming.Load() {
		return false
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
	case c.reader.Lapped():
		c.drop(ErrLapped)
	case still >= stuckAfter && c.reader.Lag() > 0:
		c.drop(errStuck)
	case still >= goneAfter && c.hangup:
		c.drop(errGone)
	default:
		return false
	}
	return true
}

// drop cuts the connection: the kernel forgets what the peer has not taken.
func (c *client) drop(cause error) {
	c.cause.Store(&cause)
	if t, ok := c.conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	c.conn.Close()
	c.reader.Close()
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
