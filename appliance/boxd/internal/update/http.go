package update

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/openvideobox/videobox/internal/bundle"
)

// Status is what GET /api/update answers.
type Status struct {
	State    State    `json:"state"`
	Running  Version  `json:"running"`
	Incoming Incoming `json:"incoming"`
	Last     *Last    `json:"last,omitempty"`
	// Seen is what the trial looked like last: what is worse than before, if anything.
	Seen string `json:"seen,omitempty"`
	// Refused is why a trial would not begin now, of whatever bundle.
	Refused string   `json:"refused,omitempty"`
	Refusal *Refusal `json:"refusal,omitempty"` // the last request that was refused, until one isn't
	Busy    busy     `json:"busy"`
	Note    string   `json:"note,omitempty"` // what is not known
}

// Incoming is a bundle that is being received.
type Incoming struct {
	Version  string `json:"version,omitempty"`
	Build    int64  `json:"build,omitempty"`
	Received int64  `json:"received"` // bytes: where to go on
	Size     int64  `json:"size"`     // 0: none
}

// Status is how far the update is.
func (u *Updater) Status() Status {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := Status{State: Idle, Running: u.running, Last: u.record.Last, Refusal: u.refusal, Busy: u.busy}
	if in := u.in; in != nil {
		s.Incoming = Incoming{in.head.Version, in.head.Build, in.received, in.head.Size()}
	}
	switch {
	case u.record.Trial != nil:
		s.State, s.Refused, s.Seen = Trial, "an update is on trial", u.record.Trial.Seen
	case u.trial: // the record is still to be read
		s.State, s.Refused = Trial, "an update is on trial"
	case u.in.whole():
		s.State = Ready
	case u.in != nil:
		s.State = Receiving
	case s.Last != nil:
		s.State = s.Last.Result
	}
	return s
}

// Handler serves the API; who may ask is the caller's business.
func (u *Updater) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/update", u.get)
	mux.HandleFunc("PUT /api/update", u.alone(u.serveUpload))
	mux.HandleFunc("DELETE /api/update", u.alone(u.serveDrop))
	mux.HandleFunc("POST /api/update/start", u.alone(u.serveStart))
	mux.HandleFunc("PUT /api/busy", u.serveBusy)
	// A browser that knows the password must not be made to use it by another page.
	return http.NewCrossOriginProtection().Handler(mux)
}

func (u *Updater) get(w http.ResponseWriter, r *http.Request) {
	s := u.Status()
	if s.Refused == "" {
		s.Refused = u.gokWorks()
	}
	if s.Refused == "" {
		s.Refused, s.Note = u.inUse(r.Context())
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Upload-Offset", strconv.FormatInt(s.Incoming.Received, 10))
	answer(w, http.StatusOK, s)
}

// changing is a request that changes something; then is called once it is
// answered, and may be nil.
type changing func(http.ResponseWriter, *http.Request) (then func(), err error)

// alone keeps two uploads from each other's bytes.
func (u *Updater) alone(do changing) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !u.upload.TryLock() {
			u.fail(w, fmt.Errorf("%w: another request is being worked on, or a trial goes on", ErrNotNow))
			return
		}
		defer u.upload.Unlock()
		then, err := do(w, r)
		if err != nil {
			u.fail(w, err)
			return
		}
		u.agree()
		s, code := u.Status(), http.StatusOK
		if s.State == Receiving || s.State == Trial {
			code = http.StatusAccepted // the rest is to come
		}
		answer(w, code, s)
		if then != nil {
			_ = http.NewResponseController(w).Flush() // who is gone needs no answer
			then()
		}
	}
}

func (u *Updater) serveDrop(http.ResponseWriter, *http.Request) (func(), error) { return nil, u.drop() }

func (u *Updater) serveUpload(w http.ResponseWriter, r *http.Request) (func(), error) {
	offset, err := strconv.ParseUint("0"+r.URL.Query().Get("offset"), 10, 63)
	if err != nil {
		return nil, fmt.Errorf("%w: offset=%.20q is no number of bytes", ErrOffset, r.URL.Query().Get("offset"))
	}
	_, err = u.receive(&patient{r.Body, http.NewResponseController(w)}, int64(offset))
	return nil, err
}

func (u *Updater) serveStart(_ http.ResponseWriter, r *http.Request) (func(), error) {
	return u.start(r.Context(), list(r.URL.Query().Get("force")))
}

// stallTime is how long an upload may bring nothing.
const stallTime = 30 * time.Second

// patient gives up a sender that stalls, so that the next one gets its turn.
type patient struct {
	r interface{ Read([]byte) (int, error) }
	c *http.ResponseController
}

func (p *patient) Read(b []byte) (int, error) {
	if err := p.c.SetReadDeadline(time.Now().Add(stallTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	n, err := p.r.Read(b)
	if errors.Is(err, io.EOF) { // what is done with it may take longer, while the server listens whether the client is still there
		_ = p.c.SetReadDeadline(time.Time{}) // said above, if it can't be
	} else if err != nil {
		err = fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return n, err
}

func (u *Updater) serveBusy(w http.ResponseWriter, r *http.Request) {
	var b busy
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&b); err != nil || len(b.Reason) > 200 {
		answer(w, http.StatusBadRequest, failure{`send {"busy": true, "reason": "…"}, with a reason of 200 bytes at most`})
		return
	}
	if err := u.setBusy(b); err != nil {
		answer(w, http.StatusInternalServerError, failure{err.Error()})
		return
	}
	answer(w, http.StatusOK, u.Status())
}

type failure struct {
	Error string `json:"error"`
}

// codes are those of HTTP for what is refused.
var codes = []struct {
	err  error
	code int
}{
	{bundle.ErrSignature, http.StatusForbidden}, {ErrNoKey, http.StatusForbidden},
	{ErrBoard, http.StatusPreconditionFailed}, {ErrOlder, http.StatusPreconditionFailed}, {ErrKernel, http.StatusPreconditionFailed},
	{ErrTooLarge, http.StatusRequestEntityTooLarge},
	{ErrBusy, http.StatusConflict}, {ErrOffset, http.StatusConflict}, {ErrNotWhole, http.StatusConflict}, {ErrNotNow, http.StatusConflict},
	{ErrNoUpdates, http.StatusNotFound},
	{bundle.ErrFormat, http.StatusBadRequest}, {bundle.ErrTruncated, http.StatusBadRequest},
	{bundle.ErrChunk, http.StatusBadRequest}, {bundle.ErrTooLong, http.StatusBadRequest},
}

func (u *Updater) fail(w http.ResponseWriter, err error) {
	if !errors.Is(err, ErrOffset) && !errors.Is(err, ErrNotNow) && !errors.Is(err, ErrBroken) {
		u.refuse(err)
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			answer(w, c.code, struct {
				failure
				Received int64 `json:"received"`
			}{failure{err.Error()}, u.Status().Incoming.Received})
			return
		}
	}
	answer(w, http.StatusInternalServerError, failure{err.Error()})
}

func answer(w http.ResponseWriter, code int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)+1)) // whole before the handler ends: a restart may follow
	w.WriteHeader(code)
	_, _ = w.Write(append(data, '\n')) // a client that is gone needs no answer
}

func percent(in Incoming) string { return fmt.Sprintf("%d %%", 100*in.Received/max(1, in.Size)) }

func date(build int64) string {
	if build == 0 {
		return "no known date"
	}
	return time.Unix(build, 0).UTC().Format("2006-01-02 15:04")
}
