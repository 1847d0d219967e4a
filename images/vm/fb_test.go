//go:build vm

package vm_test

import (
	"context"
	"fmt"
	goimage "image"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/picture"
)

// onScreen is where the box's screen shows a picture of 16:9, at 640x480.
var onScreen = picture.Rect{X: 14, Y: 61, W: 372, H: 209}

// numberOnScreen reads the stick's frame number off the box's screen.
func numberOnScreen(img goimage.Image) (int64, error) {
	var f media.Frame
	picture.FromImage(&f, img)
	return picture.ReadNumber(&f, onScreen)
}

// TestShortScreen looks at the box's screen as a person would: it shows what
// the stick sends, and a moment later something newer.
func TestShortScreen(t *testing.T) {
	b := boot(t, func(c *vm.Config) { c.Display = true })
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	first := b.screenAfter(ctx, t, -1)
	t.Logf("%.1f s after QEMU's start: frame %d", time.Since(b.Started).Seconds(), first)
	second := b.screenAfter(ctx, t, first)
	t.Logf("then frame %d", second)
	if dir := os.Getenv("SHOTS"); dir != "" { // for eyes
		img, err := b.Screendump(ctx)
		if err != nil {
			t.Fatal(err)
		}
		keep(img, dir)
	}
}

// screenAfter waits until the screen shows a frame after the given one.
func (b box) screenAfter(ctx context.Context, t *testing.T, last int64) int64 {
	t.Helper()
	poll := time.NewTicker(500 * time.Millisecond)
	defer poll.Stop()
	for {
		img, err := b.Screendump(ctx)
		if err != nil {
			t.Fatal(err)
		}
		n, unread := numberOnScreen(img)
		if unread == nil && n > last {
			return n
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			keep(img, os.TempDir())
			t.Fatalf("no frame after %d on the screen: last %d, %v", last, n, unread)
		}
	}
}

func keep(img goimage.Image, dir string) {
	f, err := os.Create(filepath.Join(dir, "screen.png"))
	if err != nil {
		return
	}
	defer f.Close()
	if png.Encode(f, img) == nil {
		fmt.Println("the screen is in", f.Name())
	}
}
