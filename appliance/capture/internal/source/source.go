// Package source opens what --source names.
package source

import (
	"context"
	"fmt"
	"strings"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/drivers/file"
	"github.com/openvideobox/videobox/drivers/pattern"
	"github.com/openvideobox/videobox/internal/program"
)

// Help says what a source may be, for --help and errors.
const Help = "pattern (bars, clock, flash and beep), deck (slides), a media FILE, or a capture device: v4l2:auto or v4l2:/dev/videoN, with ,hw:CARD,DEVICE for the sound of one that isn't on USB (--list names the cards), or ,none"

// Open makes the source that spec names, delivering c's size and rate where it
// can. A file that can't be played at all is an error here; a device that isn't
// there is a state of the source.
func Open(spec string, c program.Config) (drivers.Source, error) {
	switch {
	case spec == "":
		return nil, fmt.Errorf("no source: give --source %s", Help)
	case spec == "pattern":
		p := pattern.New(pattern.Config{Width: c.Width, Height: c.Height, Rate: c.Rate})
		return sourceFunc(func(ctx context.Context, s drivers.Sink) error { return p.Run(ctx, s) }), nil
	case spec == "deck":
		d := pattern.NewDeck(pattern.Config{Width: c.Width, Height: c.Height, Rate: c.Rate})
		return sourceFunc(func(ctx context.Context, s drivers.Sink) error { return d.Run(ctx, s) }), nil
	case strings.HasPrefix(spec, "v4l2:"):
		return device(strings.TrimPrefix(spec, "v4l2:"), c)
	}
	f, err := file.Open(spec, file.Config{Width: c.Width, Height: c.Height, Rate: c.Rate})
	if err != nil {
		return nil, err
	}
	return sourceFunc(func(ctx context.Context, s drivers.Sink) error { return f.Run(ctx, s) }), nil
}

// sourceFunc is the source of a driver that knows frames and samples only.
type sourceFunc func(context.Context, drivers.Sink) error

func (f sourceFunc) Run(ctx context.Context, s drivers.Sink) error { return f(ctx, s) }
