// Package simbox is a simulated box for tests: it speaks what boxd speaks at
// /api/update and /api/status, checks bundles as boxd does, and goes away, goes
// wrong and comes back when a test wants it to. That it speaks as boxd does is
// seen by internal/bundle/bundletest, which asks both the same.
//
// It has no goroutine and no timer of its own: what it is follows from what it
// was asked and from the test's clock.
package simbox

import (
	"crypto/ed25519"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/openvideobox/videobox/images/fleet/internal/box"
	"github.com/openvideobox/videobox/internal/bundle"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/metrics"
)

// How long a trial takes, in the test's time.
const (
	Restart = 6 * time.Second  // for which it is away, at the start and when it goes back
	Judging = 10 * time.Second // before it commits
)

// Box is a simulated box.
type Box struct {
	User, Password string
	Name, Room     string
	Clock          clock.Clock
	Key            ed25519.PublicKey // of updates

	upload  sync.Mutex // one request that changes something at a time
	mu      sync.Mutex
	faults  Faults
	running box.Running
	busy    string
	talk    string
	head    *bundle.Header
	got     int64 // bytes of the bundle, whole chunks
	trial   int64 // when it begins, ns; 0: there is none
	last    box.Last
	dead    int64 // until when it is away
	starts  int
	puts    int
}

// pass brings the box up to the clock.
func (b *Box) pass() {
	if b.trial == 0 || b.faults.Hangs || b.faults.Endless || b.Clock.Now() < b.trial+int64(Restart+Judging) {
		return
	}
	b.last = box.Last{From: b.running.Version, To: b.head.Version, Result: box.Committed, OutageMS: 8100, At: time.Unix(0, b.Clock.Now()).UTC()}
	if b.faults.TrialFails != "" {
		b.last.Result, b.last.Reason = box.Failed, b.faults.TrialFails
	} else {
		b.running.Version, b.running.Build = b.head.Version, b.head.Build
	}
	b.trial = 0
	b.forget()
}

func (b *Box) forget() {
	b.head, b.got = nil, 0
}

func (b *Box) whole() bool { return b.head != nil && b.got == b.head.Size() }

// trying says whether the trial has begun.
func (b *Box) trying() bool { return b.trial > 0 && b.Clock.Now() >= b.trial }

// away says whether nobody answers just now.
func (b *Box) away() bool {
	now := b.Clock.Now()
	return now < b.dead || b.trying() && (b.faults.Hangs || now < b.trial+int64(Restart))
}

// early says whether it answers without its data partition.
func (b *Box) early() bool {
	return b.faults.Early > 0 && b.trying() && b.Clock.Now() < b.trial+int64(Restart+b.faults.Early)
}

// ServeHTTP is the box's page.
func (b *Box) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	asked := b.faults.Asked
	b.mu.Unlock()
	if asked != nil {
		asked()
	}
	b.mu.Lock()
	b.pass()
	away, code := b.away(), 0
	if b.early() {
		code = b.faults.EarlyCode
	}
	b.mu.Unlock()
	switch {
	case away:
		hangUp(w)
	case code != 0:
		refuse(w, code, "no credentials are set")
		return
	}
	if r.URL.Path == "/api/status" {
		_ = json.NewEncoder(w).Encode(b.status())
		return
	}
	b.behindCredentials(w, r)
}

func (b *Box) behindCredentials(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	if subtle.ConstantTimeCompare([]byte(user+"\x00"+password), []byte(b.User+"\x00"+b.Password)) != 1 {
		w.Header().Set("WWW-Authenticate", `Basic realm="videobox"`)
		http.Error(w, "Give the event's box user and password.", http.StatusUnauthorized)
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /api/update":
		_ = json.NewEncoder(w).Encode(b.update())
	case "PUT /api/update":
		b.alone(w, r, b.put)
	case "POST /api/update/start":
		b.alone(w, r, b.begin)
	case "DELETE /api/update":
		b.alone(w, r, b.drop)
	case "PUT /api/busy":
		b.mark(w, r)
	default:
		http.NotFound(w, r)
	}
}

// alone keeps two who change something from each other.
func (b *Box) alone(w http.ResponseWriter, r *http.Request, do http.HandlerFunc) {
	b.mu.Lock()
	trial := b.trial
	b.mu.Unlock()
	if trial != 0 || !b.upload.TryLock() {
		refuse(w, http.StatusConflict, "another request is being worked on, or a trial goes on")
		return
	}
	defer b.upload.Unlock()
	do(w, r)
}

func (b *Box) drop(http.ResponseWriter, *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget()
}

// mark takes the room's mark.
func (b *Box) mark(w http.ResponseWriter, r *http.Request) {
	var m struct {
		Busy   bool   `json:"busy"`
		Reason string `json:"reason"`
	}
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		refuse(w, http.StatusBadRequest, "%v", err)
		return
	}
	if !m.Busy {
		m.Reason = ""
	}
	b.SetBusy(m.Reason)
}

// hangUp breaks the connection.
func hangUp(http.ResponseWriter) { panic(http.ErrAbortHandler) }

