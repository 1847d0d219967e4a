package main

import (
	"errors"
	"net/http"

	"github.com/openvideobox/videobox/appliance/boxd/internal/disk"
	"github.com/openvideobox/videobox/appliance/internal/loopback"
)

// diskKeeper is what the page does with disks: see disk.Keeper.
type diskKeeper interface {
	Disks() []disk.Disk
	Lost() string
	Take(name string) error
}

// disksHandler lists the disks beside the one that the box started from, and
// takes an empty one for recordings: POST {"take": "sda"}.
func (s *server) disksHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/disks", func(w http.ResponseWriter, _ *http.Request) {
		list := []disk.Disk{}
		if s.disks != nil {
			list = s.disks.Disks()
		}
		loopback.WriteJSON(w, map[string][]disk.Disk{"disks": list})
	})
	mux.HandleFunc("POST /api/disks", s.takeDisk)
	// A browser that knows the password must not be made to use it by another page.
	return http.NewCrossOriginProtection().Handler(mux)
}

func (s *server) takeDisk(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Take string `json:"take"`
	}
	if err := loopback.ReadJSON(w, r, &body); err != nil || body.Take == "" {
		http.Error(w, `Send {"take": "sda"} with the name of an empty disk of GET /api/disks.`, http.StatusBadRequest)
		return
	}
	if s.disks == nil {
		http.Error(w, "Only a videobox image takes disks; mount one yourself and give record --dir.", http.StatusConflict)
		return
	}
	switch err := s.disks.Take(body.Take); {
	case errors.Is(err, disk.ErrNotEmpty):
		http.Error(w, err.Error(), http.StatusConflict)
	case err != nil:
		http.Error(w, "The disk is not taken: "+err.Error(), http.StatusInternalServerError)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}
