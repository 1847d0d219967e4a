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

// onScreen is where the box's screen shows a picture of 16:9, by the screen's
// size (PictureRect of display/screen).
var onScreen = map[goimage.Point]picture.Rect{
	{X: 640, Y: 480}:  {X: 14, Y: 61, W: 372, H: 209},
	{X: 800, Y: 600}:  {X: 17, Y: 76, W: 466, H: 262},
	{X: 1024, Y: 768}: {X: 21, Y: 97, W: 597, H: 336},
	{X: 1280, Y: 720}: {X: 25, Y: 114, W: 699, H: 393},
	{X: 1280, Y: 800}: {X: 27, Y: 122, W: 745, H: 419},
}

// numberOnScreen reads the stick's frame number off the box's screen.
func numberOnScreen(img goimage.Image) (int64, error) {
	var f media.Frame
	picture.FromImage(&f, img)
	where, ok := onScreen[img.Bounds().Size()]
	if !ok {
		return 0, fmt.Errorf("a screen of %v, which onScreen doesn't know", img.Bounds().Size())
	}
	return picture.ReadNumber(&f, where)
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
			if dir := os.Getenv("SHOTS"); dir != "" { // for eyes
				keep(img, dir)
			}
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
