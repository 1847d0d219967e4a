package main

import (
	"context"
	"net/http"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/appliance/boxd/internal/disk"
	"github.com/openvideobox/videobox/appliance/boxd/internal/identity"
	"github.com/openvideobox/videobox/appliance/boxd/internal/perm"
	"github.com/openvideobox/videobox/appliance/boxd/internal/timesync"
	"github.com/openvideobox/videobox/appliance/boxd/internal/update"
	"github.com/openvideobox/videobox/appliance/internal/peers"
	"github.com/openvideobox/videobox/appliance/internal/self"
	"github.com/openvideobox/videobox/appliance/internal/watch"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/notices"
	"github.com/openvideobox/videobox/internal/run"
)

// server is the program.
type server struct {
	box      self.Self
	life     *life // nil where the host isn't an image
	stream   *watch.Watcher
	hop      *metrics.HopCounter
	peers    *peers.Peers
	reporter *metrics.Reporter
	health   *health
	healer   *healer
	preview  *preview
	files    *files
	proxy    *proxy
	disks    diskKeeper // nil where the host isn't an image
	listens  atomic.Pointer[string]
}

// newServer knows where recordings are, a list like PATH, and what boxd does
// besides; life may be nil.
func newServer(box self.Self, recordings string, l *life) *server {
	s := &server{box: box, life: l, reporter: metrics.New("boxd", box.Box.Name)}
	s.reporter.SetRoom(box.Room)
	s.reporter.SetRole(box.Role)
	s.hop = s.reporter.Hop("stream", "in", "tcp", box.StreamAddr())
	s.stream = watch.New(box.StreamAddr(), s.hop)
	s.peers = peers.New(map[string]string{
		"capture": box.Box.StatusAddr("capture"),
		"record":  box.Box.StatusAddr("record"),
	})
	s.health = newHealth(s, recordings)
	s.healer = newHealer(s.sight, s.newRemedy(), clock.System)
	if err := s.reporter.Register(s.healer.taken); err != nil {
		panic(err) // the name is taken: a mistake in this program
	}
	s.preview = &preview{stream: s.stream}
	s.files = &files{dirs: filepath.SplitList(recordings), name: box.Box.Name, lock: newLock(box.Event.Secrets.Box)}
	s.proxy = &proxy{addr: box.StreamAddr(), room: make(chan struct{}, maxProxied)}
	s.reporter.SetDetail(func() any { return s.detail() })
	if l != nil {
		s.disks = l.disks
		s.keptBy(l.time)
		s.updatedBy(l)
	}
	return s
}

// serve serves until the context ends.
func serve(ctx context.Context, s *server, d *door, addr string) error {
	defer s.preview.close()
	if addr == "" {
		addr = event.Listen(s.box.Box.HTTPAddr)
	}
	l, err := d.open(ctx, addr)
	if err != nil {
		return err
	}
	at := l.Addr().String()
	s.listens.Store(&at)
	g := run.NewGroup(ctx)
	g.Go("", func(ctx context.Context) error { return run.ServeListener(ctx, l, s.handler()) })
	for _, p := range s.parts() {
		g.Go(p.name, p.run)
	}
	return g.Wait()
}

// address is where the page is, or, before it is there, will be unless a flag
// says otherwise.
func (s *server) address() string {
	if at := s.listens.Load(); at != nil {
		return *at
	}
	return s.box.Box.HTTPAddr
}

// keptBy says who keeps the box's clock, by the servers of its event.
func (s *server) keptBy(t *timesync.Sync) {
	t.SetEvent(s.box.Event.Time)
	if err := s.reporter.Register(t); err != nil {
		panic(err) // a name is taken: a mistake in this program
	}
}

// part is something that boxd does beside serving its page. It runs until the
// context ends; one that ends before takes boxd with it, which is then started
// again. A part that has to wait for something waits in run, not before: the
// page is there from the start.
type part struct {
	name string
	run  func(ctx context.Context) error
}

