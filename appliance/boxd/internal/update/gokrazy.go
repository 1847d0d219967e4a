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
	"time"

	"github.com/openvideobox/videobox/appliance/internal/slot"
)

// gokTime is for how long after a step of `gok update` no bundle is taken. Its
// steps are requests of their own, with some seconds between them.
const gokTime = 5 * time.Minute

// gokUpdate is one of gokrazy's own updates, as far as this boxd has seen it.
type gokUpdate struct {
	last time.Duration // uptime of its last step; 0: there was none
	// over is set by a bundle that has written to the other root since: what gok
	// would switch to isn't its own any more.
	over bool
}

// Gokrazy stands before gokrazy's own /update/ and keeps `gok update` from a
// trial, and from beginning while the room is in use; one that has begun comes
// to its end, and no bundle comes between its steps. After one that was
// committed, until the next start, init takes the running root for the other
// one: then root and switch are done here.
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
		if r.URL.Path == "/update/testboot" {
			http.Error(w, "a trial is begun by POST /api/update/start", http.StatusInternalServerError)
			return
		}
		if why := u.mayNot(r); why != "" {
			http.Error(w, why, http.StatusConflict)
			return
		}
		u.step(r.URL.Path)
		defer u.step("")
		u.doStep(w, patiently(w, r), c, init)
	})
}

// mayNot says why gok may not do this step now, or "". What the boot partition
// says isn't asked: gok's own one names partition 2, until the last step.
func (u *Updater) mayNot(r *http.Request) string {
	u.mu.Lock()
	trial, over := u.trial, u.gok.over
	u.mu.Unlock()
	switch {
	case trial: // nobody may watch it yet, and the root to go back to must stay
		return "An update is on trial."
	case r.URL.Path == "/update/switch" && over:
		return "A bundle was written to the other root, so there is nothing to switch to. Begin gok update again."
	case r.URL.Path != "/update/root":
		return ""
	}
	why, _ := u.inUse(r.Context())
	if why != "" {
		why = "The room is in use: " + why
	}
	return why
}

// step remembers that gok is at work. From its first byte on, the other root
// holds nothing of a bundle, and the kernel may be another one.
func (u *Updater) step(path string) {
	if path == "/update/root" {
		u.forget()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.gok.last, u.kernel = u.o.Uptime(), ""
	if path == "/update/root" {
		u.gok.over = false
	}
}

// gokWorks says why no bundle is taken between gok's steps, or "".
func (u *Updater) gokWorks() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	left := u.gok.last + gokTime - u.o.Uptime()
	if u.gok.last == 0 || left <= 0 {
		return ""
	}
	return fmt.Sprintf("gok update is at work on this box, or was; bundles are taken %v after its last step, so in %v", gokTime, left.Round(time.Second))
}

func (u *Updater) doStep(w http.ResponseWriter, r *http.Request, c slot.Card, init http.Handler) {
	var err error
	switch {
	case c.OnTrial() && r.URL.Path == "/update/root":
		err = writeRoot(w, r, c)
	case c.OnTrial() && r.URL.Path == "/update/switch":
		err = c.Switch(c.Other())
	default:
		init.ServeHTTP(w, r)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// patiently gives up a sender that stalls, which would keep everybody else out.
func patiently(w http.ResponseWriter, r *http.Request) *http.Request {
	with := *r
	with.Body = struct {
		io.Reader
		io.Closer
	}{&patient{r.Body, http.NewResponseController(w)}, r.Body}
	return &with
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
