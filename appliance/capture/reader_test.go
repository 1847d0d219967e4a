package main

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/mpegts"
)

// reader keeps what a reader of the stream gets, and looks at it on the way.
type reader struct {
	mu    sync.Mutex
	data  bytes.Buffer
	keep  bool // what comes
	probe *mpegts.Probe
	err   error
	next  chan struct{} // of capacity 1: more has come
}

func read(conn net.Conn) *reader { return newReader(conn, true) }

// watch looks without keeping.
func watch(conn net.Conn) *reader { return newReader(conn, false) }

func newReader(conn net.Conn, keep bool) *reader {
	r := &reader{probe: mpegts.NewProbe(), next: make(chan struct{}, 1), keep: keep}
	go func() {
		_, err := io.Copy(r, conn)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.err = err; err == nil {
			r.err = io.EOF
		}
	}()
	return r
}

func (r *reader) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keep {
		r.data.Write(p)
	}
	r.probe.Write(p)
	select {
	case r.next <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (r *reader) report() mpegts.Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.probe.Report()
}

// until waits until the newest frame is as wanted.
func (r *reader) until(t testing.TB, what string, want func(s h264.Stamp, rep mpegts.Report) bool) mpegts.Report {
	t.Helper()
	timeout := time.After(15 * time.Second)
	for {
		r.mu.Lock()
		rep, err := r.probe.Report(), r.err
		r.mu.Unlock()
		switch {
		case err != nil:
			t.Fatalf("the reader was cut off while waiting for %s: %v", what, err)
		case rep.Stamped > 0 && want(rep.Latest, rep):
			return rep
		}
		select {
		case <-r.next:
		case <-timeout:
			t.Fatalf("no %s within 15 s: %+v", what, rep)
		}
	}
}

func live(s h264.Stamp, _ mpegts.Report) bool { return s.Flags&h264.Slate == 0 && s.Capture != 0 }

func slate(s h264.Stamp, _ mpegts.Report) bool { return s.Flags&h264.Slate != 0 }

// slated says whether slate has come since now, however short: that of a worker
// that is killed is over after two frames, which a reader may get in one piece.
func (r *reader) slated() func(h264.Stamp, mpegts.Report) bool {
	before := r.report().SlateFrames
	return func(_ h264.Stamp, rep mpegts.Report) bool { return rep.SlateFrames > before }
}