func (s *server) parts() []part {
	list := []part{
		{"stream", s.stream.Run},
		{"programs", func(ctx context.Context) error { return s.peers.Run(ctx, s.health.look) }},
		{"healing", s.heals},
	}
	if s.life != nil {
		list = append(list, part{"console", func(ctx context.Context) error { return s.life.onBox.console(ctx, s) }})
	}
	return list
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	status := s.reporter.Handler()
	mux.Handle("GET /api/status", status)
	mux.Handle("GET /metrics", status)
	mux.Handle("GET /healthz", status)
	mux.HandleFunc("GET /{$}", s.serveRoot)
	mux.HandleFunc("GET /api/page", s.serveRows)
	mux.HandleFunc("GET /page/{file}", servePageFile)
	mux.Handle("GET /preview.jpg", s.preview)
	mux.Handle("GET /stream.ts", s.proxy)
	mux.Handle("GET /licenses", notices.Handler())
	mux.Handle("GET /licenses/", notices.Handler())
	mux.Handle("/recordings/", s.files.handler())
	mux.Handle("/api/disks", s.files.lock.behind(s.disksHandler()))
	for _, method := range []string{"GET", "PUT"} {
		mux.Handle(method+" /api/bitrate", passOn(s.files.lock, "capture", s.box.Box.StatusAddr("capture")))
		mux.Handle(method+" /api/recording", passOn(s.files.lock, "record", s.box.Box.StatusAddr("record")))
	}
	if s.life != nil {
		mux.Handle("GET /updates", s.files.lock.behind(http.HandlerFunc(s.serveUpdates)))
		mux.Handle("GET /log/", s.files.lock.behind(s.life.onBox.ring.Handler()))
	}
	for _, path := range initPaths {
		mux.Handle(path, s.system())
	}
	for _, path := range []string{"/api/update", "/api/update/", "/api/busy"} {
		mux.Handle(path, s.updates())
	}
	return guarded(mux)
}

// guarded adds what keeps a browser from doing more with a page than it says:
// everything comes from the box itself.
func guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		h.ServeHTTP(w, r)
	})
}

// detail is boxd's part of its status.
type detail struct {
	Address    addresses        `json:"address"`
	Stream     streamDetail     `json:"stream"`
	Capture    peers.Peer       `json:"capture"`
	Record     peers.Peer       `json:"record"`
	Recordings bool             `json:"recordings"`        // can be fetched: credentials are set
	Healing    *healing         `json:"healing,omitempty"` // the last step, if there was any
	Disks      []disk.Disk      `json:"disks,omitempty"`   // beside the one that the box started from
	Perm       *perm.Result     `json:"perm,omitempty"`    // the data partition
	Clock      *timesync.Status `json:"clock,omitempty"`   // on a box

	Identity *identity.Status `json:"identity,omitempty"`       // what an image's boxd found out
	Uptime   int64            `json:"uptime_seconds,omitempty"` // of the box, not of boxd
	Update   *update.Status   `json:"update,omitempty"`
}

type addresses struct {
	Stream    string `json:"stream"`
	Buffered  string `json:"buffered"`
	HTTP      string `json:"http"`
	Multicast string `json:"multicast,omitempty"`
}

func (s *server) detail() detail {
	b := s.box.Box
	d := detail{
		Address: addresses{"tcp://" + b.StreamAddr, "tcp://" + b.BufferedAddr, "http://" + b.HTTPAddr, b.Multicast},
		Stream:  s.streamDetail(), Capture: s.peers.Get("capture"), Record: s.peers.Get("record"),
		Recordings: s.files.lock.usable(), Healing: s.healer.snapshot(),
	}
	if s.life != nil {
		r := s.life.perm.Result()
		is := s.life.onBox.identity.Status()
		d.Disks, d.Perm, d.Clock = s.life.disks.Disks(), &r, s.life.time.Status()
		us := s.life.update.Status()
		d.Identity, d.Update = &is, &us
		var system unix.Sysinfo_t
		if unix.Sysinfo(&system) == nil {
			d.Uptime = system.Uptime
		}
	}
	return d
}
