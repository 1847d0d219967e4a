// Package chromium starts a Chromium for the test of a page.
package chromium

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Start starts a Chromium of that many pixels, with a profile of its own, for
// chromedp.Run. It ends with the test, or when end is called. Without a
// Chromium the test is skipped, and fails in CI.
func Start(t *testing.T, width, height int, more ...chromedp.ExecAllocatorOption) (ctx context.Context, end func()) {
	t.Helper()
	path := find()
	if path == "" && os.Getenv("CI") == "true" {
		t.Fatal("no chromium: make deps-test installs it")
	} else if path == "" {
		t.Skip("no chromium: make deps-test installs it")
	}
	profile, err := os.MkdirTemp("", "chromium-profile")
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(profile),
		chromedp.Flag("disable-component-update", true), chromedp.WindowSize(width, height),
		chromedp.WSURLReadTimeout(2*time.Minute)) // by itself 20 s: a busy machine takes its time
	ctx, cancelAllocator := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	ctx, cancel := chromedp.NewContext(ctx)
	end = sync.OnceFunc(func() {
		// Cancel waits for the browser's end, if it ends.
		soon, stop := context.WithTimeout(ctx, 10*time.Second)
		_ = chromedp.Cancel(soon)
		stop()
		cancel()
		cancelAllocator()
		remove(t, profile)
	})
	t.Cleanup(end)
	return ctx, end
}

func find() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// remove removes a profile. Helper processes outlive the browser by some
// milliseconds and write to it until then.
func remove(t *testing.T, profile string) {
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := os.RemoveAll(profile)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Log(err)
			return
		}
	}
}
