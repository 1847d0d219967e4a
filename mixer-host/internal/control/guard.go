package control

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"

	"golang.org/x/crypto/bcrypt"

	"github.com/openvideobox/videobox/internal/event"
)

// guard decides who may change something.
type guard struct {
	room  string
	users []event.User

	checking chan struct{} // bcrypt takes a core for 50 ms or more: one at a time
	mu       sync.Mutex
	known    map[[sha256.Size]byte]bool // logins that were right
}

// maxKnown bounds the logins remembered; there are as many as users.
const maxKnown = 256

func newGuard(users []event.User, room string) *guard {
	return &guard{room: room, users: users, checking: make(chan struct{}, 1), known: map[[sha256.Size]byte]bool{}}
}

var (
	errElsewhere = errors.New("the event has no users, so changes are taken from the mixer's own machine only; add users (name, bcrypt: htpasswd -nB NAME, rooms) to the event's secrets file and start mixer-host again")
	errOrigin    = errors.New("the request comes from another site's page")
	errLogin     = errors.New("user and password are needed; they are the event's users")
)

// protect lets those through who may change this room.
func (g *guard) protect(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if origin := r.Header.Get("Origin"); origin != "" {
			if u, err := url.Parse(origin); err != nil || u.Host != r.Host {
				refuse(w, http.StatusForbidden, errOrigin)
				return
			}
		}
		switch code, err := g.check(r); {
		case err == nil:
			h.ServeHTTP(w, r)
		default:
			if code == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Basic realm="room `+g.room+`", charset="UTF-8"`)
			}
			refuse(w, code, err)
		}
	})
}

func (g *guard) check(r *http.Request) (code int, err error) {
	if len(g.users) == 0 {
		if !local(r) {
			return http.StatusForbidden, errElsewhere
		}
		return 0, nil
	}
	name, password, ok := r.BasicAuth()
	if !ok {
		return http.StatusUnauthorized, errLogin
	}
	user, ok := g.login(r, name, password)
	switch {
	case !ok:
		return http.StatusUnauthorized, errLogin
	case !user.May(g.room):
		return http.StatusForbidden, fmt.Errorf("user %s may not control room %s", name, g.room)
	}
	return 0, nil
}

// local says whether the request was made on this machine, by its own name for
// itself: a page of elsewhere whose name resolves to 127.0.0.1 doesn't count.
func local(r *http.Request) bool {
	return loopback(r.RemoteAddr) && loopback(r.Host)
}

func loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// login finds the user and checks the password, by the hash the first time.
func (g *guard) login(r *http.Request, name, password string) (event.User, bool) {
	var user event.User
	found := false
	for _, u := range g.users {
		if u.Name == name {
			user, found = u, true
		}
	}
	if !found {
		return user, false
	}
	key := sha256.Sum256([]byte(name + "\x00" + password + "\x00" + user.Bcrypt))
	if g.knows(key) {
		return user, true
	}
	select {
	case g.checking <- struct{}{}:
		defer func() { <-g.checking }()
	case <-r.Context().Done():
		return user, false
	}
	if bcrypt.CompareHashAndPassword([]byte(user.Bcrypt), []byte(password)) != nil {
		return user, false
	}
	g.learn(key)
	return user, true
}

func (g *guard) knows(key [sha256.Size]byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.known[key]
}

func (g *guard) learn(key [sha256.Size]byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.known) >= maxKnown {
		clear(g.known)
	}
	g.known[key] = true
}
