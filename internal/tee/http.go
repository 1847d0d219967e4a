package tee

import (
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// HTTPHandler serves the stream from the newest keyframe on, for programs that
// have an http.Server anyway.
func (r *Ring) HTTPHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the stream can only be read: GET", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "video/MP2T")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		if req.Method == http.MethodGet {
			r.serveHTTP(w, req)
		}
	})
}

// stuckWrite ends a handler whose peer takes nothing for so long.
const stuckWrite = 20 * time.Second

func (r *Ring) serveHTTP(w http.ResponseWriter, req *http.Request) {
	rd := r.NewReader(Newest)
	defer rd.Close()
	rc := http.NewResponseController(w)
	w.WriteHeader(http.StatusOK)
	for {
		if err := rc.Flush(); err != nil {
			return
		}
		b, err := rd.Next(req.Context())
		if errors.Is(err, ErrLapped) {
			slog.Warn("reader dropped: it fell behind the ring", "reader", req.RemoteAddr, "ring", r.Size())
		}
		if err != nil {
			return
		}
		_ = rc.SetWriteDeadline(time.Now().Add(stuckWrite))
		if _, err := w.Write(b); err != nil {
			return
		}
	}
}
