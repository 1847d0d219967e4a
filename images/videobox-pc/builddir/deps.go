// Package build pins what goes into the PC image: one go.mod for all of it.
package build

import (
	_ "github.com/gokrazy/gokrazy"
	_ "github.com/openvideobox/kernel-pc"
)
