//go:build vm

package vm_test

import (
	goimage "image"
	"os"
	"fmt"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
)

func TestExploreScreens(t *testing.T) {
	v := bootVictimPC(t, func(c *vm.Config) { c.Display, c.GPU, c.Unplugged = true, "virtio-gpu-pci", true })
	ctx := within(t, 3*time.Minute)
	ask := func(what string) {
		for _, c := range []string{"read /sys/class/drm/card0-Virtual-1/status", "read /sys/class/drm/card0-Virtual-1/modes", "read /sys/class/graphics/fb0/name", "read /sys/class/graphics/fb0/virtual_size", "read /sys/class/graphics/fb0/stride", "pids preview"} {
			said, err := v.inside(ctx, c)
			t.Logf("%s: %s: %q %v", what, c, said, err)
		}
		img, err := v.Screendump(ctx)
		if err != nil { t.Log(err); return }
		n, err := numberOnScreen(img)
		t.Log(what, img.Bounds(), n, err)
		dir := "/tmp/w/pc/shots/"+what
		os.MkdirAll(dir, 0o755)
		keep(img, dir)
	}
	ask("start")
	for i, size := range []goimage.Point{{X: 640, Y: 480}, {}, {X: 1280, Y: 720}, {X: 800, Y: 600}, {}, {X: 640, Y: 480}} {
		if err := v.PlugScreen(ctx, size); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6*time.Second)
		ask(fmt.Sprint(i, size))
	}
	t.Log(logOf(ctx, t, v.Machine, "boot.txt?program=preview", "secret"))
	t.Log(v.Console.Last(15))
}
