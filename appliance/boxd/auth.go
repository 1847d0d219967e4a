package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"sync"

	"golang.org/x/crypto/bcrypt"

	"github.com/openvideobox/videobox/internal/event"
)

// howToGive says what is missing. It is shown to whoever asks a box without
// credentials for anything that changes or reveals.
const howToGive = "This box has no credentials, so it gives no recordings away and takes no updates. " +
	"Put box: {user: …, bcrypt: …} into the event's secrets file (htpasswd -nB USER makes the hash), or into videobox.yaml on its card."

// lock checks the event's box credentials by HTTP Basic.
type lock struct {
	user, hash string
	slow       chan struct{} // one bcrypt at a time: it is made to cost

	mu   sync.Mutex
	good [32]byte // what was right last, hashed; zero before
}

func newLock(l event.BoxLogin) *lock {
	return &lock{user: l.User, hash: l.Bcrypt, slow: make(chan struct{}, 1)}
}

func (l *lock) usable() bool { return l.user != "" && l.hash != "" }

// behind lets only those pass who know the password.
func (l *lock) behind(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private, no-cache")
		if !l.usable() {
			http.Error(w, howToGive, http.StatusForbidden)
			return
		}
		user, password, ok := r.BasicAuth()
		if !ok || !l.check(r, user, password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="videobox", charset="UTF-8"`)
			http.Error(w, "Give the event's box user and password.", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (l *lock) check(r *http.Request, user, password string) bool {
	key := sha256.Sum256([]byte(user + "\x00" + password))
	l.mu.Lock()
	known := l.good != [32]byte{} && subtle.ConstantTimeCompare(key[:], l.good[:]) == 1
	l.mu.Unlock()
	if known {
		return true
	}
	select {
	case l.slow <- struct{}{}:
		defer func() { <-l.slow }()
	case <-r.Context().Done():
		return false
	}
	right := bcrypt.CompareHashAndPassword([]byte(l.hash), []byte(password)) == nil
	if !right || subtle.ConstantTimeCompare([]byte(user), []byte(l.user)) != 1 {
		return false
	}
	l.mu.Lock()
	l.good = key
	l.mu.Unlock()
	return true
}
