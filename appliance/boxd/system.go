package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
)

// initSocket is where gokrazy's init answers, on a box. The image has no
// password for it, so that nobody reaches it but by this socket. Tests have one
// of their own.
var initSocket = "/run/gokrazy-http.sock"

// system hands updates and restarts to the box's init,
// for those who have the credentials: what `gok update` asks for.
func system(l *lock, socket string) http.Handler {
	return behindLock(l, toInit(socket))
}

// behindLock is for whoever has the credentials, and for no other site's page:
// a browser that knows the password must not be made to use it.
func behindLock(l *lock, h http.Handler) http.Handler {
	return l.behind(http.NewCrossOriginProtection().Handler(h))
}

// toInit hands requests to gokrazy's init.
func toInit(socket string) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "init"
			r.Out.Header.Del("Authorization")
		},
		Transport: settled{&http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}}, systemCard},
		FlushInterval: -1, // a restart answers before it happens
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "The system does not answer; only a videobox image has one: "+err.Error(), http.StatusBadGateway)
		},
	}
}
