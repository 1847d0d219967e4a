package hls

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// announce is how long after a room goes live its multivariant playlist names
// the renditions that have not come yet: players read it only once.
const announce = 10 * time.Second

// Room holds the renditions of one room, main first.
type Room struct {
	Name       string
	Renditions []Rendition
	now        func() time.Time

	mu    sync.Mutex
	since time.Time // live since; zero: not live
}

// Rendition is one stream of a room.
type Rendition struct {
	Name   string // "main", "480"
	Stream *Stream
}

// NewRoom makes a room of renditions, main first.
func NewRoom(name string, now func() time.Time, renditions ...Rendition) *Room {
	return &Room{Name: name, Renditions: renditions, now: now}
}

// Live says whether any rendition has live input.
func (r *Room) Live() bool {
	live := slices.ContainsFunc(r.Renditions, func(v Rendition) bool { return v.Stream.Live() })
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !live:
		r.since = time.Time{}
	case r.since.IsZero():
		r.since = r.now()
	}
	return live
}

// Multivariant is the room's multivariant playlist, or nil when no rendition
// has a playlist. Renditions without input are left out, but not in the first
// seconds, when they may still be on their way.
func (r *Room) Multivariant() []byte {
	live := r.Live()
	r.mu.Lock()
	all := live && r.now().Sub(r.since) < announce
	r.mu.Unlock()
	var variants []Variant
	ready := false
	for _, v := range r.Renditions {
		there := v.Stream.Playlist() != nil
		ready = ready || there
		if there || all {
			variants = append(variants, v.Stream.Variant(v.Name))
		}
	}
	if !ready {
		return nil
	}
	return AppendMultivariant(nil, variants)
}

// Rendition finds a rendition by name.
func (r *Room) Rendition(name string) (*Stream, bool) {
	for _, v := range r.Renditions {
		if v.Name == name {
			return v.Stream, true
		}
	}
	return nil, false
}

func (r *Room) names() string {
	var names []string
	for _, v := range r.Renditions {
		names = append(names, v.Name)
	}
	return strings.Join(names, ", ")
}

// Handler serves /hls/ from rooms, by name.
func Handler(rooms map[string]*Room) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if CORS(w, r) {
			return
		}
		path, ok := ParsePath(r.URL.Path)
		room := rooms[path.Room]
		switch {
		case !ok:
			NotFound(w, "no such page: streams are /hls/ROOM/index.m3u8")
		case room == nil:
			NotFound(w, "no room %q in this event", path.Room)
		case path.Rendition == "":
			room.serveMultivariant(w, r)
		default:
			room.serveRendition(w, r, path)
		}
	})
}

func (r *Room) serveMultivariant(w http.ResponseWriter, req *http.Request) {
	list := r.Multivariant()
	if list == nil {
		Unavailable(w, "room %s has no live input: nothing is published to this origin at the moment", r.Name)
		return
	}
	WritePlaylist(w, req, list)
}

func (r *Room) serveRendition(w http.ResponseWriter, req *http.Request, path Path) {
	stream, ok := r.Rendition(path.Rendition)
	if !ok {
		NotFound(w, "room %s has no rendition %q, only %s", r.Name, path.Rendition, r.names())
		return
	}
	if path.Segment >= 0 {
		seg := stream.Segment(path.Segment)
		if seg == nil {
			NotFound(w, "segment %d of %s/%s is not here: too old, not yet finished, or never received", path.Segment, r.Name, path.Rendition)
			return
		}
		WriteSegment(w, req, seg.Data, seg.ETag)
		return
	}
	list := stream.Playlist()
	if list == nil {
		Unavailable(w, "%s/%s has no live input: nothing is published to this origin at the moment", r.Name, path.Rendition)
		return
	}
	WritePlaylist(w, req, list)
}
