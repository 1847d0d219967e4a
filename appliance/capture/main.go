// Command capture brings one source, a capture device above all, into one
// unbroken MPEG transport stream and serves it by TCP and multicast.
//
// It is three processes of one binary: this one, which keeps the stream going
// whatever happens, a worker that reads the source and encodes, and, for
// moments, a child that encodes the slate shown while the worker is away.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/alecthomas/kong"

	"github.com/openvideobox/videobox/appliance/capture/internal/parent"
	"github.com/openvideobox/videobox/appliance/capture/internal/source"
	"github.com/openvideobox/videobox/appliance/internal/self"
	"github.com/openvideobox/videobox/drivers/kmod"
	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/program"
	"github.com/openvideobox/videobox/internal/run"
	"github.com/openvideobox/videobox/internal/tee"
)

const description = `Sends one source as an unbroken MPEG-TS: by TCP from the newest keyframe on
(8899) and from half the ring back (8898), and by multicast when the event gives
the box a group. The event file says at what size, rate and bitrate.

  capture --config event.yaml --name box1 --source pattern
  capture --config event.yaml --name box1 --source talk.mp4
  capture --config event.yaml --name box1 --source v4l2:auto

  capture --list                      what there is to capture from

On a videobox, flags may also stand in /perm/capture.json ({"preset": "ultrafast"}),
which overrides the image's /etc/videobox/capture.json.

Watch it with: ffplay tcp://127.0.0.1:8899`

type runCommand struct {
	Config  string         `required:"" placeholder:"FILE" help:"The event file; of a list like PATH, the first that exists."`
	Name    string         `required:"" placeholder:"BOX" help:"The box in the event file that this is; auto: what boxd found out, on an image."`
	Source  string         `default:"v4l2:auto" placeholder:"SOURCE" help:"What to send: ${source}. Default: v4l2:auto."`
	Preset  string         `placeholder:"superfast" help:"x264's preset, from ultrafast to medium. Default: what the board is known to manage, else superfast."`
	Threads int            `placeholder:"1" help:"x264's threads. Default: what the board is known to have for it, else 1."`
	Sound   *time.Duration `name:"sound-offset" placeholder:"64ms" help:"By how much to put the sound later than the capture device gives it, to be with the picture. Default: what is known of the device."`
	Status  string         `placeholder:"HOST:PORT" help:"Where to serve status and metrics instead of the event's address."`
	List    bool           `help:"Print the capture devices, what they can do, and what would be chosen and why. Only --config goes with it, and isn't needed."`
	Clock   bool           `name:"box-clock" help:"This host is a videobox: ask the kernel whether boxd has its clock in sync."`

	Modules []string `placeholder:"MODULE" help:"Kernel modules to load first, with what they need, where there is no udev: uvcvideo,snd-usb-audio."`
}

// children are the commands that capture starts itself, not for people.
var children = map[string]func(context.Context) error{
	"worker": func(ctx context.Context) error { return work(ctx, os.Stdin, os.Stdout) },
	"slate":  func(context.Context) error { return encodeSlate() },
}

func main() {
	if len(os.Args) > 1 && children[os.Args[1]] != nil {
		run.Main(children[os.Args[1]])
	}
	if slices.Contains(os.Args[1:], "--list") {
		var c listCommand
		kong.Parse(&c, kong.Name("capture"))
		run.Main(c.Run)
	}
	var c runCommand
	kong.Parse(&c, kong.Name("capture"), kong.Description(description), kong.Vars{"source": source.Help},
		kong.Configuration(kong.JSON, "/etc/videobox/capture.json", "/perm/capture.json"))
	run.Main(c.Run)
}

// Run is the parent.
func (c *runCommand) Run(ctx context.Context) error {
	cfg, err := c.config(ctx)
	if err != nil {
		return err
	}
	if len(c.Modules) > 0 {
		if err := kmod.Load(c.Modules...); err != nil {
			slog.Error("capture devices may be missing", "err", err)
		}
	}
	return parent.Run(ctx, cfg)
}

// mostOffset bounds --sound-offset: sound that comes later still would be late
// for the stream.
const mostOffset = 200 * time.Millisecond

// config turns flags and event into what the parent needs.
func (c *runCommand) config(ctx context.Context) (parent.Config, error) {
	me, err := self.Find(ctx, c.Config, c.Name)
	if err != nil {
		return parent.Config{}, err
	}
	e, box := me.Event, me.Box
	c.forBoard()
	cfg := parent.Config{
		Program: program.Config{
			Width: e.Video.Width, Height: e.Video.Height, Rate: e.Video.Rate, Bitrate: e.Video.Bitrate,
			AudioBitrate: e.Audio.Bitrate, Preset: c.Preset, Threads: c.Threads,
		},
		Source: c.Source, SoundOffset: c.Sound, Name: box.Name, Labels: labels(me),
		StreamAddr: event.Listen(box.StreamAddr), BufferedAddr: event.Listen(box.BufferedAddr),
		StatusAddr: box.StatusAddr("capture"), BoxClock: c.Clock,
		Multicast: tee.Multicast{Group: box.Multicast, Interface: box.Interface, TTL: box.TTL},
	}
	if c.Status != "" {
		cfg.StatusAddr = c.Status
	}
	cfg.Follow = func(ctx context.Context, relabel func(parent.Labels) error) error {
		return me.Watch(ctx, c.Config, c.Name, func(now self.Self) error { return relabel(labels(now)) })
	}
	if c.Sound != nil && (*c.Sound < -mostOffset || *c.Sound > mostOffset) {
		return parent.Config{}, fmt.Errorf("--sound-offset=%v: must be from %v to %v", *c.Sound, -mostOffset, mostOffset)
	}
	if _, err := open(c.Source, cfg.Program); err != nil {
		return parent.Config{}, err
	}
	cfg.Executable, err = os.Executable()
	return cfg, err
}

func labels(s self.Self) parent.Labels {
	return parent.Labels{Room: s.Room, Role: s.Role, Address: "http://" + s.Box.HTTPAddr}
}

// encodeSlate is the slate child.
func encodeSlate() error {
	out := bufio.NewWriter(os.Stdout)
	if err := parent.EncodeSlate(os.Stdin, out); err != nil {
		return fmt.Errorf("slate: %w", err)
	}
	return out.Flush()
}
