// Command fleet looks after all boxes of an event from one place:
//
//	go run ./images/fleet update --config event.yaml --bundle bin/videobox.vbox
//	go run ./images/fleet status --config event.yaml
//	go run ./images/fleet image --config event.yaml /dev/sdX
//
// A box is reached at the address that the event file gives it; a NAME.local
// that the system can't resolve, at the one by which it answers DNS-SD.
package main

import (
	"context"

	"github.com/alecthomas/kong"

	"github.com/openvideobox/videobox/internal/run"
)

type cli struct {
	Update updateCmd `cmd:"" help:"Put a signed bundle onto all boxes of the event: first onto one, the canary, and when that has committed it, onto the others."`
	Status statusCmd `cmd:"" help:"Show how all boxes of the event are, and boxes in this network that it doesn't list."`
	Image  imageCmd  `cmd:"" help:"Write what a box must know of the event into an image or onto a card: credentials, as a hash, and the public keys of views and updates."`
}

const description = `Looks after all boxes of an event, which its event file lists, with the user and password of its secrets file.

For each card, after make flash and as root:
  fleet image --config event.yaml /dev/sdX
At any time:
  fleet status --config event.yaml
  fleet update --config event.yaml --bundle bin/videobox.vbox`

func main() {
	var c cli
	k := kong.Parse(&c, kong.Name("fleet"), kong.Description(description),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	run.Main(func(ctx context.Context) error {
		k.BindTo(ctx, (*context.Context)(nil))
		return k.Run()
	})
}
