package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/peers"
	"github.com/openvideobox/videobox/appliance/internal/self"
	"github.com/openvideobox/videobox/appliance/internal/watch"
	"github.com/openvideobox/videobox/display/screen"
	"github.com/openvideobox/videobox/internal/codec/openh264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/run"
)

// keyframePatience is how old a keyframe may be that is shown: one comes every
// second.
const keyframePatience = 5 * time.Second

// preview is the program.
type preview struct {
	box      atomic.Pointer[self.Self]
	interval time.Duration

	reporter *metrics.Reporter
	in       *metrics.HopCounter
	decoding *metrics.LeafState
	stream   *watch.Watcher
	peers    *peers.Peers
	system   system
	panels   *panels

	decoder *openh264.Decoder
	shown   time.Time // when the newest keyframe came that was tried
	picture *shot     // the newest that decoded
	broken  error     // why the newest did not
}

// shot is a decoded keyframe. Many read it, so it never changes.
type shot struct {
	media.Frame
	capture int64 // UTC ns
}

// scene is what is to be drawn. It never changes.
type scene struct {
	screen.State // without Picture
	picture      *shot
}

func newPreview(box self.Self, interval time.Duration, kinds []kind) *preview {
	p := &preview{interval: interval, system: newSystem("/sys")}
	p.box.Store(&box)
	p.reporter = metrics.New("preview", box.Box.Name)
	p.follow(box)
	p.in = p.reporter.Hop("stream", "in", "tcp", box.StreamAddr())
	p.decoding = p.reporter.Leaf("picture")
	p.stream = watch.New(box.StreamAddr(), p.in)
	p.peers = peers.New(map[string]string{
		"boxd":    self.Local(box.Box.HTTPAddr),
		"capture": box.Box.StatusAddr("capture"),
		"record":  box.Box.StatusAddr("record"),
	})
	p.panels = newPanels(kinds, p.reporter)
	return p
}

// follow takes over another room, role or address.
func (p *preview) follow(box self.Self) error {
	p.box.Store(&box)
	return self.Follow(p.reporter)(box)
}

// run draws until the context ends.
func (p *preview) run(ctx context.Context, status string) error {
	var err error
	if p.decoder, err = openh264.New(); err != nil {
		return err
	}
	defer p.decoder.Close()
	g := run.NewGroup(ctx)
	g.Go("", func(ctx context.Context) error { return p.reporter.Serve(ctx, status) })
	g.Go("stream", p.stream.Run)
	g.Go("programs", func(ctx context.Context) error { return p.peers.Run(ctx, nil) })
	g.Go("panels", p.panels.run)
	g.Go("", p.watch)
	return g.Wait()
}

// watch makes a new scene at each keyframe and each interval.
func (p *preview) watch(ctx context.Context) error {
	tick := time.NewTicker(p.interval)
	defer tick.Stop()
	for {
		n, now := p.stream.Newest(), time.Now()
		switch {
		case !p.panels.any():
			p.decoding.Set(metrics.NotApplicable, "no screen is connected")
		case n.KeyTime.After(p.shown):
			p.decode(n)
		}
		p.panels.show(p.scene(n, now))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-p.stream.Keys():
		}
	}
}

// decode makes the picture of a new keyframe.
func (p *preview) decode(n watch.Newest) {
	p.shown = n.KeyTime
	s := &shot{capture: n.KeyStamp.Capture}
	if p.broken = p.decoder.Decode(n.Keyframe, &s.Frame); p.broken != nil {
		p.decoding.Set(metrics.Failed, p.broken.Error())
		return
	}
	p.decoding.Set(metrics.OK, "")
	p.picture = s
}

// board is where the newest scene hangs; who looks at it late misses some.
type board struct {
	mu      sync.Mutex
	newest  *scene
	changed chan struct{} // closed and replaced with each scene
}

func (b *board) show(s *scene) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.newest = s
	close(b.changed)
	b.changed = make(chan struct{})
}

// look is the newest scene, nil before the first, and what is closed when there
// is a newer one.
func (b *board) look() (*scene, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.newest, b.changed
}
