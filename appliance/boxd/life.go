package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/openvideobox/videobox/appliance/boxd/internal/perm"
	"github.com/openvideobox/videobox/appliance/internal/self"
	"github.com/openvideobox/videobox/internal/run"
)

// life lists what boxd does on an image for as long as it runs, whatever it
// finds the box to be: these parts go on while the page starts again under
// another name. Some of them find out what the box is, so they know no Self.
func life() []part {
	return nil
}

// run is boxd: the page of the box, and on an image its life.
func (c cli) run(ctx context.Context) error {
	perm.Start(ctx, slog.Default()) // before anything writes to /perm
	g := run.NewGroup(ctx)
	if c.Name == self.Auto {
		for _, p := range life() {
			g.Go(p.name, p.run)
		}
	}
	g.Go("", c.pages)
	return g.Wait()
}

// pages serves the box's page, anew whenever the box's event has changed.
func (c cli) pages(ctx context.Context) error {
	for {
		box, err := self.Find(ctx, c.Config, c.Name)
		if err != nil {
			return err
		}
		err = c.page(ctx, box)
		if !errors.Is(err, self.ErrChanged) {
			return err
		}
		slog.Info("the box's event has changed, the page starts again", "name", box.Box.Name)
	}
}

// page serves the page until the context ends or the event changes.
func (c cli) page(ctx context.Context, box self.Self) error {
	g := run.NewGroup(ctx)
	g.Go("", func(ctx context.Context) error { return serve(ctx, box, c.Recordings, c.HTTP) })
	g.Go("", func(ctx context.Context) error {
		return box.Watch(ctx, c.Config, c.Name, func(self.Self) error { return self.ErrChanged })
	})
	return g.Wait()
}
