package update

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"strings"

	"github.com/openvideobox/videobox/appliance/internal/slot"
)

// Gokrazy stands before gokrazy's own /update/ and keeps `gok update` from a
// trial, and from beginning while the room is in use; one that has begun comes
// to its end. After one that was committed, until the next start, init takes the
// running root for the other one: then root and switch are done here.
func (u *Updater) Gokrazy(init http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := u.o.Card()
		if err != nil || r.Method == http.MethodGet || !strings.HasPrefix(r.URL.Path, "/update/") {
			init.ServeHTTP(w, r)
			return
		}
		if !u.upload.TryLock() {
			http.Error(w, "An update is on trial, or a bundle is being received.", http.StatusConflict)
			return
		}
		defer u.upload.Unlock()
		if r.URL.Path == "/update/root" {
			if why, _ := u.inUse(r.Context()); why != "" {
				http.Error(w, "The room is in use: "+why, http.StatusConflict)
				return
			}
		}
		switch {
		case c.OnTrial() && r.URL.Path == "/update/root":
			err = writeRoot(w, r, c)
		case c.OnTrial() && r.URL.Path == "/update/switch":
			err = c.Switch(c.Other())
		case r.URL.Path == "/update/testboot":
			err = errors.New("a trial is begun by POST /api/update/start")
		default:
			init.ServeHTTP(w, r)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
}

// writeRoot does what init's /update/root does, to the root that isn't running,
// and answers the hash that gok asks for.
func writeRoot(w http.ResponseWriter, r *http.Request, c slot.Card) error {
	f, err := openRoot(c)
	if err != nil {
		return err
	}
	var sum hash.Hash = sha256.New()
	if r.Header.Get("X-Gokrazy-Update-Hash") == "crc32" {
		sum = crc32.NewIEEE()
	}
	_, err = io.Copy(struct{ io.Writer }{io.MultiWriter(f, sum)}, r.Body)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%x", sum.Sum(nil))
	return err
}
