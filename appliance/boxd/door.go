package main

import (
	"context"
	"errors"
	"net"

	"github.com/openvideobox/videobox/internal/run"
)

// door is the page's TCP port. It stays open while the page starts again, as it
// does when the box gets its address: who comes meanwhile waits a moment and is
// not turned away.
type door struct {
	socket *net.TCPListener
	addr   string
}

// open is a listener of its own on the port, for one page, which closes it.
func (d *door) open(ctx context.Context, addr string) (net.Listener, error) {
	if d.addr != addr {
		d.close()
	}
	if d.socket == nil {
		l, err := run.Listen(ctx, addr)
		if err != nil {
			return nil, err
		}
		d.socket, d.addr = l.(*net.TCPListener), addr
	}
	f, err := d.socket.File()
	if err != nil {
		return nil, err
	}
	l, err := net.FileListener(f)
	return l, errors.Join(err, f.Close())
}

func (d *door) close() {
	if d.socket != nil {
		d.socket.Close()
		d.socket = nil
	}
}
