// Tstee takes an MPEG transport stream on standard input and serves it to any
// number of TCP and HTTP readers. It does what sproxy does, on the same ports,
// and readers start at a keyframe:
//
//	ffmpeg -i … -f mpegts - | tstee [PORTSHIFT]
package main

import (
	"context"
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/run"
)

// The ports, before PORTSHIFT is added.
const (
	streamPort   = 8899
	bufferedPort = 8898
	httpPort     = 80
	statusPort   = 8894
)

const description = `Serve the MPEG transport stream on standard input to any number of readers.

  ffmpeg -re -i talk.mp4 -c copy -f mpegts - | tstee
  ffplay tcp://127.0.0.1:8899

TCP 8899 starts at the newest keyframe, TCP 8898 half the ring earlier, HTTP 80
(any path) at the newest keyframe. PORTSHIFT is added to each of these ports.
A reader slower than the stream is dropped when the ring has gone past it, and
never slows the others. The end of the input ends the program.`

type options struct {
	Portshift int              `arg:"" optional:"" help:"Added to every port."`
	Address   string           `help:"IP address to listen on; without it all of this host's." placeholder:"IP"`
	Ring      int              `help:"Size of the ring in MiB; 16 hold 16 s at 8 Mbit/s." default:"16" placeholder:"MIB"`
	Version   kong.VersionFlag `help:"Print the version and exit."`
	Status    string           `help:"Where /api/status, /metrics and /healthz are served; 127.0.0.1:8894 plus PORTSHIFT without it." placeholder:"ADDRESS:PORT"`
}

// Validate is called by kong.
func (o *options) Validate() error {
	if most := 65535 - streamPort; o.Portshift < 0 || o.Portshift > most {
		return fmt.Errorf("PORTSHIFT is %d; want 0 to %d", o.Portshift, most)
	}
	if o.Ring < 1 || o.Ring > 4096 {
		return fmt.Errorf("--ring is %d MiB; want 1 to 4096", o.Ring)
	}
	return nil
}

func main() {
	var o options
	kong.Parse(&o, kong.Name("tstee"), kong.Vars{"version": metrics.Version()}, kong.Description(description), kong.ConfigureHelp(kong.HelpOptions{WrapUpperBound: 100}))
	run.Main(func(ctx context.Context) error { return serve(ctx, o) })
}
