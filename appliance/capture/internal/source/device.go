package source

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/drivers/alsa"
	"github.com/openvideobox/videobox/drivers/v4l2"
	"github.com/openvideobox/videobox/internal/codec/jpeg"
	"github.com/openvideobox/videobox/internal/program"
	"github.com/openvideobox/videobox/internal/run"
)

// device is a capture device with its sound: v4l2:/dev/video0 takes the sound
// card of the same USB device, v4l2:/dev/video0,hw:1,0 that one, and
// v4l2:/dev/video0,none none.
func device(spec string, c program.Config) (drivers.Source, error) {
	video, sound, named := strings.Cut(spec, ",")
	if !strings.HasPrefix(video, "/dev/") {
		return nil, fmt.Errorf("source v4l2:%s: write v4l2:/dev/videoN, or v4l2:/dev/videoN,hw:CARD,DEVICE", spec)
	}
	d := &stick{video: v4l2.New(v4l2.Config{
		Path: video, Width: c.Width, Height: c.Height, Rate: c.Rate, Decode: jpeg.Decode,
	})}
	switch {
	case named && sound == "none":
		d.sound = func() (string, bool) { return "", false }
	case named:
		path, err := alsa.Path(sound)
		if err != nil {
			return nil, err
		}
		d.sound = func() (string, bool) { return path, true }
	default:
		d.sound = func() (string, bool) { return alsa.CardOf("/sys", video) }
	}
	return d, nil
}

// stick is a video node with a sound device.
type stick struct {
	video *v4l2.Source
	sound func() (path string, ok bool)
}

// Run ends when the picture does. The sound is started again as often as it
// fails; without it capture sends silence.
func (d *stick) Run(ctx context.Context, sink drivers.Sink) error {
	g := run.NewGroup(ctx)
	g.Go("", func(ctx context.Context) error { return d.video.Run(ctx, sink) })
	if path, ok := d.sound(); ok {
		g.Go("", func(ctx context.Context) error {
			return run.Restart(ctx, "sound", run.Backoff{}, func(ctx context.Context) error {
				return alsa.New(alsa.Config{Path: path}).Run(ctx, sink)
			})
		})
	} else {
		slog.Debug("no sound device; sending silence")
	}
	return g.Wait()
}
