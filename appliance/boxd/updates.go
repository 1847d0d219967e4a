package main

import (
	"net/http"

	"github.com/openvideobox/videobox/appliance/boxd/internal/network"
	"github.com/openvideobox/videobox/appliance/boxd/internal/update"
	"github.com/openvideobox/videobox/internal/metrics"
)

// judged are the leaves that an update must not make worse.
var judged = []string{"device", "signal", "encoder", "stream growing", "recorder growing", "network link"}

// updatedBy tells updates what to look at, and where the room's talks are.
func (s *server) updatedBy(l *life) {
	l.where.Store(&scheduled{s.box.Event.Schedule, s.box.Room})
	l.update.SetLook(s.updateSight)
	if err := s.reporter.Register(l.update); err != nil {
		panic(err) // a name is taken: a mistake in this program
	}
}

// updateSight is the box as an update's trial is judged by.
func (s *server) updateSight() update.Sight {
	sight := update.Sight{update.FirstFrame: metrics.Unknown, update.Address: metrics.Failed, "gateway": metrics.Failed}
	for _, name := range judged {
		sight[name] = s.health.found(name).State
	}
	if !s.stream.Newest().Frame.IsZero() {
		sight[update.FirstFrame] = metrics.OK
	}
	if len(network.Addresses()) > 0 {
		sight[update.Address] = metrics.OK
	}
	if network.GatewayAnswers("/proc/net") {
		sight["gateway"] = metrics.OK
	}
	return sight
}

func (s *server) updateFinding() metrics.Finding {
	if s.life == nil {
		return metrics.Finding{State: metrics.NotApplicable, Cause: "not applicable: only a videobox image takes updates"}
	}
	return s.life.update.Finding()
}

// updates is the API of updates, for those who have the credentials.
func (s *server) updates() http.Handler {
	if s.life == nil {
		return s.files.lock.behind(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"error": "only a videobox image takes updates"}`, http.StatusNotFound)
		}))
	}
	return s.files.lock.behind(s.life.update.Handler())
}

// system is gokrazy's own update, which must stay out of a trial's way.
func (s *server) system() http.Handler {
	if s.life == nil {
		return system(s.files.lock, initSocket)
	}
	return behindLock(s.files.lock, s.life.update.Gokrazy(toInit(initSocket)))
}
