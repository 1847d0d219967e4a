//go:build vm

package vm_test

import (
	"context"
	goimage "image"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
)

// TestShortPCScreens starts a box without a screen, plugs one in, pulls it out
// and plugs in a smaller one, which the kernel gives the beginning of the first
// one's framebuffer, and the first one again: preview draws on each what fits.
func TestShortPCScreens(t *testing.T) {
	v := bootVictimPC(t, func(c *vm.Config) { c.Display, c.GPU, c.Unplugged = true, "virtio-gpu-pci", true })
	ctx := within(t, 2*time.Minute)
	const status = "/sys/class/drm/card0-Virtual-1/status"
	if said, err := v.inside(ctx, "read "+status); err != nil || said != "disconnected\n" {
		t.Fatalf("at the start the screen is %q, %v", said, err)
	}
	if _, err := v.inside(ctx, "read /sys/class/graphics/fb0/name"); err == nil {
		t.Fatal("there is a framebuffer without a screen")
	}
	before, err := v.inside(ctx, "pids preview")
	if err != nil {
		t.Fatal(err)
	}
	last := int64(-1)
	for _, size := range []goimage.Point{{X: 1280, Y: 720}, {X: 640, Y: 480}, {X: 1280, Y: 720}} {
		if err := v.PlugScreen(ctx, size); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		last = v.screenAfter(ctx, t, last)
		t.Logf("%v plugged in: frame %d after %.1f s", size, last, time.Since(began).Seconds())
		if err := v.PlugScreen(ctx, goimage.Point{}); err != nil {
			t.Fatal(err)
		}
		v.says(ctx, t, status, "disconnected\n")
	}
	if after, err := v.inside(ctx, "pids preview"); err != nil || after != before {
		t.Errorf("preview's process was %s and is %s, %v", before, after, err)
	}
}

// says waits until a file in the box reads as wanted.
func (v victim) says(ctx context.Context, t *testing.T, file, want string) {
	t.Helper()
	poll := time.NewTicker(200 * time.Millisecond)
	defer poll.Stop()
	for {
		said, err := v.inside(ctx, "read "+file)
		if err == nil && said == want {
			return
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("%s is %q, %v; want %q", file, said, err, want)
		}
	}
}
