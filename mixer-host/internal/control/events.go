package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	levelInterval = 100 * time.Millisecond
	stateInterval = 10 // in levelIntervals
	writeTimeout  = 5 * time.Second
)

// events streams the state, once a second and at every change, and the levels,
// ten times a second, as server-sent events (HTML, section 9.2).
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	select {
	case s.clients <- struct{}{}:
		defer func() { <-s.clients }()
	default:
		refuse(w, http.StatusServiceUnavailable, errors.New("too many pages are open"))
		return
	}
	changed, stop := s.o.Engine.Watch()
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	send := sender(w)
	ticker := time.NewTicker(levelInterval)
	defer ticker.Stop()
	for n := 0; ; n++ {
		var err error
		if n%stateInterval == 0 {
			err = send("state", s.state())
		} else {
			err = send("levels", s.o.Engine.Levels())
		}
		if err != nil {
			return // the page is gone
		}
		select {
		case <-ticker.C:
		case <-changed:
			n = -1
		case <-r.Context().Done():
			return
		}
	}
}

func sender(w http.ResponseWriter) func(name string, v any) error {
	c := http.NewResponseController(w)
	return func(name string, v any) error {
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		// A page that has stopped reading is let go.
		if err := c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, data); err != nil {
			return err
		}
		return c.Flush()
	}
}
