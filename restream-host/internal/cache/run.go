package cache

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/notices"
	"github.com/openvideobox/videobox/internal/run"
	"github.com/openvideobox/videobox/restream-host/internal/watch"
)

// Run is a whole cache of an event: HLS, watch page and API, until ctx ends.
func Run(ctx context.Context, e *event.Event, name string, log *slog.Logger) error {
	self, err := e.Cache(name)
	if err != nil {
		return err
	}
	l, err := run.Listen(ctx, self.HTTPListen)
	if err != nil {
		return err
	}
	return Serve(ctx, e, self, l, log)
}

// Serve is Run on a socket that is open already.
func Serve(ctx context.Context, e *event.Event, self event.Cache, l net.Listener, log *slog.Logger) error {
	c := New(FromEvent(e, self, log))
	if err := c.Reporter.Register(collector{c}); err != nil {
		l.Close()
		return err
	}
	c.Reporter.SetDetail(func() any { return map[string]any{"store": c.Store()} })
	g := run.NewGroup(ctx)
	c.Start(g.Context())
	g.Go("", func(context.Context) error { return c.Wait() })
	g.Go("http", func(ctx context.Context) error { return run.ServeListener(ctx, l, c.site(e)) })
	return g.Wait()
}

// FromEvent is the configuration that an event gives one of its caches.
func FromEvent(e *event.Event, self event.Cache, log *slog.Logger) Config {
	c := Config{Memory: self.Memory, Reporter: metrics.New("cache", self.Name), Log: log}
	for _, o := range e.Origins {
		c.Origins = append(c.Origins, Origin{Name: o.Name, URL: o.HTTP})
	}
	for _, r := range e.Rooms {
		room := Room{Name: r.Name}
		for _, out := range r.Outputs() {
			room.Renditions = append(room.Renditions, out.Rendition)
		}
		c.Rooms = append(c.Rooms, room)
	}
	return c
}

// site is everything the cache has for HTTP.
func (c *Cache) site(e *event.Event) http.Handler {
	mux := http.NewServeMux()
	status := c.Reporter.Handler()
	for _, path := range []string{"/api/status", "/metrics", "/healthz"} {
		mux.Handle(path, status)
	}
	mux.Handle("/hls/", c.Handler())
	mux.Handle("/licenses", notices.Handler())
	mux.Handle("/", watch.Handler(func() watch.Rooms {
		return watch.List(e, func(room, rendition string) bool {
			r := c.rooms[room]
			return r != nil && slices.ContainsFunc(r.streams, func(s *stream) bool {
				return s.rendition == rendition && s.live()
			})
		})
	}))
	return mux
}

var (
	storeDesc = prometheus.NewDesc("videobox_cache_memory_bytes", "Segments held.", nil, nil)
	hitsDesc  = prometheus.NewDesc("videobox_cache_requests_total", "Segment requests, by where they were answered from.", []string{"from"}, nil)
	evictDesc = prometheus.NewDesc("videobox_cache_evicted_total", "Segments given up for newer ones.", nil, nil)
)

type collector struct{ c *Cache }

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- storeDesc
	ch <- hitsDesc
	ch <- evictDesc
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	s := c.c.Store()
	ch <- prometheus.MustNewConstMetric(storeDesc, prometheus.GaugeValue, float64(s.Bytes))
	ch <- prometheus.MustNewConstMetric(hitsDesc, prometheus.CounterValue, float64(s.Hits), "memory")
	ch <- prometheus.MustNewConstMetric(hitsDesc, prometheus.CounterValue, float64(s.Misses), "origin")
	ch <- prometheus.MustNewConstMetric(evictDesc, prometheus.CounterValue, float64(s.Evicted))
}
