//go:build vm

package e2e

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/picture"
)

// TestDrillMachines is `make run VM=1`: two boxes in QEMU, whose pictures are in
// the mix, and a browser that plays it.
func TestDrillMachines(t *testing.T) {
	for _, path := range []string{bin("vm"), bin("videobox.img")} {
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("%v: make image vm-ready builds it", err)
		}
	}
	c := newChain(t, 7000, "--vm", "--camera", "pattern", "--slides", "pattern")
	eventually(t, 2*time.Minute, "both boxes send", func() error { return boxesSend(t, c) })
	eventually(t, 3*time.Minute, "the cache's playlist plays", func() error { return c.plays(1) })
	b := openBrowser(t, c.url(portCache, "/#demo"), 1280, 900)
	eventually(t, time.Minute, "the video starts", func() error {
		if at := b.currentTime(t); at <= 0 {
			return fmt.Errorf("at %v", at)
		}
		return nil
	})
	eventually(t, 2*time.Minute, "the stick's picture is in the mix", func() error {
		ts, err := watch(t.Context(), "tcp://"+c.hostPort(portMixer), 3*time.Second)
		if err == nil && len(stickPictures(t, ts)) == 0 {
			err = errors.New("none there")
		}
		return err
	})
	from := b.currentTime(t)
	ts, err := watch(t.Context(), "tcp://"+c.hostPort(portMixer), 15*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if moved := b.currentTime(t) - from; moved < 5 {
		t.Errorf("the browser's video moved %.1f s in 15 s", moved)
	} else {
		t.Logf("the browser's video moved %.1f s in 15 s", moved)
	}
	b.screenshot(t, "machines")
	n := len(stickPictures(t, ts))
	t.Logf("%d different pictures of the camera's stick in 15 s of the mix", n)
	if n < 10 {
		t.Errorf("the stick's picture does not move in the mix: %d different ones in 15 s", n)
	}
}

// stickPictures are the numbers of the pictures of the camera's stick in the mix,
// where the camera lies over the slides' own number.
func stickPictures(t *testing.T, ts []byte) map[int64]bool {
	t.Helper()
	camera := picture.Rect{X: smallRect.X / 2, Y: smallRect.Y / 2, W: smallRect.W / 2, H: smallRect.H / 2} // the mix is 640x360 here
	numbers := map[int64]bool{}
	picturesOf(t, ts, media.NewFrame(640, 360), func(_ int, p *media.Frame) {
		if n, err := picture.ReadNumber(p, camera); err == nil {
			numbers[n] = true
		}
	})
	return numbers
}

// boxesSend asks the mixer about what the boxes send.
func boxesSend(t *testing.T, c *chain) error {
	status, err := metrics.Fetch(t.Context(), client, c.url(portControl, "/api/status"))
	if err != nil {
		return err
	}
	found := 0
	for _, h := range status.Hops {
		if h.Direction == "in" && (h.Name == "camera" || h.Name == "slides") {
			if h.BitsPerSecond == 0 {
				return fmt.Errorf("%s: %s %s", h.Name, h.State, h.Cause)
			}
			found++
		}
	}
	if found != 2 {
		return fmt.Errorf("%d inputs: %+v", found, status.Hops)
	}
	return nil
}
