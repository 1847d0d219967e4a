package cache

import (
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/openvideobox/videobox/restream-host/internal/hls"
)

// Handler serves /hls/.
func (c *Cache) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hls.CORS(w, r) {
			return
		}
		path, ok := hls.ParsePath(r.URL.Path)
		room := c.rooms[path.Room]
		switch {
		case !ok:
			hls.NotFound(w, "no such page: streams are /hls/ROOM/index.m3u8")
		case room == nil:
			hls.NotFound(w, "no room %q in this event", path.Room)
		case path.Rendition == "":
			c.serveMultivariant(w, r, room)
		default:
			c.serveRendition(w, r, room, path)
		}
	})
}

func (c *Cache) serveMultivariant(w http.ResponseWriter, r *http.Request, room *room) {
	list := room.multivariant()
	if list == nil {
		hls.Unavailable(w, "room %s has no live stream at the moment: no origin has input for it", room.name)
		return
	}
	hls.WritePlaylist(w, r, list)
}

func (c *Cache) serveRendition(w http.ResponseWriter, r *http.Request, room *room, path hls.Path) {
	s := room.stream(path.Rendition)
	if s == nil {
		hls.NotFound(w, "room %s has no rendition %q", room.name, path.Rendition)
		return
	}
	s.seen(viewer(r))
	if path.Segment >= 0 {
		c.serveSegment(w, r, s, path)
		return
	}
	list := s.playlist()
	if list == nil {
		hls.Unavailable(w, "%s/%s has no live stream at the moment: no origin has input for it", room.name, s.rendition)
		return
	}
	s.out.Add(len(list))
	hls.WritePlaylist(w, r, list)
}

func (c *Cache) serveSegment(w http.ResponseWriter, r *http.Request, s *stream, path hls.Path) {
	seg, err := c.segment(r.Context(), s, path.Segment)
	switch {
	case err == nil:
		s.out.Add(len(seg.data))
		hls.WriteSegment(w, r, seg.data, seg.etag)
	case r.Context().Err() != nil:
	case errors.Is(err, errNotThere):
		hls.NotFound(w, "segment %d of %s/%s is not here: too old, not yet finished, or never received", path.Segment, s.room, s.rendition)
	default:
		c.Log.Warn("cache: segment", "room", s.room, "rendition", s.rendition, "number", path.Segment,
			"error", strings.ReplaceAll(err.Error(), "\n", "; "))
		hls.Unavailable(w, "segment %d of %s/%s: no origin gives it at the moment", path.Segment, s.room, s.rendition)
	}
}

// viewer tells viewers apart as well as can be: by address and browser.
func viewer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	agent := r.UserAgent()
	return host + " " + agent[:min(len(agent), 128)]
}
