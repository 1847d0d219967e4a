// Command guard watches boxd from outside: it asks /healthz every 5 s, kills a
// boxd that has not answered for 30 s, which whoever started it then starts
// again, and restarts the box after three kills in ten minutes. A boxd that
// crashes at every start doesn't answer either; one that crashes later counts
// when it has died ten times in ten minutes. Restarts of the box wait for an
// uptime of half an hour when the last one didn't help, see
// appliance/internal/restart. Guard is as small as it can be, since nothing
// watches it but the kernel's watchdog, which watches kernel and init; in a
// trial that init may not feed, guard does.
package main

import (
	"context"

	"github.com/alecthomas/kong"

	"github.com/openvideobox/videobox/appliance/internal/self"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/run"
)

const description = `Asks boxd's /healthz every 5 s, kills a boxd that has not answered for 30 s, and
restarts the box after 3 kills or 10 crashes of boxd in 10 min, at most every 30
min. Where the system is not a videobox image it only logs that a restart would
be due.

  guard --config event.yaml --name box1`

type cli struct {
	Config string `required:"" placeholder:"FILE" help:"The event file; of a list like PATH, the first that exists."`
	Name   string `required:"" placeholder:"BOX" help:"The box in the event file that this is; auto: what boxd found out, on an image."`
	Status string `placeholder:"HOST:PORT" help:"Where to serve status and metrics instead of the event's address."`
}

func main() {
	var c cli
	kong.Parse(&c, kong.Name("guard"), kong.Description(description))
	run.Main(c.run)
}

func (c cli) run(ctx context.Context) error {
	g := run.NewGroup(ctx)
	g.Go("", systemFeeder().run) // at once: what the box is may take long to find out
	g.Go("", c.watch)
	return g.Wait()
}

func (c cli) watch(ctx context.Context) error {
	box, err := self.Find(ctx, c.Config, c.Name)
	if err != nil {
		return err
	}
	if c.Status == "" {
		c.Status = box.Box.StatusAddr("guard")
	}
	r := metrics.New("guard", box.Box.Name)
	r.SetRoom(box.Room)
	r.SetRole(box.Role)
	w := newWatch(c.Name, "http://"+self.Local(box.Box.HTTPAddr)+"/healthz", r)
	g := run.NewGroup(ctx)
	g.Go("", func(ctx context.Context) error { return r.Serve(ctx, c.Status) })
	g.Go("", w.run)
	g.Go("", func(ctx context.Context) error { return box.Watch(ctx, c.Config, c.Name, self.Follow(r)) })
	return g.Wait()
}
