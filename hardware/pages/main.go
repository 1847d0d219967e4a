// Command pages makes what people read from hardware's data: the tables of
// parts.md, and for each panel of wiring.yaml a drawing of its wires.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/alecthomas/kong"

	"github.com/openvideobox/videobox/hardware"
)

type command struct {
	Out string `default:"hardware" type:"existingdir" help:"Folder that they go to; drawings go to its doc."`
}

// Run makes all of them.
func (c *command) Run(context.Context) error {
	if err := os.WriteFile(filepath.Join(c.Out, "parts.md"), tables(), 0o644); err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	for _, h := range hardware.Wires().Panels {
		p, _ := hardware.PanelNamed(h.Panel) // the wiring's check knows it
		file := filepath.Join(c.Out, "doc", "wiring-"+h.Panel+".png")
		if err := draw(hardware.Wires(), h, p.Title).SavePNG(file); err != nil {
			return fmt.Errorf("pages: %w", err)
		}
	}
	return nil
}

func main() {
	ctx := kong.Parse(&command{}, kong.BindTo(context.Background(), (*context.Context)(nil)),
		kong.Description("Makes hardware's tables and drawings from its data."))
	ctx.FatalIfErrorf(ctx.Run())
}
