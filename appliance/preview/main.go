// Command preview draws what a box sends, and how it is, on the box's screens.
// It reads the stream as every TCP reader gets it, so that a screen proves what
// is sent.
package main

import (
	"context"
	"fmt"
	"image"
	"time"

	"github.com/alecthomas/kong"

	"github.com/openvideobox/videobox/appliance/internal/self"
	"github.com/openvideobox/videobox/display/screen"
	"github.com/openvideobox/videobox/internal/run"
)

const description = `Draws the newest picture of the box's own stream with its state, twice a second
and at each keyframe, on all screens there are: HDMI and other framebuffers, the
serial display with USB id f05d:4001, the SPI panel of --panel. A screen may come
and go. With --out it is drawn into a PNG file too, which is replaced whole.

  preview --config event.yaml --name box1 --out /tmp/box1.png`

type cli struct {
	Config   string        `required:"" placeholder:"FILE" help:"The event file; of a list like PATH, the first that exists."`
	Name     string        `required:"" placeholder:"BOX" help:"The box in the event file that this is; auto: what boxd found out, on an image."`
	Out      string        `placeholder:"FILE" help:"PNG file to write too."`
	Size     string        `default:"320x240" placeholder:"WxH" help:"Size of that file's picture. Default: 320x240."`
	Interval time.Duration `default:"500ms" help:"Time between two pictures."`
	Screens  bool          `default:"true" negatable:"" help:"Draw on the screens that are found; --no-screens: only into the file."`
	Panel    string        `default:"auto" placeholder:"NAME" help:"SPI panel: auto (what /perm/panel says, else the board's), none, or a name of hardware/panels.yaml."`
	Status   string        `placeholder:"HOST:PORT" help:"Where to serve status and metrics instead of the event's address."`
}

func main() {
	var c cli
	kong.Parse(&c, kong.Name("preview"), kong.Description(description))
	run.Main(c.run)
}

func (c cli) run(ctx context.Context) error {
	size, err := parseSize(c.Size)
	if err != nil {
		return err
	}
	if c.Interval < 50*time.Millisecond {
		return fmt.Errorf("interval %v: use at least 50ms", c.Interval)
	}
	kinds, err := c.kinds(size)
	if err != nil {
		return err
	}
	if len(kinds) == 0 {
		return fmt.Errorf("nothing to draw on: give --out, or leave --no-screens out")
	}
	box, err := self.Find(ctx, c.Config, c.Name)
	if err != nil {
		return err
	}
	if c.Status == "" {
		c.Status = box.Box.StatusAddr("preview")
	}
	p := newPreview(box, c.Interval, kinds)
	g := run.NewGroup(ctx)
	g.Go("", func(ctx context.Context) error { return p.run(ctx, c.Status) })
	g.Go("", func(ctx context.Context) error { return box.Watch(ctx, c.Config, c.Name, p.follow) })
	return g.Wait()
}

// kinds is what is drawn on.
func (c cli) kinds(size image.Point) (list []kind, err error) {
	if c.Out != "" {
		list = append(list, filePanel(c.Out, size))
	}
	if !c.Screens {
		return list, nil
	}
	list = append(list, framebuffers, serials)
	panel, ok, err := choosePanel(c.Panel, panelFile, boardModel())
	if ok {
		list = append(list, spiPanel(panel, "/dev"))
	}
	return list, err
}

func parseSize(s string) (image.Point, error) {
	var size image.Point
	var rest string
	n, _ := fmt.Sscanf(s+" .", "%dx%d %s", &size.X, &size.Y, &rest)
	if n != 3 || rest != "." || size.X < screen.MinWidth || size.Y < screen.MinHeight || size.X > 4096 || size.Y > 4096 {
		return size, fmt.Errorf("size %q: use WIDTHxHEIGHT from %dx%d on, as 320x240", s, screen.MinWidth, screen.MinHeight)
	}
	return size, nil
}
