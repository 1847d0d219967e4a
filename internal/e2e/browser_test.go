package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/openvideobox/videobox/internal/chromium"
)

// browser opens a page in headless Chromium and collects what its console
// complains of.
type browser struct {
	ctx   context.Context
	close func()

	mu       sync.Mutex
	problems []string
}

func openBrowser(t *testing.T, url string, width, height int) *browser {
	t.Helper()
	ctx, end := chromium.Start(t, width, height,
		chromedp.Flag("disable-quic", true), chromedp.Flag("autoplay-policy", "no-user-gesture-required"))
	b := &browser{ctx: ctx, close: end}
	chromedp.ListenTarget(ctx, b.listen)
	if err := chromedp.Run(ctx, cdplog.Enable(), chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *browser) listen(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := ev.(type) {
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, "exception: "+e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeAssert {
			b.problems = append(b.problems, fmt.Sprintf("console.%s: %s", e.Type, args(e.Args)))
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.LevelError {
			b.problems = append(b.problems, fmt.Sprintf("log: %s %s", e.Entry.Text, e.Entry.URL))
		}
	}
}

func args(objects []*runtime.RemoteObject) string {
	var s []string
	for _, o := range objects {
		s = append(s, string(o.Value)+o.Description)
	}
	return strings.Join(s, " ")
}

func (b *browser) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.problems...)
}

// currentTime is that of the page's video, NaN-free: -1 without one.
func (b *browser) currentTime(t *testing.T) float64 {
	t.Helper()
	var at float64
	if err := chromedp.Run(b.ctx, chromedp.Evaluate(`document.querySelector("video")?.currentTime ?? -1`, &at)); err != nil {
		t.Fatal(err)
	}
	return at
}

// screenshot writes what the page looks like, when E2E_SHOTS names a folder.
func (b *browser) screenshot(t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("E2E_SHOTS")
	if dir == "" {
		return
	}
	var png []byte
	if err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot(&png)); err != nil {
		t.Error(err)
		return
	}
	if err := os.WriteFile(dir+"/"+name+".png", png, 0o644); err != nil {
		t.Error(err)
	}
}

// testBrowser plays the watch page: 10 s of film in 15 s, nothing in the
// console, and through the death of each process behind it.
func testBrowser(t *testing.T, c *chain) {
	b := openBrowser(t, c.url(portCache, "/#demo"), 1280, 900)
	eventually(t, 20*time.Second, "the video starts", func() error {
		if at := b.currentTime(t); at <= 0 {
			return fmt.Errorf("at %v", at)
		}
		return nil
	})
	from := b.currentTime(t)
	time.Sleep(15 * time.Second)
	moved := b.currentTime(t) - from
	t.Logf("moved %.1f s in 15 s", moved)
	if moved < 10 {
		t.Errorf("moved only %.1f s in 15 s", moved)
	}
	if p := b.complaints(); len(p) > 0 {
		t.Errorf("the page complains: %q", p)
	}
	b.screenshot(t, "watch")
	t.Run("latency", func(t *testing.T) { testLatency(t, c, 2) })
	t.Run("kill", func(t *testing.T) { testKills(t, c, b) })
}

// testPages opens every page there is, at a desktop's and at a phone's width:
// no complaint in the console, nothing wider than the window.
func testPages(t *testing.T, c *chain) {
	for _, width := range []int{1280, 390} {
		for name, url := range map[string]string{
			"control": c.url(portControl, "/"), "box": c.url(portBox1, "/"), "licences": c.url(portCache, "/licenses"),
		} {
			b := openBrowser(t, url, width, 860)
			time.Sleep(2500 * time.Millisecond) // pictures and meters come by themselves
			var over float64
			if err := chromedp.Run(b.ctx, chromedp.Evaluate(`document.documentElement.scrollWidth - window.innerWidth`, &over)); err != nil {
				t.Fatal(err)
			}
			if over > 0 {
				t.Errorf("%s at %d: %.0f pixels too wide", name, width, over)
			}
			if p := b.complaints(); len(p) > 0 {
				t.Errorf("%s complains: %q", name, p)
			}
			b.screenshot(t, fmt.Sprintf("%s-%d", name, width))
			b.close()
		}
	}
}
