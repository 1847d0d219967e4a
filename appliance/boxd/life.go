package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/openvideobox/videobox/appliance/boxd/internal/disk"
	"github.com/openvideobox/videobox/appliance/boxd/internal/perm"
	"github.com/openvideobox/videobox/appliance/boxd/internal/timesync"
	"github.com/openvideobox/videobox/appliance/boxd/internal/update"
	"github.com/openvideobox/videobox/appliance/internal/restart"
	"github.com/openvideobox/videobox/appliance/internal/self"
	"github.com/openvideobox/videobox/appliance/internal/slot"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/run"
)

// life is what boxd does on an image for as long as it runs, whatever it finds
// the box to be: it goes on while the page starts again under another name, and
// the page shows it. Some of it finds out what the box is, so it knows no Self.
type life struct {
	perm  *perm.Task
	disks *disk.Keeper
	time  *timesync.Sync
	onBox *onBox

	update   *update.Updater
	schedule *update.Schedule
	where    atomic.Pointer[scheduled]
}

// scheduled is where the room's talks are to be found.
type scheduled struct{ url, room string }

// newLife starts what must come before anything writes to /perm.
func newLife(ctx context.Context, t timesync.Config) (*life, error) {
	l := &life{perm: perm.Start(ctx, slog.Default()), disks: disk.New()}
	l.updates(ctx)
	var err error
	if l.time, err = timesync.New(t); err != nil {
		return nil, err
	}
	l.onBox, err = newOnBox(ctx, l.perm)
	return l, err
}

func (l *life) parts() []part {
	return append(l.onBox.parts(),
		part{"recording disk", l.disks.Run},
		part{"time", l.time.Run},
		part{"updates", l.update.Run},
	)
}

// farewell is how long the answer to who asked for a restart has to get out of
// the box, whose network ends at once with the restart.
const farewell = 500 * time.Millisecond

// updates marks a trial, so it comes before all that may restart the box.
func (l *life) updates(ctx context.Context) {
	inSync := func() bool { return clock.InSync(true) }
	l.schedule = &update.Schedule{Client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, Where: func() (url, room string) {
		if w := l.where.Load(); w != nil {
			return w.url, w.room
		}
		return "", ""
	}, InSync: inSync}
	l.update = update.New(update.Options{
		Dir: filepath.Join(perm.Dir, "videobox"), Ready: usable(ctx, l.perm), Run: runDir, Etc: etcDir,
		Card: slot.System, Clock: clock.System, Talk: l.schedule.Talk,
		Uptime: func() time.Duration { up, _ := restart.Uptime(); return up }, // Linux has CLOCK_BOOTTIME
		InSync: inSync,
		Restart: func(why string) error {
			time.Sleep(farewell)
			return restart.Now("boxd", why)
		},
	})
}

// run is boxd: the page of the box, and on an image its life.
func (c cli) run(ctx context.Context) error {
	g := run.NewGroup(ctx)
	var l *life // nil where the host isn't an image
	if c.Name == self.Auto || restart.IsBox("/") {
		var err error
		if l, err = newLife(ctx, timesync.Config{Pool: c.TimePool, Poll: c.TimePoll}); err != nil {
			return err
		}
		for _, p := range l.parts() {
			g.Go(p.name, p.run)
		}
	}
	g.Go("", func(ctx context.Context) error { return c.pages(ctx, l) })
	return g.Wait()
}

// pages serves the box's page, anew whenever the box's event has changed.
func (c cli) pages(ctx context.Context, l *life) error {
	var d door
	defer d.close()
	for {
		box, err := self.Find(ctx, c.Config, c.Name)
		if err != nil {
			return err
		}
		err = c.page(ctx, box, l, &d)
		if !errors.Is(err, self.ErrChanged) {
			return err
		}
		slog.Info("the box's event has changed, the page starts again", "name", box.Box.Name)
	}
}

// page serves the page until the context ends or the event changes.
func (c cli) page(ctx context.Context, box self.Self, l *life, d *door) error {
	g := run.NewGroup(ctx)
	g.Go("", func(ctx context.Context) error { return serve(ctx, newServer(box, c.Recordings, l), d, c.HTTP) })
	g.Go("", func(ctx context.Context) error {
		return box.Watch(ctx, c.Config, c.Name, func(self.Self) error { return self.ErrChanged })
	})
	return g.Wait()
}
