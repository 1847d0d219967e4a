package main

import (
	"net/http"
	"net/http/httputil"
)

// passOn hands a part of the API to the program of the box that has it, at addr,
// for those who have the credentials: /api/bitrate ({"bitrate": 2500000}, bit/s
// of the video) to capture, /api/recording ({"on": true}) to record.
func passOn(l *lock, program, addr string) http.Handler {
	toProgram := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", addr, addr
			for _, name := range []string{"Authorization", "Cookie", "Origin", "Referer"} {
				r.Out.Header.Del(name)
			}
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, program+" does not answer: "+err.Error(), http.StatusBadGateway)
		},
	}
	// A browser that knows the password must not be made to use it by another page.
	limited := http.MaxBytesHandler(toProgram, 4<<10)
	return l.behind(http.NewCrossOriginProtection().Handler(limited))
}
