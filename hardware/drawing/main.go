// Command drawing draws how each panel of hardware/wiring.yaml is wired to the
// board's header, as a PNG file for each.
package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/alecthomas/kong"

	"github.com/openvideobox/videobox/hardware"
)

type command struct {
	Out string `default:"hardware/doc" type:"existingdir" help:"Folder that the pictures go to."`
}

// Run draws all of them.
func (c *command) Run(context.Context) error {
	for _, h := range hardware.Wires().Panels {
		p, _ := hardware.PanelNamed(h.Panel) // the wiring's check knows it
		file := filepath.Join(c.Out, "wiring-"+h.Panel+".png")
		if err := draw(hardware.Wires(), h, p.Title).SavePNG(file); err != nil {
			return fmt.Errorf("drawing: %w", err)
		}
		fmt.Println(file)
	}
	return nil
}

func main() {
	ctx := kong.Parse(&command{}, kong.BindTo(context.Background(), (*context.Context)(nil)),
		kong.Description("Draws how panels are wired to the board's header."))
	ctx.FatalIfErrorf(ctx.Run())
}
