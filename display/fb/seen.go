package fb

import (
	"fmt"
	"image"
	"os"
	"path/filepath"
	"strings"
)

// seen is which part of a framebuffer, from its upper left corner, all of its
// screens show; whole is the size it says. They differ once another screen has
// been plugged in: DRM's framebuffer keeps the size of the first one, and a
// smaller screen shows the beginning of it (drm_fb_helper.c). Such a screen runs
// in the first mode of its connector's list, which holds none larger than the
// framebuffer (drm_client_modeset.c).
func seen(sys, name string, whole image.Point) image.Point {
	card, err := filepath.EvalSymlinks(filepath.Join(sys, "class/graphics", name, "device"))
	if err != nil {
		return whole
	}
	connectors, _ := filepath.Glob(filepath.Join(sys, "class/drm/card*-*")) // only a bad pattern is an error
	for _, c := range connectors {
		of, err := filepath.EvalSymlinks(filepath.Join(c, "device/device"))
		if mode, ok := firstMode(c); err == nil && of == card && ok {
			whole = image.Pt(min(whole.X, mode.X), min(whole.Y, mode.Y))
		}
	}
	return whole
}

// firstMode is the first of a connector's modes; ok is false where no screen is.
func firstMode(connector string) (mode image.Point, ok bool) {
	status, err := os.ReadFile(filepath.Join(connector, "status"))
	if err != nil || strings.TrimSpace(string(status)) != "connected" {
		return mode, false
	}
	modes, err := os.ReadFile(filepath.Join(connector, "modes"))
	if err != nil {
		return mode, false
	}
	n, _ := fmt.Sscanf(string(modes), "%dx%d", &mode.X, &mode.Y) // "1920x1080i" is interlaced
	return mode, n == 2 && mode.X > 0 && mode.Y > 0
}
