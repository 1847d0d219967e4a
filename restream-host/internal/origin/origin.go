// Package origin is an origin: it takes the event's streams by RTMP, cuts them
// into HLS segments, serves them by HTTP, and records what it has cut. With the
// same input a backup origin serves the same bytes.
package origin

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/notices"
	"github.com/openvideobox/videobox/internal/run"
	"github.com/openvideobox/videobox/restream-host/internal/hls"
	"github.com/openvideobox/videobox/restream-host/internal/rtmp"
	"github.com/openvideobox/videobox/restream-host/internal/watch"
)

// tick is how often streams are looked at for what time alone finishes.
const tick = 250 * time.Millisecond

// Origin is one of an event's origins.
type Origin struct {
	event    *event.Event
	self     event.Origin
	log      *slog.Logger
	reporter *metrics.Reporter
	rooms    map[string]*hls.Room
	streams  []*stream
	byName   map[string]*stream
	rtmp     *rtmp.Server
}

// New prepares the origin of that name. The recordings are opened, and what an
// earlier run left is repaired.
func New(e *event.Event, name string, log *slog.Logger) (*Origin, error) {
	self, err := e.Origin(name)
	if err != nil {
		return nil, err
	}
	o := &Origin{
		event: e, self: self, log: log, reporter: metrics.New("origin", name),
		rooms: make(map[string]*hls.Room), byName: make(map[string]*stream),
	}
	for _, r := range e.Rooms {
		var renditions []hls.Rendition
		for _, out := range r.Outputs() {
			s, err := o.newStream(out)
			if err != nil {
				o.close()
				return nil, err
			}
			o.streams = append(o.streams, s)
			o.byName[out.Name] = s
			renditions = append(renditions, hls.Rendition{Name: out.Rendition, Stream: s.hls})
		}
		o.rooms[r.Name] = hls.NewRoom(r.Name, time.Now, renditions...)
	}
	o.rtmp = &rtmp.Server{Key: e.Secrets.PublishKey, Open: o.publish, Log: log}
	if e.Secrets.PublishKey == "" {
		log.Warn("origin: the event has no publish_key: everybody can publish", "fix", "put publish_key into the event's secrets file")
	}
	return o, o.registerMetrics()
}

// Run serves until ctx ends.
func (o *Origin) Run(ctx context.Context) error {
	defer o.close()
	l, err := run.Listen(ctx, o.self.RTMPListen)
	if err != nil {
		return err
	}
	web, err := run.Listen(ctx, o.self.HTTPListen)
	if err != nil {
		l.Close()
		return err
	}
	return o.Serve(ctx, l, web)
}

// Serve serves on two sockets until ctx ends.
func (o *Origin) Serve(ctx context.Context, rtmpSocket, web net.Listener) error {
	g := run.NewGroup(ctx)
	g.Go("rtmp", func(ctx context.Context) error { return o.rtmp.Serve(ctx, rtmpSocket) })
	g.Go("http", func(ctx context.Context) error { return run.ServeListener(ctx, web, o.Handler()) })
	g.Go("", o.tick)
	return g.Wait()
}

func (o *Origin) tick(ctx context.Context) error {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		for _, s := range o.streams {
			s.tick()
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (o *Origin) close() {
	for _, s := range o.streams {
		if err := s.close(); err != nil {
			o.log.Warn("origin: recording", "stream", s.name, "error", err)
		}
	}
}

// publish lets a publisher in that has the key.
func (o *Origin) publish(name, remote string) (rtmp.Sink, error) {
	s := o.byName[name]
	if s == nil {
		return nil, fmt.Errorf("%q: %w", name, rtmp.ErrStream)
	}
	return s.publish(remote), nil
}

// Handler serves everything the origin has for HTTP.
func (o *Origin) Handler() http.Handler {
	mux := http.NewServeMux()
	status := o.reporter.Handler()
	for _, path := range []string{"/api/status", "/metrics", "/healthz"} {
		mux.Handle(path, status)
	}
	mux.Handle("/hls/", hls.Handler(o.rooms))
	mux.Handle("/licenses", notices.Handler())
	mux.Handle("/", watch.Handler(func() watch.Rooms {
		return watch.List(o.event, func(room, rendition string) bool {
			s, ok := o.rooms[room].Rendition(rendition)
			return ok && s.Playlist() != nil
		})
	}))
	return mux
}
