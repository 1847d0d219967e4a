// Package loopback guards what the programs of a box serve to one another on
// loopback. They ask for no password there: boxd does, and passes on. So care is
// taken that no page in a browser on the same host gets at what changes
// something.
package loopback

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// Guard refuses what would change something when another site's page asks for
// it, or when it is asked under a name: a page of a name that resolves to
// 127.0.0.1 passes for same-origin.
func Guard(h http.Handler) http.Handler {
	return ownHost(http.NewCrossOriginProtection().Handler(h))
}

func ownHost(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = strings.Trim(r.Host, "[]")
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead && host != "localhost" && net.ParseIP(host) == nil {
			http.Error(w, fmt.Sprintf("host %q: use an IP address or localhost", r.Host), http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// maxRequest bounds the body of a request: a field or two of JSON.
const maxRequest = 1 << 10

// ReadJSON reads one JSON value into v, of at most 1 KiB, and nothing that v
// has no field for.
func ReadJSON(w http.ResponseWriter, r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}

// WriteJSON answers v.
func WriteJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // a client that is gone needs no answer
}
