package control

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/openvideobox/videobox/internal/chromium"
	"github.com/openvideobox/videobox/internal/run/runtest"
	"github.com/openvideobox/videobox/mixer-host/internal/engine"
)

// complaints collects what the console and uncaught errors say.
func complaints(ctx context.Context) func() []string {
	var mu sync.Mutex
	var list []string
	chromedp.ListenTarget(ctx, func(ev any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := ev.(type) {
		case *runtime.EventExceptionThrown:
			list = append(list, e.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning {
				list = append(list, "console: "+string(e.Type))
			}
		}
	})
	return func() []string { mu.Lock(); defer mu.Unlock(); return list }
}

func TestPage(t *testing.T) {
	room := testRoom(t)
	server := httptest.NewServer(room.Handler())
	defer server.Close()
	defer server.CloseClientConnections() // the page's events never end
	ctx, _ := chromium.Start(t, 1280, 900)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	said := complaints(ctx)
	var cause, alarm string
	var scrolls bool
	err := chromedp.Run(ctx,
		chromedp.Navigate(server.URL),
		chromedp.WaitVisible(".card"),
		chromedp.Poll(`[...document.images].length == 3 && [...document.images].every(i => i.naturalWidth > 0)`, nil),
		chromedp.Text(".card:nth-child(2) .over", &cause),
		screenshot(t, "desktop.png"),
		chromedp.KeyEvent("1"),
		chromedp.Poll(`document.querySelector(".mode[aria-pressed=true] .label").textContent == "Full screen"`, nil),
		chromedp.KeyEvent("x"),
		chromedp.Poll(`document.querySelector(".card:nth-child(1) .side.a").ariaPressed == "true"`, nil),
		chromedp.Focus(".card:nth-child(1) input"),
		chromedp.KeyEvent(kb.ArrowLeft),
		chromedp.Click(".card:nth-child(2) .mute"),
		chromedp.Poll(`document.querySelector(".card:nth-child(2) .mute").ariaPressed == "true"`, nil),
		chromedp.Poll(`document.querySelector(".card:nth-child(3) .lufs").textContent.endsWith("LUFS")`, nil),
		chromedp.Text(".card:nth-child(1) .alarm", &alarm),
		chromedp.EmulateViewport(375, 812, chromedp.EmulateMobile),
		chromedp.Poll(`innerWidth <= 375`, nil),
		chromedp.Evaluate(`document.documentElement.scrollWidth > innerWidth`, &scrolls),
		screenshot(t, "phone.png"),
	)
	if err != nil {
		t.Fatal(err)
	}
	runtest.Eventually(t, "a step of 1 dB down", func() bool { // its request is none of those waited for above
		v := room.o.Engine.Control().Audio["camera"].Volume
		return v > 0.88 && v < 0.9
	})
	c := room.o.Engine.Control()
	if c.Scene != (engine.Scene{Mode: engine.Fullscreen, A: "camera", B: "slides"}) || !c.Audio["slides"].Mute {
		t.Errorf("the mixer has %+v", c)
	}
	if !strings.Contains(cause, "no connection to 192.0.2.1:8899") || alarm != "" || scrolls {
		t.Errorf("cause %q, alarm %q, scrolls sideways %v", cause, alarm, scrolls)
	}
	if list := said(); len(list) > 0 {
		t.Errorf("complaints: %q", list)
	}
}

// screenshot is kept with go test -artifacts.
func screenshot(t *testing.T, name string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		var png []byte
		if err := chromedp.FullScreenshot(&png, 100).Do(ctx); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(t.ArtifactDir(), name), png, 0o644)
	})
}
