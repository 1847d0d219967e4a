package fb

import (
	"errors"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"testing"
)

// sysfs has a framebuffer fb0 on one card, with two connectors, and a connector
// of another card.
func sysfs(t *testing.T) (sys string) {
	t.Helper()
	sys = t.TempDir()
	for _, dir := range []string{"class/graphics/fb0", "class/drm", "pci/card0/HDMI-A-1", "pci/card0/HDMI-A-2", "usb/card1/USB-1"} {
		if err := os.MkdirAll(filepath.Join(sys, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{
		"class/graphics/fb0/device": "pci", "pci/card0/device": "pci", "usb/card1/device": "usb",
		"pci/card0/HDMI-A-1/device": "pci/card0", "pci/card0/HDMI-A-2/device": "pci/card0", "usb/card1/USB-1/device": "usb/card1",
		"class/drm/card0": "pci/card0", "class/drm/card1": "usb/card1",
		"class/drm/card0-HDMI-A-1": "pci/card0/HDMI-A-1", "class/drm/card0-HDMI-A-2": "pci/card0/HDMI-A-2", "class/drm/card1-USB-1": "usb/card1/USB-1",
	} {
		if err := os.Symlink(filepath.Join(sys, to), filepath.Join(sys, link)); err != nil {
			t.Fatal(err)
		}
	}
	plug(t, sys, "card0-HDMI-A-1", "disconnected\n", "")
	plug(t, sys, "card0-HDMI-A-2", "disconnected\n", "")
	plug(t, sys, "card1-USB-1", "connected\n", "320x240\n")
	return sys
}

func plug(t *testing.T, sys, connector, status, modes string) {
	t.Helper()
	for name, text := range map[string]string{"status": status, "modes": modes} {
		if err := os.WriteFile(filepath.Join(sys, "class/drm", connector, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSeen(t *testing.T) {
	const on, off = "connected\n", "disconnected\n"
	for _, c := range []struct {
		what, status1, modes1, status2, modes2 string
		want                                   image.Point
	}{
		{"no screen", off, "", off, "", image.Pt(1920, 1080)},
		{"the screen it was made for", on, "1920x1080\n1280x720\n", off, "", image.Pt(1920, 1080)},
		{"a smaller one", on, "1280x720\n640x480\n", off, "", image.Pt(1280, 720)},
		{"a larger one", on, "3840x2160\n1920x1080\n", off, "", image.Pt(1920, 1080)},
		{"interlaced", on, "1440x576i\n", off, "", image.Pt(1440, 576)},
		{"two", on, "1280x1024\n", on, "1366x768\n", image.Pt(1280, 768)},
		{"one that was pulled", on, "1920x1080\n", off, "640x480\n", image.Pt(1920, 1080)},
		{"no modes", on, "", on, "no mode\n", image.Pt(1920, 1080)},
		{"a mode of nothing", on, "0x0\n", on, "-5x7\n", image.Pt(1920, 1080)},
	} {
		sys := sysfs(t)
		plug(t, sys, "card0-HDMI-A-1", c.status1, c.modes1)
		plug(t, sys, "card0-HDMI-A-2", c.status2, c.modes2)
		if got := seen(sys, "fb0", image.Pt(1920, 1080)); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
	if got := seen(sysfs(t), "fb7", image.Pt(800, 480)); got != image.Pt(800, 480) {
		t.Errorf("a framebuffer without DRM: %v", got)
	}
}

// TestAnotherScreen pulls a screen out and plugs a smaller one in.
func TestAnotherScreen(t *testing.T) {
	sys, f := sysfs(t), newFake("XRGB8888", 400, 300, 0)
	plug(t, sys, "card0-HDMI-A-1", "connected\n", "400x300\n")
	s, err := newScreen("/dev/fb0", f, sys)
	if err != nil {
		t.Fatal(err)
	}
	white := color.RGBA{0xff, 0xff, 0xff, 0xff}
	large := picture(400, 300, white)
	if err := s.Draw(large, large.Rect); err != nil {
		t.Fatal(err)
	}
	plug(t, sys, "card0-HDMI-A-1", "disconnected\n", "")
	if err := s.Draw(large, large.Rect); err != nil {
		t.Errorf("without a screen: %v", err)
	}
	plug(t, sys, "card0-HDMI-A-1", "connected\n", "320x240\n")
	if err := s.Draw(large, large.Rect); !errors.Is(err, ErrChanged) {
		t.Errorf("a smaller one: %v", err)
	}
	if s, err = newScreen("/dev/fb0", f, sys); err != nil || s.Size() != image.Pt(320, 240) {
		t.Fatalf("%v, %v", s.Size(), err)
	}
	clear(f.mem)
	small := picture(320, 240, white)
	if err := s.Draw(small, small.Rect); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		x, y int
		want byte
	}{"first": {0, 0, 0xff}, "last": {319, 239, 0xff}, "beside": {320, 0, 0}, "below": {0, 240, 0}} {
		if got := f.mem[c.y*1600+4*c.x]; got != c.want {
			t.Errorf("%s pixel: %#x, want %#x", name, got, c.want)
		}
	}
}