func refuse(w http.ResponseWriter, code int, format string, args ...any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": fmt.Sprintf(format, args...)})
}

func (b *Box) update() (u box.Update) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u = box.Update{State: box.Idle, Running: b.running, Last: b.last}
	u.Busy.Reason, u.Refused, u.Note = b.busy, b.refused(), b.faults.Note
	if b.last.Result != "" {
		u.State = b.last.Result
	}
	if b.head != nil {
		u.Incoming = box.Incoming{Version: b.head.Version, Build: b.head.Build, Received: b.got, Size: b.head.Size()}
	}
	switch {
	case b.trying():
		u.State, u.Running.Version, u.Running.Build = box.Trial, b.head.Version, b.head.Build
		if b.early() {
			u.State, u.Last, u.Incoming = box.Idle, box.Last{}, box.Incoming{}
		}
	case b.whole():
		u.State = box.Ready
	case b.got > 0:
		u.State = box.Receiving
	}
	return u
}

func (b *Box) refused() string {
	switch {
	case b.busy != "":
		return "busy: " + b.busy
	case b.talk != "":
		return "a talk in its room: " + b.talk
	}
	return ""
}

// put takes the bundle from an offset on.
func (b *Box) put(w http.ResponseWriter, r *http.Request) {
	offset, err := strconv.ParseInt(r.URL.Query().Get("offset"), 10, 64)
	b.mu.Lock()
	b.puts++
	have := b.got
	b.mu.Unlock()
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, "offset %q is no number", r.URL.Query().Get("offset"))
		return
	case offset != 0 && offset != have:
		refuse(w, http.StatusConflict, "offset %d; %d bytes were received", offset, have)
		return
	}
	if offset == 0 { // what a bundle over another can't be, leaves that one
		if err := b.begun(r); err != nil {
			refuse(w, codeOf(err), "%v", err)
			return
		}
	}
	b.mu.Lock()
	head, at := *b.head, b.got
	b.mu.Unlock()
	to, err := head.Read(r.Body, at, b.take)
	switch {
	case errors.Is(err, errDies):
		hangUp(w)
	case errors.Is(err, bundle.ErrTruncated):
		w.WriteHeader(http.StatusAccepted)
	case err != nil:
		refuse(w, codeOf(err), "%v at byte %d", err, to)
	}
}

var errBoard = errors.New("the bundle is for another board")

// codeOf is what boxd answers.
func codeOf(err error) int {
	switch {
	case errors.Is(err, bundle.ErrSignature):
		return http.StatusForbidden
	case errors.Is(err, errBoard):
		return http.StatusPreconditionFailed
	}
	return http.StatusBadRequest
}

// begun reads a bundle's beginning.
func (b *Box) begun(r *http.Request) error {
	h, err := bundle.ReadHeader(r.Body, b.Key)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.Board != b.running.Board {
		return fmt.Errorf("%w: it is for %s, this is a %s", errBoard, h.Board, b.running.Board)
	}
	b.head, b.got = &h, int64(len(h.Raw))
	return nil
}

var errDies = errors.New("the plug is pulled")

// take is called with each chunk that is right. It dies once, in the middle of
// an upload, if it is to.
func (b *Box) take(c bundle.Chunk) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got += int64(len(c.Data))
	if b.faults.DieAt > 0 && b.got >= b.faults.DieAt {
		b.faults.DieAt, b.dead = 0, b.Clock.Now()+int64(b.faults.DeadFor)
		return errDies
	}
	return nil
}

// begin starts the trial.
func (b *Box) begin(w http.ResponseWriter, r *http.Request) {
	faults, begun := b.start(w, r)
	if !begun {
		return
	}
	if faults.StartHeld != nil {
		faults.StartHeld(r.Context())
	}
	w.WriteHeader(http.StatusAccepted)
	if faults.StartLost {
		hangUp(w)
	}
}

// start answers only what it refuses.
func (b *Box) start(w http.ResponseWriter, r *http.Request) (f Faults, begun bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	force := "," + r.URL.Query().Get("force") + ","
	switch {
	case !b.whole():
		refuse(w, http.StatusConflict, "%d bytes were received, the bundle isn't whole", b.got)
		return f, false
	case b.refused() != "" && !strings.Contains(force, ",busy,"):
		refuse(w, http.StatusConflict, "%s", b.refused())
		return f, false
	case b.head.Build <= b.running.Build && !strings.Contains(force, ",older,"):
		refuse(w, http.StatusPreconditionFailed, "the bundle is not newer than %s", b.running.Version)
		return f, false
	}
	b.starts++
	if !b.faults.StartIgnored {
		b.trial = b.Clock.Now() + int64(b.faults.Preparing)
	}
	return b.faults, true
}

func (b *Box) status() metrics.Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Unix(0, b.Clock.Now()).UTC()
	return metrics.Status{Program: "boxd", Name: b.Name, Room: b.Room, Version: b.running.Version, Started: now.Add(-time.Hour), Now: now, State: metrics.OK}
}
