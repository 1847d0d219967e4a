// Package control is the mixer's page and its API: scenes, volumes, running
// pictures, meters, and the state of every source. All pages that are open show
// the same; whoever changes something changes it for all.
//
// Reading is open. Changing needs one of the event's users by HTTP Basic; when
// the event has no users, only this machine may change anything.
package control

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/notices"
	"github.com/openvideobox/videobox/mixer-host/internal/encode"
	"github.com/openvideobox/videobox/mixer-host/internal/engine"
)

//go:embed page
var pageFiles embed.FS

// Options are what the page is told.
type Options struct {
	Event    *event.Event
	Room     event.Room
	Engine   *engine.Engine
	Outputs  func() []encode.Output // of the encoder
	Load     func() float64
	Delay    time.Duration
	Reporter *metrics.Reporter
}

// Server is the page and the API.
type Server struct {
	o       Options
	guard   *guard
	view    *view
	clients chan struct{} // a token for each page that listens
}

// maxClients is how many pages may listen at once.
const maxClients = 64

// New makes the handler's parts, and gives the reporter its detail.
func New(o Options) *Server {
	s := &Server{o: o, view: newView(o.Event), guard: newGuard(o.Event.Secrets.Users, o.Room.Name), clients: make(chan struct{}, maxClients)}
	o.Reporter.SetDetail(func() any { return s.state() })
	return s
}

// Handler serves everything.
func (s *Server) Handler() http.Handler {
	page, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // the folder is embedded
	}
	report := s.o.Reporter.Handler()
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(page))
	mux.HandleFunc("GET /api/events", s.events)
	mux.HandleFunc("GET /api/scene", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.o.Engine.Control().Scene) })
	mux.HandleFunc("GET /api/volume", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.o.Engine.Control().Audio) })
	mux.Handle("POST /api/scene", s.guard.protect(http.HandlerFunc(s.setScene)))
	mux.Handle("POST /api/volume", s.guard.protect(http.HandlerFunc(s.setVolume)))
	mux.HandleFunc("GET /still/{name}", s.still)
	for _, path := range []string{"/api/event", "/event.yaml", "/event.yaml.sig"} {
		mux.Handle("GET "+path, s.view)
	}
	for _, path := range []string{"/api/status", "/metrics", "/healthz"} {
		mux.Handle("GET "+path, report)
	}
	mux.Handle("GET /licenses", notices.Handler())
	return harden(mux)
}

// harden sets what the browser should not do with our pages.
func harden(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Security-Policy", "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'self'")
		w.Header().Set("Referrer-Policy", "same-origin")
		h.ServeHTTP(w, r)
	})
}

// state is the whole of what a page shows, but for the levels.
type state struct {
	Room    string                   `json:"room"`
	Scene   engine.Scene             `json:"scene"`
	Audio   map[string]engine.Volume `json:"audio"`
	Modes   []engine.Mode            `json:"modes"`
	Sources []engine.SourceState     `json:"sources"`
	Outputs []encode.Output          `json:"outputs"`
	Engine  engine.Stats             `json:"engine"`
	Load    float64                  `json:"encoder_load"` // of the time between frames; 1 is all
	DelayMS float64                  `json:"delay_ms"`
	Levels  map[string]engine.Levels `json:"levels"`
	Target  float64                  `json:"target_lufs"`
}

func (s *Server) state() state {
	c := s.o.Engine.Control()
	return state{
		Room: s.o.Room.Name, Scene: c.Scene, Audio: c.Audio, Modes: engine.Modes,
		Sources: s.o.Engine.SourceStates(), Outputs: s.o.Outputs(), Engine: s.o.Engine.Stats(),
		Load: s.o.Load(), DelayMS: float64(s.o.Delay) / 1e6, Levels: s.o.Engine.Levels(),
		Target: s.o.Event.Audio.TargetLUFS,
	}
}

func (s *Server) setScene(w http.ResponseWriter, r *http.Request) {
	var scene engine.Scene
	if !read(w, r, &scene) {
		return
	}
	if err := s.o.Engine.SetScene(scene); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	answer(w, s.o.Engine.Control().Scene)
}

// volumeChange leaves out what is to stay as it is.
type volumeChange struct {
	Source string   `json:"source"`
	Volume *float64 `json:"volume"`
	Mute   *bool    `json:"mute"`
}

func (s *Server) setVolume(w http.ResponseWriter, r *http.Request) {
	var c volumeChange
	if !read(w, r, &c) {
		return
	}
	if c.Volume == nil && c.Mute == nil {
		refuse(w, http.StatusBadRequest, errors.New(`nothing to change; send {"source": "camera", "volume": 0.5} or {"source": "camera", "mute": true}`))
		return
	}
	v := s.o.Engine.Control().Audio[c.Source]
	if c.Volume != nil {
		v.Volume = *c.Volume
	}
	if c.Mute != nil {
		v.Mute = *c.Mute
	}
	if err := s.o.Engine.SetVolume(c.Source, v); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	answer(w, s.o.Engine.Control().Audio)
}

// maxBody is what a change may be long; a scene has 70 bytes.
const maxBody = 4096

// read decodes a request's JSON strictly, or answers with what is wrong.
func read(w http.ResponseWriter, r *http.Request, v any) bool {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		refuse(w, http.StatusUnsupportedMediaType, errors.New("send JSON, with Content-Type: application/json"))
		return false
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("more than one value")
		}
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("body: %w", err))
		return false
	}
	return true
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	// The reader may have gone: nobody is left to tell.
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, code int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
}

// stillWait is how long a request waits for the first picture.
const stillWait = 2 * time.Second

func (s *Server) still(w http.ResponseWriter, r *http.Request) {
	name, ok := cutSuffix(r.PathValue("name"), ".jpg")
	still := s.o.Engine.Still(name)
	if !ok || still == nil {
		refuse(w, http.StatusNotFound, fmt.Errorf("no picture %q; there are mix.jpg and one for each source, such as camera.jpg", r.PathValue("name")))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), stillWait)
	defer cancel()
	data, version, err := still.JPEG(ctx)
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, err)
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Still", strconv.FormatUint(version, 10))
	_, _ = w.Write(data)
}

func cutSuffix(name, suffix string) (string, bool) {
	if len(name) <= len(suffix) || name[len(name)-len(suffix):] != suffix {
		return "", false
	}
	return name[:len(name)-len(suffix)], true
}
