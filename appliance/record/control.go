package main

import (
	"fmt"
	"log/slog"
	"net/http"

	"github.com/openvideobox/videobox/appliance/internal/loopback"
)

// switchState is what /api/recording takes and gives.
type switchState struct {
	On *bool `json:"on"`
}

// handler is the status page and the switch of the recording. It is on again
// after every start: a talk is lost by a switch that somebody forgot, and never
// by one that somebody has to use once more.
func (r *recorder) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", r.reporter.Handler())
	mux.HandleFunc("GET /api/recording", func(w http.ResponseWriter, _ *http.Request) { r.answer(w) })
	mux.HandleFunc("PUT /api/recording", func(w http.ResponseWriter, q *http.Request) {
		var want switchState
		err := loopback.ReadJSON(w, q, &want)
		if err == nil && want.On == nil {
			err = fmt.Errorf("no field on")
		}
		if err != nil {
			http.Error(w, err.Error()+`; send {"on": true} or {"on": false}`, http.StatusBadRequest)
			return
		}
		slog.Info("recording switched", "on", *want.On)
		r.rec.SetOn(*want.On)
		r.answer(w)
	})
	return loopback.Guard(mux)
}

func (r *recorder) answer(w http.ResponseWriter) {
	on := !r.rec.Status().Off
	loopback.WriteJSON(w, switchState{&on})
}
