package main

import (
	"net/http"
	"net/http/httputil"
)

// bitrate hands GET and PUT /api/bitrate to capture, for those who have the
// credentials: {"bitrate": 2500000}, bit/s of the video.
func bitrate(l *lock, capture string) http.Handler {
	toCapture := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", capture, capture
			for _, name := range []string{"Authorization", "Cookie", "Origin", "Referer"} {
				r.Out.Header.Del(name)
			}
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "capture does not answer: "+err.Error(), http.StatusBadGateway)
		},
	}
	// A browser that knows the password must not be made to use it by another page.
	limited := http.MaxBytesHandler(toCapture, 4<<10)
	return l.behind(http.NewCrossOriginProtection().Handler(limited))
}
