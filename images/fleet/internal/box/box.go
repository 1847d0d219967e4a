// Package box is one videobox as whoever updates it sees it: boxd's
// /api/update, behind the event's credentials, and its /api/status.
//
//	GET    /api/update                    how far an update is
//	PUT    /api/update?offset=N           the bundle, from its byte N on
//	POST   /api/update/start?force=a,b    begin the trial
//	DELETE /api/update                    forget what was received
//
// What is refused is JSON {"error": "…"} with a status code that tells.
package box

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/openvideobox/videobox/internal/metrics"
)

// State is how far an update of a box is.
type State string

// The states. Of the last two an update ends in one.
const (
	Idle      State = "idle"
	Receiving State = "receiving" // a part of the bundle is there
	Ready     State = "ready"     // all of it
	Trial     State = "trial"     // it runs, and may yet go back
	Committed State = "committed"
	Failed    State = "failed" // it went back, or never began
)

// Running is a version as a box runs it.
type Running struct {
	Version string `json:"version"`
	Build   int64  `json:"build"` // Unix seconds; the larger is newer
	Board   string `json:"board"` // the image's instance, such as videobox
	Slot    string `json:"slot"`  // which of the two roots
}

// Incoming is the bundle that a box has received, or a part of it.
type Incoming struct {
	Version  string `json:"version"`
	Build    int64  `json:"build"`
	Received int64  `json:"received"` // bytes, from the start
	Size     int64  `json:"size"`     // bytes of the whole, 0 before it is known
}

// Last is how the update before went.
type Last struct {
	From     string    `json:"from"` // versions
	To       string    `json:"to"`
	Result   State     `json:"result"` // Committed or Failed
	Reason   string    `json:"reason"`
	OutageMS float64   `json:"outage_ms"` // for which the stream was away
	At       time.Time `json:"at"`        // by the box's clock
}

// Same says whether both tell of the same update.
func (l Last) Same(m Last) bool {
	at := l.At.Equal(m.At)
	l.At, m.At = time.Time{}, time.Time{}
	return at && l == m
}

// Update is what GET /api/update answers.
type Update struct {
	State    State    `json:"state"`
	Running  Running  `json:"running"`
	Incoming Incoming `json:"incoming"`
	Last     Last     `json:"last"`
	Refused  string   `json:"refused"` // why a trial would not begin now, "" if it would
	Busy     struct {
		Reason string `json:"reason"`
	} `json:"busy"`
	Note string `json:"note"` // what the box couldn't find out, such as whether there is a talk; it keeps nobody from an update
}

// Errors that callers tell apart; the rest is *Refused.
var (
	ErrAway        = errors.New("does not answer")
	ErrCredentials = errors.New("refuses the event's credentials")
)

// Refused is an answer that says no.
type Refused struct {
	Code int    // of HTTP
	Why  string // the box's words
}

func (r *Refused) Error() string { return r.Why }

// Box is a box. Its HTTP client must not give up an upload after a time.
type Box struct {
	Addr           string // host:port of boxd
	User, Password string
	HTTP           *http.Client
}

// patience is how long an answer to a small question may take.
const patience = 15 * time.Second

// Update asks how far an update is.
func (b Box) Update(ctx context.Context) (u Update, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = b.call(ctx, http.MethodGet, "/api/update", nil, 0, &u)
	return u, err
}

// Status asks how the box is.
func (b Box) Status(ctx context.Context) (metrics.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := metrics.Fetch(ctx, b.HTTP, "http://"+b.Addr)
	return s, away(ctx, err)
}

// Put sends the bundle from an offset to its end. It is one request, as long as
// it takes; what the box has got of one that breaks off is not lost.
func (b Box) Put(ctx context.Context, bundle io.Reader, offset, length int64) error {
	return b.call(ctx, http.MethodPut, "/api/update?offset="+strconv.FormatInt(offset, 10), bundle, length, nil)
}

// Start begins the trial of what was received. Force is what to overlook: busy,
// older.
func (b Box) Start(ctx context.Context, force []string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	path := "/api/update/start"
	if len(force) > 0 {
		path += "?force=" + url.QueryEscape(strings.Join(force, ","))
	}
	return b.call(ctx, http.MethodPost, path, nil, 0, nil)
}

// Drop has the box forget what it received.
func (b Box) Drop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return b.call(ctx, http.MethodDelete, "/api/update", nil, 0, nil)
}

const maxAnswer = 1 << 20

func (b Box) call(ctx context.Context, method, path string, body io.Reader, length int64, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+b.Addr+path, body)
	if err != nil {
		return err
	}
	req.SetBasicAuth(b.User, b.Password)
	if body != nil {
		req.ContentLength = length
		req.Header.Set("Content-Type", "application/octet-stream")
		req.Header.Set("Expect", "100-continue") // a refusal comes before the bundle goes
	}
	resp, err := b.HTTP.Do(req)
	if err != nil {
		return away(ctx, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return away(ctx, err)
	}
	if resp.StatusCode >= 300 {
		return refusal(resp, data)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return &Refused{resp.StatusCode, fmt.Sprintf("%s answers no JSON: %v", path, err)}
	}
	return nil
}

// away marks an error of the network. What ended by the caller's context is
// none of the box's.
func away(ctx context.Context, err error) error {
	if err == nil || errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // the rest is the address, which is known
	}
	return fmt.Errorf("%w: %w", ErrAway, err)
}

func refusal(resp *http.Response, data []byte) error {
	var said struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(data, &said) != nil || said.Error == "" {
		said.Error = resp.Status + ": " + short(string(data))
	}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return ErrCredentials
	case http.StatusNotFound:
		said.Error = "takes no signed updates: " + said.Error
	}
	return &Refused{resp.StatusCode, said.Error}
}

func short(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return s
}
