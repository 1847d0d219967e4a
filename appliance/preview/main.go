// Command preview draws what a box sends, and how it is, for the screen on the
// box. It reads the stream as every TCP reader gets it, so that the screen
// proves what is sent.
package main

import (
	"context"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"github.com/openvideobox/videobox/appliance/internal/self"
	"github.com/openvideobox/videobox/display/screen"
	"github.com/openvideobox/videobox/internal/run"
)

const description = `Draws the newest picture of the box's own stream with its state, twice a second,
into a PNG file that is replaced whole each time. Panels come later.

  preview --config event.yaml --name box1 --out /tmp/box1.png`

type cli struct {
	Config   string        `required:"" placeholder:"FILE" help:"The event file; of a list like PATH, the first that exists."`
	Name     string        `required:"" placeholder:"BOX" help:"The box in the event file that this is; auto: what boxd found out, on an image."`
	Out      string        `required:"" placeholder:"FILE" help:"PNG file to write."`
	Size     string        `default:"320x240" placeholder:"WxH" help:"Size of the screen. Default: 320x240."`
	Interval time.Duration `default:"500ms" help:"Time between two pictures."`
	Status   string        `placeholder:"HOST:PORT" help:"Where to serve status and metrics instead of the event's address."`
}

func main() {
	var c cli
	kong.Parse(&c, kong.Name("preview"), kong.Description(description))
	run.Main(c.run)
}

func (c cli) run(ctx context.Context) error {
	box, err := self.Find(ctx, c.Config, c.Name)
	if err != nil {
		return err
	}
	width, height, err := parseSize(c.Size)
	if err != nil {
		return err
	}
	if c.Interval < 50*time.Millisecond {
		return fmt.Errorf("interval %v: use at least 50ms", c.Interval)
	}
	if c.Status == "" {
		c.Status = box.Box.StatusAddr("preview")
	}
	p := newPreview(box, c.Out, width, height, c.Interval)
	g := run.NewGroup(ctx)
	g.Go("", func(ctx context.Context) error { return p.run(ctx, c.Status) })
	g.Go("", func(ctx context.Context) error {
		return box.Watch(ctx, c.Config, c.Name, func(now self.Self) error {
			if now.Room != box.Room || now.Role != box.Role {
				return self.ErrChanged
			}
			return nil
		})
	})
	return g.Wait()
}

func parseSize(s string) (width, height int, err error) {
	var rest string
	n, _ := fmt.Sscanf(s+" .", "%dx%d %s", &width, &height, &rest)
	if n != 3 || rest != "." || width < screen.Width/2 || height < screen.Height/2 || width > 4096 || height > 4096 {
		return 0, 0, fmt.Errorf("size %q: use WIDTHxHEIGHT from %dx%d on, as 320x240", s, screen.Width/2, screen.Height/2)
	}
	return width, height, nil
}
