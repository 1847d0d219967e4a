package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/openvideobox/videobox/images/disk"
)

// newEntries are what the root folder needs: 5 for the two files below, 4 for
// what images/fleet or a person puts there, and some to spare.
const newEntries = 12

// boxExample is the commented example of videobox.yaml, one for all instances.
const boxExample = "videobox.yaml.example"

// openBoot makes room on the boot partition, which gok leaves full, and puts
// the example there: a person shall be able to write a videobox.yaml on any
// laptop. Also which version the image is, for people and for bundles.
func openBoot(ctx context.Context, path string, v version) error {
	boot, err := disk.OpenBoot(path, newEntries)
	if err != nil {
		return err
	}
	example, err := os.ReadFile(filepath.Join("images", "videobox", boxExample))
	if err != nil {
		return err
	}
	if err := boot.Write(ctx, boxExample, example); err != nil {
		return err
	}
	text, err := v.text()
	if err != nil {
		return err
	}
	return boot.Write(ctx, bootVersionFile, text)
}
