// Command boxd is a box's page and API: what it sends, how it is, what it has
// recorded.
package main

import (
	"time"

	"github.com/alecthomas/kong"

	"github.com/openvideobox/videobox/internal/run"
)

const description = `Serves the page and the API of one box: / (also for phones), /api/status,
/metrics, /healthz, /preview.jpg, /stream.ts, /licenses, and, with the event's
box credentials, /recordings/.

  boxd --config event.yaml --name box1 --recordings /srv/recordings`

type cli struct {
	Config     string `required:"" placeholder:"FILE" help:"The event file; of a list like PATH, the first that exists."`
	Name       string `required:"" placeholder:"BOX" help:"The box in the event file that this is; auto: what boxd found out, on an image."`
	Recordings string `default:"/perm/recordings" placeholder:"DIR" help:"Where record puts its files; several places as in PATH, the first is where it does without a disk."`
	HTTP       string `name:"http" placeholder:"HOST:PORT" help:"Where to serve instead of the event's address."`

	TimePool []string      `placeholder:"HOST" help:"Time servers where neither the event nor DHCP names any. Default: 0 to 3.debian.pool.ntp.org."`
	TimePoll time.Duration `default:"16s" help:"How often each time server is asked; more often where there are fewer than four."`
}

func main() {
	var c cli
	kong.Parse(&c, kong.Name("boxd"), kong.Description(description))
	run.Main(c.run)
}
