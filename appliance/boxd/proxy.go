package main

import (
	"io"
	"net/http"
	"time"

	"github.com/openvideobox/videobox/internal/tee"
)

const (
	maxProxied   = 64 // connections; a page or two, not an audience
	proxyTimeout = 10 * time.Second
)

// proxy hands the stream to HTTP clients. Each gets a connection of its own to
// the box's stream, so a slow one is dropped by the ring like any other reader.
type proxy struct {
	addr string
	room chan struct{}
}

// ServeHTTP answers /stream.ts.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case p.room <- struct{}{}:
		defer func() { <-p.room }()
	default:
		http.Error(w, "Too many readers here. Read the stream's TCP port.", http.StatusServiceUnavailable)
		return
	}
	src, err := tee.Open(r.Context(), "tcp://"+p.addr, tee.OpenOptions{ReadTimeout: proxyTimeout})
	if err != nil {
		http.Error(w, "The stream cannot be read: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer src.Close()
	w.Header().Set("Content-Type", "video/mp2t")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		forward(w, src)
	}
}

// forward copies until either side ends; a client that takes nothing for ten
// seconds is one that ended.
func forward(w http.ResponseWriter, src io.Reader) {
	c := http.NewResponseController(w)
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		if err != nil {
			return
		}
		if c.SetWriteDeadline(time.Now().Add(proxyTimeout)) != nil {
			return
		}
		if _, err := w.Write(buf[:n]); err != nil || c.Flush() != nil {
			return
		}
	}
}
