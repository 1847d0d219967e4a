package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/run"
	"github.com/openvideobox/videobox/internal/tee"
)

// serve runs until the input ends or ctx does. The limit of open files needs
// no care: Go's runtime raises it as far as it may.
func serve(ctx context.Context, o options) error {
	oneThread()
	ring := tee.NewRing(o.Ring << 20)
	ring.SetDelay(0) // input collects
	report := metrics.New("tstee", "stdin")
	report.SetDetail(func() any { return ring.Stats() })
	in, err := newInput(unix.Stdin, ring, report)
	if err != nil {
		return err
	}

	servers := run.NewGroup(ctx)
	for _, e := range endpoints {
		ln, err := tee.Listen(ctx, e.address(o))
		switch {
		case err == nil:
			s := e.server(ring, report, ln)
			servers.Go(e.name, func(ctx context.Context) error { return s.Serve(ctx, ln) })
		case e.optional:
			slog.Warn("goes on without HTTP", "err", err)
		default:
			servers.Stop()
			return errors.Join(err, servers.Wait())
		}
	}

	background, stop := context.WithCancel(ctx)
	defer stop()
	go serveStatus(background, report, o)
	ended := make(chan error, 1)
	go func() {
		ended <- in.copy(ctx)
		ring.Close() // readers get the rest, then the servers return
	}()
	err = servers.Wait()
	select {
	case inputErr := <-ended:
		return errors.Join(inputErr, err)
	default: // still reading: ended by a signal
		return err
	}
}

// oneThread keeps the runtime from waking a second thread at every read, which
// finds nothing to do: all readers are served by one goroutine. That saves a
// fifth of the CPU time with 28 of them; 500 at 8 Mbit/s take a quarter of a
// core.
func oneThread() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
}

// endpoint is one listening port.
type endpoint struct {
	name     string
	port     int
	from     tee.From
	http     bool
	optional bool
}

var endpoints = []endpoint{
	{name: "stream", port: streamPort, from: tee.Newest},
	{name: "buffered", port: bufferedPort, from: tee.HalfBack},
	{name: "http", port: httpPort, from: tee.Newest, http: true, optional: true},
}

func (e endpoint) address(o options) string {
	return net.JoinHostPort(o.Address, strconv.Itoa(e.port+o.Portshift))
}

func (e endpoint) server(ring *tee.Ring, report *metrics.Reporter, ln net.Listener) *tee.Server {
	hop := report.Hop(e.name, "out", "tcp", ln.Addr().String())
	hop.SetReaders(0)
	return &tee.Server{
		Ring: ring, From: e.from, HTTP: e.http,
		OnSent: hop.Add, OnReaders: hop.AddReaders, OnLapped: hop.Drop,
	}
}

// serveStatus is a help only: without it the stream is served all the same.
func serveStatus(ctx context.Context, report *metrics.Reporter, o options) {
	address := o.Status
	if address == "" {
		address = fmt.Sprintf("127.0.0.1:%d", statusPort+o.Portshift)
	}
	if err := report.Serve(ctx, address); err != nil && ctx.Err() == nil {
		slog.Warn("goes on without status", "err", err)
	}
}
