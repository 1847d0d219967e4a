package main

import (
	"context"
	"os"

	"github.com/openvideobox/videobox/appliance/capture/internal/source"
	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/program"
)

// listCommand is capture --list. It needs no event file: without one it chooses
// for what most events have.
type listCommand struct {
	List   bool   `help:"Print the capture devices, what they can do, and what would be chosen and why."`
	Config string `placeholder:"FILE" help:"The event file: choose for its size and rate instead of 1280x720 at 25."`
}

// Run prints.
func (c *listCommand) Run(context.Context) error {
	want := program.Config{Width: 1280, Height: 720, Rate: 25}
	if c.Config != "" {
		e, err := event.Load(c.Config)
		if err != nil {
			return err
		}
		want = program.Config{Width: e.Video.Width, Height: e.Video.Height, Rate: e.Video.Rate}
	}
	return source.List(os.Stdout, want)
}
