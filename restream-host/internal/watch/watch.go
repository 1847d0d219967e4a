// Package watch is the watch page: the event's rooms and a player, embedded.
//
// The player is hls.js, which `make deps` puts into page/vendor; without it the
// page says so, and plays where the browser knows HLS by itself (Safari).
// Tested in Chromium 120 and later, at desktop and phone width.
package watch

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"

	"github.com/openvideobox/videobox/internal/event"
)

//go:embed all:page
var page embed.FS

// player is hls.js, in the folder that make deps fills.
const player = "vendor/hls.light.min.js"

// Rooms is what /api/rooms holds.
type Rooms struct {
	Event  string `json:"event"`
	Player bool   `json:"player"` // hls.js is embedded
	Rooms  []Room `json:"rooms"`
}

// Room is a room to watch.
type Room struct {
	Name       string      `json:"name"`
	Building   string      `json:"building,omitempty"`
	Live       bool        `json:"live"`
	Playlist   string      `json:"playlist"` // path of the multivariant playlist
	Renditions []Rendition `json:"renditions"`
}

// Rendition is one quality of a room.
type Rendition struct {
	Name   string `json:"name"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
	Live   bool   `json:"live"`
}

// List lists an event's rooms. live says whether a rendition can be played now.
func List(e *event.Event, live func(room, rendition string) bool) Rooms {
	list := Rooms{Event: e.Name, Rooms: []Room{}}
	for _, r := range e.Rooms {
		room := Room{Name: r.Name, Building: r.Building, Playlist: "/hls/" + r.Name + "/index.m3u8"}
		for _, o := range r.Outputs() {
			v := Rendition{Name: o.Rendition, Width: o.Width, Height: o.Height, Live: live(r.Name, o.Rendition)}
			room.Live = room.Live || v.Live
			room.Renditions = append(room.Renditions, v)
		}
		list.Rooms = append(list.Rooms, room)
	}
	return list
}

// policy lets the page use what it came with and nothing else.
const policy = "default-src 'none'; script-src 'self'; worker-src 'self' blob:; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors *"

// Handler serves the page at /, its parts, and /api/rooms.
func Handler(rooms func() Rooms) http.Handler {
	root, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // the folder is embedded
	}
	_, err = fs.Stat(root, player)
	embedded := err == nil
	files := http.FileServerFS(root)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/rooms", func(w http.ResponseWriter, _ *http.Request) { serveRooms(w, rooms(), embedded) })
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		info, err := fs.Stat(root, name(r.URL.Path))
		if err != nil || info.IsDir() {
			http.Error(w, "no such page; the rooms are at /", http.StatusNotFound)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	})
	return mux
}

// name is the file for a path.
func name(path string) string {
	if path == "/" {
		return "index.html"
	}
	return path[1:]
}

func serveRooms(w http.ResponseWriter, rooms Rooms, player bool) {
	rooms.Player = player
	data, err := json.Marshal(rooms)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=1")
	h.Set("Access-Control-Allow-Origin", "*")
	w.Write(data)
}
