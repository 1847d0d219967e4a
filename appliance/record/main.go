// Command record writes a box's own stream to disk. It reads the TCP port that
// everybody reads and never touches the encoder, so that it proves what is
// sent, and dies last.
package main

import (
	"context"
	"time"

	"github.com/alecthomas/kong"

	"github.com/openvideobox/videobox/appliance/internal/self"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/recording"
	"github.com/openvideobox/videobox/internal/run"
)

const description = `Records a box's own stream: files of --segment that start at keyframes, in
DIR/BOX/BOX-YYYYMMDDHHMMSS.ts, with an index BOX.jsonl beside them. What is
written is flushed every half second. After a restart it goes on where it
stopped, from the box's buffered port.

  record --config event.yaml --name box1 --dir /srv/recordings`

type cli struct {
	Config    string        `required:"" placeholder:"FILE" help:"The event file; of a list like PATH, the first that exists."`
	Name      string        `required:"" placeholder:"BOX" help:"The box in the event file that this is; auto: what boxd found out, on an image."`
	Dir       string        `default:"/perm/recordings" help:"Where recordings go."`
	Disk      string        `placeholder:"DIR" help:"If a disk is mounted here, record to DIR/recordings on it instead; boxd mounts one that is labelled videobox at /run/videobox/disk."`
	Segment   time.Duration `default:"10m" help:"Length of a file."`
	KeepFree  uint64        `default:"512" placeholder:"MIB" help:"Leave so many MiB of the disk free: acknowledged files go first, then recording stops. Default: 512."`
	Overwrite bool          `help:"When the disk is full, delete the oldest files even if nobody has acknowledged a copy."`
	Retention time.Duration `placeholder:"DURATION" help:"Delete acknowledged files after so long (72h), whatever is free; by default they stay until room is needed."`
	ReadBack  bool          `default:"true" negatable:"" help:"Read each finished file back from the disk and compare."`
	Status    string        `placeholder:"HOST:PORT" help:"Where to serve status and metrics instead of the event's address."`
}

func main() {
	var c cli
	kong.Parse(&c, kong.Name("record"), kong.Description(description))
	run.Main(c.run)
}

func (c cli) run(ctx context.Context) error {
	box, err := self.Find(ctx, c.Config, c.Name)
	if err != nil {
		return err
	}
	if c.Status == "" {
		c.Status = box.Box.StatusAddr("record")
	}
	dir := place(c.Disk, c.Dir)
	return record(ctx, options{
		name: box.Box.Name, room: box.Room, role: box.Role,
		stream: box.StreamAddr(), buffered: box.BufferedAddr(), status: c.Status,
		diskAt: c.Disk, fallback: c.Dir,
		captureAddr: box.Box.StatusAddr("capture"),
		follow: func(ctx context.Context, r *metrics.Reporter) error {
			return box.Watch(ctx, c.Config, c.Name, self.Follow(r))
		},
		recording: recording.Config{
			Dir: dir, Name: box.Box.Name, Segment: c.Segment, ReadBack: c.ReadBack, Bitrate: box.Event.Video.Bitrate,
			Policy: recording.Policy{KeepFree: c.KeepFree << 20, Overwrite: c.Overwrite, Retention: c.Retention},
		},
	})
}
