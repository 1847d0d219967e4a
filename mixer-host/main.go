// Mixer-host mixes a room: it reads the camera's and the slides' streams,
// composes them, and sends the mix as one transport stream for each rendition.
// The page on its HTTP port controls it.
package main

import (
	"context"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/openvideobox/videobox/internal/run"
)

type flags struct {
	Run runCmd `cmd:"" help:"Mix a room of the event."`
}

type runCmd struct {
	Config string        `required:"" placeholder:"FILE" help:"The event file."`
	Room   string        `required:"" placeholder:"NAME" help:"Which of the event's rooms to mix."`
	State  string        `placeholder:"DIR" default:"${state}" help:"Where scene and volumes are kept over a restart: ${default}."`
	Delay  time.Duration `default:"240ms" help:"How far the mix is behind its sources: what arrives later is not shown (${default})."`
	Preset string        `default:"superfast" help:"Of x264, from ultrafast to slow (${default})."`
	Quiet  bool          `name:"no-announce" help:"Don't announce the event to boxes in the local network (DNS-SD, _videobox-event._tcp). A mixer on a loopback address never does."`
	FFmpeg string        `name:"ffmpeg" default:"ffmpeg" placeholder:"PATH" help:"The program that decodes (${default})."`
}

// stateDir is where systemd says, else the usual place.
func stateDir() string {
	if dir := os.Getenv("STATE_DIRECTORY"); dir != "" {
		return dir
	}
	return "/var/lib/mixer-host"
}

func main() {
	var f flags
	ctx := kong.Parse(&f, kong.Name("mixer-host"), kong.Vars{"state": stateDir()},
		kong.Description("Mixes a room's camera and slides, and serves the control page."))
	run.Main(func(c context.Context) error {
		ctx.BindTo(c, (*context.Context)(nil))
		return ctx.Run()
	})
}
