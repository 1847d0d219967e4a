package rtmp

import (
	"errors"
	"net"
	"time"
)

var errTooMuch = errors.New("too many bytes before the publish command")

// limitedConn bounds what a peer may send before it is let in, and then how
// long it may be silent.
type limitedConn struct {
	net.Conn
	left int // bytes; -1: let in
}

func (c *limitedConn) unlimit() {
	c.left = -1
	c.Conn.SetDeadline(time.Time{})
}

func (c *limitedConn) Read(b []byte) (int, error) {
	if c.left < 0 {
		c.Conn.SetReadDeadline(time.Now().Add(readTime))
		return c.Conn.Read(b)
	}
	if c.left == 0 {
		return 0, errTooMuch
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

func (c *limitedConn) Write(b []byte) (int, error) {
	if c.left < 0 {
		c.Conn.SetWriteDeadline(time.Now().Add(writeTime))
	}
	return c.Conn.Write(b)
}
