// Restream-host brings the mixes of an event to browsers: push sends them to
// the origins, an origin cuts them into HLS, a cache stands in front of the
// origins and has the watch page, dump records every stream, probe examines one.
package main

import (
	"context"
	"log/slog"

	"github.com/alecthomas/kong"

	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/run"
	"github.com/openvideobox/videobox/restream-host/internal/cache"
	"github.com/openvideobox/videobox/restream-host/internal/dump"
	"github.com/openvideobox/videobox/restream-host/internal/origin"
	"github.com/openvideobox/videobox/restream-host/internal/push"
)

type flags struct {
	Push   pushCmd   `cmd:"" help:"Send each room's renditions to every origin by RTMP."`
	Origin originCmd `cmd:"" help:"Take streams by RTMP, serve them as HLS, record them."`
	Cache  cacheCmd  `cmd:"" help:"Serve HLS and the watch page from the origins, from memory."`
	Dump   dumpCmd   `cmd:"" help:"Record every stream of the event to disk."`
	Probe  probeCmd  `cmd:"" help:"Examine a transport stream or an HLS playlist and name its faults."`
}

// config is what every part of an event needs.
type config struct {
	Config string `required:"" placeholder:"FILE" help:"The event file."`
}

type pushCmd struct {
	config
	Name   string `placeholder:"ROOM" help:"Only this room; by default all of them."`
	Status string `placeholder:"HOST:PORT" help:"Where /api/status is; by default on loopback, port 8895 plus the event's port_offset."`
}

func (c *pushCmd) Run(ctx context.Context) error {
	e, err := event.Load(c.Config)
	if err != nil {
		return err
	}
	reporter := metrics.New("push", c.Name)
	config, err := push.FromEvent(e, c.Name, reporter, slog.Default())
	if err != nil {
		return err
	}
	return both(ctx, reporter, or(c.Status, e.StatusAddr("push")), func(ctx context.Context) error { return push.Run(ctx, config) })
}

type originCmd struct {
	config
	Name string `required:"" help:"Which of the event's origins this is."`
}

func (c *originCmd) Run(ctx context.Context) error {
	e, err := event.Load(c.Config)
	if err != nil {
		return err
	}
	o, err := origin.New(e, c.Name, slog.Default())
	if err != nil {
		return err
	}
	return o.Run(ctx)
}

type cacheCmd struct {
	config
	Name string `required:"" help:"Which of the event's caches this is."`
}

func (c *cacheCmd) Run(ctx context.Context) error {
	e, err := event.Load(c.Config)
	if err != nil {
		return err
	}
	return cache.Run(ctx, e, c.Name, slog.Default())
}

type dumpCmd struct {
	config
	Name   string `required:"" help:"Which of the event's dumpers this is."`
	Status string `placeholder:"HOST:PORT" help:"Where /api/status is; by default on loopback, port 8896 plus the event's port_offset."`
}

func (c *dumpCmd) Run(ctx context.Context) error {
	e, err := event.Load(c.Config)
	if err != nil {
		return err
	}
	d, err := e.Dumper(c.Name)
	if err != nil {
		return err
	}
	reporter := metrics.New("dump", c.Name)
	return both(ctx, reporter, or(c.Status, e.StatusAddr("dump")), func(ctx context.Context) error {
		return dump.Run(ctx, e, d, reporter, slog.Default())
	})
}

// both runs a part beside its status page.
func both(ctx context.Context, r *metrics.Reporter, addr string, f func(context.Context) error) error {
	g := run.NewGroup(ctx)
	g.Go("status", func(ctx context.Context) error { return r.Serve(ctx, addr) })
	g.Go("", f)
	return g.Wait()
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

const description = `Brings the mixes of an event to browsers.

A mix leaves the mixer by UDP multicast. "push" sends it by RTMP to every origin; an "origin" cuts it into HLS and records it; a "cache" serves players from all origins, so that losing one interrupts nobody. "dump" records everything there is. All of them read one event file and need no other configuration.

  restream-host origin --config event.yaml --name main
  restream-host push   --config event.yaml
  restream-host cache  --config event.yaml --name edge1
  restream-host probe  http://127.0.0.1:8080/hls/ROOM/main/index.m3u8`

func main() {
	var f flags
	k := kong.Parse(&f, kong.Name("restream-host"), kong.Description(description), kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	run.Main(func(ctx context.Context) error {
		k.BindTo(ctx, (*context.Context)(nil))
		return k.Run()
	})
}
