// Package cache stands in front of the origins: it serves HLS from a bounded
// memory of segments, asks for each segment once however many want it, and
// makes one playlist of all origins' playlists.
//
// Every origin is polled for every stream on its own, so an origin that is
// down, hangs or has no input costs nobody anything: main's list is served as
// long as main is well, and where it has a gap, or comes late, the backup's
// segments stand in. They are the same bytes, because segments are numbered and
// cut by program time.
//
// Tested with origins that fail, hang, stall, lack segments and come back, on a
// clock that tests hold, and against the project's own origin.
package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/run"
)

// Room is a room to serve, with its renditions, main first.
type Room struct {
	Name       string
	Renditions []string
}

// Config is what a cache does.
type Config struct {
	Origins  []Origin // main first
	Rooms    []Room
	Memory   int64 // bytes of segments
	Reporter *metrics.Reporter
	Now      func() time.Time // nil: time.Now
	Log      *slog.Logger     // nil: slog.Default
}

// Cache is a running cache.
type Cache struct {
	Config
	client *http.Client
	store  *store
	rooms  map[string]*room
	flight singleflight.Group
	group  *run.Group
}

type room struct {
	name    string
	streams []*stream // main first

	mu       sync.Mutex
	variants [][]byte // multivariant playlist by origin, the last good one
}

// New makes a cache; Start fills it.
func New(c Config) *Cache {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	k := &Cache{Config: c, client: newClient(), store: newStore(c.Memory), rooms: make(map[string]*room)}
	for _, r := range c.Rooms {
		rm := &room{name: r.Name, variants: make([][]byte, len(c.Origins))}
		for _, name := range r.Renditions {
			rm.streams = append(rm.streams, k.newStream(r.Name, name))
		}
		k.rooms[r.Name] = rm
	}
	return k
}

func (c *Cache) newStream(room, rendition string) *stream {
	s := &stream{c: c, room: room, rendition: rendition, merge: newMerge(len(c.Origins))}
	s.answers = slices.Repeat([]bool{true}, len(c.Origins)) // until they don't
	name := room + "/" + rendition
	for _, o := range c.Origins {
		in := c.Reporter.Hop(o.Name+" "+name, "in", "hls", o.URL+s.path()+"index.m3u8")
		in.SetStall(stale, metrics.Degraded)
		s.in = append(s.in, in)
	}
	s.out = c.Reporter.Hop(name, "out", "hls", s.path()+"index.m3u8")
	s.out.SetStall(stale, metrics.Degraded)
	s.out.SetReaders(0)
	return s
}

// Start begins to poll, until ctx ends.
func (c *Cache) Start(ctx context.Context) {
	c.group = run.NewGroup(ctx)
	for _, r := range c.rooms {
		for i := range c.Origins {
			c.group.Go("", func(ctx context.Context) error { return c.pollRoom(ctx, r, i) })
			for _, s := range r.streams {
				c.group.Go("", func(ctx context.Context) error { return s.poll(ctx, i) })
			}
		}
	}
}

// Wait waits for the end of what Start began.
func (c *Cache) Wait() error {
	err := c.group.Wait()
	c.client.CloseIdleConnections()
	return err
}

// pollRoom keeps a room's multivariant playlist of one origin.
func (c *Cache) pollRoom(ctx context.Context, r *room, origin int) error {
	url := c.Origins[origin].URL + "/hls/" + r.name + "/index.m3u8"
	for {
		body, _, err := fetch(ctx, c.client, url, maxList, 0)
		if err == nil && strings.HasPrefix(string(body), "#EXTM3U") {
			r.mu.Lock()
			r.variants[origin] = body
			r.mu.Unlock()
		}
		if err := sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
}

// multivariant is the fullest one that an origin gave, main's before others'.
func (r *room) multivariant() []byte {
	if !r.live() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var best []byte
	count := -1
	for _, v := range r.variants {
		if n := strings.Count(string(v), "#EXT-X-STREAM-INF"); v != nil && n > count {
			best, count = v, n
		}
	}
	return best
}

func (r *room) live() bool {
	for _, s := range r.streams {
		if s.live() {
			return true
		}
	}
	return false
}

func (r *room) stream(rendition string) *stream {
	for _, s := range r.streams {
		if s.rendition == rendition {
			return s
		}
	}
	return nil
}

// segment gives a segment from memory or from the origins, asking once for all
// who wait.
func (c *Cache) segment(ctx context.Context, s *stream, n int64) (segment, error) {
	k := key{s.room, s.rendition, n}
	if seg, ok := c.store.get(k); ok {
		return seg, nil
	}
	done := c.flight.DoChan(fmt.Sprintf("%s/%s/%d", s.room, s.rendition, n), func() (any, error) {
		return c.fetchSegment(c.group.Context(), s, n)
	})
	select {
	case r := <-done:
		if r.Err != nil {
			return segment{}, r.Err
		}
		return r.Val.(segment), nil
	case <-ctx.Done():
		return segment{}, ctx.Err()
	}
}

// fetchSegment asks the origins one after the other, unless another flight has
// landed between the caller's look into the memory and this one's start.
func (c *Cache) fetchSegment(ctx context.Context, s *stream, n int64) (segment, error) {
	if seg, ok := c.store.peek(key{s.room, s.rendition, n}); ok {
		return seg, nil
	}
	origins, ok := s.order(n)
	if !ok {
		return segment{}, errNotThere
	}
	var errs []error
	for _, o := range origins {
		body, etag, err := fetch(ctx, c.client, c.Origins[o].URL+s.path()+segmentName(n), maxSegment, 0)
		if err == nil {
			seg := segment{body, etag}
			c.store.put(key{s.room, s.rendition, n}, seg)
			s.in[o].Add(len(body))
			return seg, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", c.Origins[o].Name, err))
	}
	return segment{}, errors.Join(errs...)
}

func segmentName(n int64) string { return strconv.FormatInt(n, 10) + ".ts" }

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Live says whether a room has a playlist now.
func (c *Cache) Live(name string) bool {
	r := c.rooms[name]
	return r != nil && r.live()
}

// Store reports the memory.
func (c *Cache) Store() Store { return c.store.status() }
