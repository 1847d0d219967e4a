package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/openvideobox/videobox/internal/dnssd"
	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/run"
	"github.com/openvideobox/videobox/mixer-host/internal/control"
	"github.com/openvideobox/videobox/mixer-host/internal/encode"
	"github.com/openvideobox/videobox/mixer-host/internal/engine"
	"github.com/openvideobox/videobox/mixer-host/internal/source"
)

// Run mixes until the context ends.
func (c *runCmd) Run(ctx context.Context) error {
	e, room, err := c.load()
	if err != nil {
		return err
	}
	reporter := metrics.New("mixer-host", room.Name)
	reporter.SetRoom(room.Name)
	reporter.ReportChildren()
	// UTC is the system's clock here; nothing disciplines it for us.
	reporter.Leaf("clock").Set(metrics.OK, "")

	sources := c.sources(room, reporter)
	encoder, err := encode.New(encode.Options{
		Outputs: room.Outputs(), Rate: e.Video.Rate, AudioBitrate: e.Audio.Bitrate, Preset: c.Preset, Reporter: reporter,
	})
	if err != nil {
		return err
	}
	defer encoder.Close()
	mix, err := engine.New(engine.Options{
		Room: room.Name, Width: e.Video.Width, Height: e.Video.Height, Rate: e.Video.Rate, Delay: c.Delay,
		Sources: inputs(sources), Sink: encoder, State: filepath.Join(c.State, room.Name+".json"),
		Scene:      engine.Scene{Mode: engine.Mode(room.Scene.Mode), A: room.Scene.A, B: room.Scene.B},
		Background: room.Background, Logo: room.Logo,
	})
	if err != nil {
		return err
	}
	page := control.New(control.Options{
		Event: e, Room: room, Engine: mix, Outputs: encoder.Outputs, Load: encoder.Load, Delay: c.Delay, Reporter: reporter,
	})
	slog.Info("mixing", "room", room.Name, "page", "http://"+room.ControlAddr+"/", "delay", c.Delay)

	g := run.NewGroup(ctx)
	for _, s := range sources {
		g.Go("", s.Run)
	}
	g.Go("", encoder.Run)
	g.Go("", mix.Run)
	g.Go("control page", func(ctx context.Context) error {
		return run.ServeHTTP(ctx, event.Listen(room.ControlAddr), page.Handler())
	})
	if s, ok := announcement(e, room); ok && !c.Quiet {
		g.Go("announcement", func(ctx context.Context) error { return dnssd.Announce(ctx, s) })
	}
	return g.Wait()
}

// load reads the event and checks what only a mixer needs of it.
func (c *runCmd) load() (*event.Event, event.Room, error) {
	e, err := event.Load(c.Config)
	if err != nil {
		return nil, event.Room{}, err
	}
	room, err := e.Room(c.Room)
	switch {
	case err != nil:
		return nil, room, err
	case room.Engine != "native":
		return nil, room, fmt.Errorf("%s: room %s is mixed by %s; for mixer-host say mixer: {engine: native}", e.Path, room.Name, room.Engine)
	case len(room.Sources) == 0:
		return nil, room, fmt.Errorf("%s: room %s has no sources; give it a camera or slides", e.Path, room.Name)
	case c.Delay < 0 || c.Delay > 2*time.Second:
		return nil, room, fmt.Errorf("delay %v: from 0 to 2s", c.Delay)
	}
	if _, err := exec.LookPath(c.FFmpeg); err != nil {
		return nil, room, fmt.Errorf("%s decodes the sources and is missing: %w; install ffmpeg", c.FFmpeg, err)
	}
	return e, room, nil
}

func (c *runCmd) sources(room event.Room, reporter *metrics.Reporter) []*source.Source {
	var list []*source.Source
	for _, s := range room.Sources {
		kind := "tcp"
		if u, err := url.Parse(s.URL); err == nil {
			kind = u.Scheme
		}
		list = append(list, source.New(source.Options{
			Role: s.Role, Name: s.Name, URL: s.URL, Interface: room.Interface, FFmpeg: c.FFmpeg,
			Hop: reporter.Hop(s.Role, "in", kind, s.URL), Leaf: reporter.Leaf(s.Role + " decoder"),
		}))
	}
	return list
}

func inputs(sources []*source.Source) []engine.Source {
	list := make([]engine.Source, len(sources))
	for i, s := range sources {
		list[i] = s
	}
	return list
}
