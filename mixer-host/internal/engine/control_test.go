package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSceneChanges(t *testing.T) {
	cam, sld := cameraAndSlides()
	e, _ := testEngine(t, Options{Scene: Scene{SideBySidePreview, "slides", "camera"}}, cam, sld)
	changed, stop := e.Watch()
	defer stop()
	for i, c := range []struct {
		set  Scene
		want Scene
		err  string
	}{
		{set: Scene{Mode: Fullscreen}, want: Scene{Fullscreen, "slides", "camera"}},
		{set: Scene{A: "camera"}, want: Scene{Fullscreen, "camera", "slides"}},
		{set: Scene{B: "camera"}, want: Scene{Fullscreen, "slides", "camera"}},
		{set: Scene{Mode: PictureInPicture, A: "slides"}, want: Scene{PictureInPicture, "slides", "camera"}},
		{set: Scene{Mode: "cinema"}, err: `mode "cinema"; use one of fullscreen, side_by_side_equal`},
		{set: Scene{A: "laptop"}, err: `source a is "laptop"; this room has camera, slides`},
		{set: Scene{A: "slides", B: "slides"}, err: "both slides"},
	} {
		err := e.SetScene(c.set)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%d: error %v, want %q", i, err, c.err)
			}
			continue
		}
		if got := e.Control().Scene; err != nil || got != c.want {
			t.Errorf("%d: %+v, %v, want %+v", i, got, err, c.want)
		}
		select {
		case <-changed:
		default:
			t.Errorf("%d: nobody was told", i)
		}
	}
}

func TestControlSurvivesARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "demo.json")
	cam, sld := cameraAndSlides()
	e, _ := testEngine(t, Options{State: file}, cam, sld)
	if err := e.SetScene(Scene{PictureInPicture, "slides", "camera"}); err != nil {
		t.Fatal(err)
	}
	if err := e.SetVolume("slides", Volume{0.25, true}); err != nil {
		t.Fatal(err)
	}
	again, _ := testEngine(t, Options{State: file}, cam, sld)
	c := again.Control()
	if c.Scene != (Scene{PictureInPicture, "slides", "camera"}) || c.Audio["slides"] != (Volume{0.25, true}) || c.Audio["camera"] != (Volume{1, false}) {
		t.Errorf("after the restart %+v", c)
	}
	for name, text := range map[string]string{
		"noise": "\x00", "another room's": `{"scene":{"mode":"fullscreen","a":"laptop","b":"camera"}}`,
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		fresh, _ := testEngine(t, Options{State: file, Scene: Scene{Fullscreen, "slides", "camera"}}, cam, sld)
		if got := fresh.Control().Scene; got != (Scene{Fullscreen, "slides", "camera"}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestVolumeIsChecked(t *testing.T) {
	cam, sld := cameraAndSlides()
	e, _ := testEngine(t, Options{}, cam, sld)
	for _, v := range []float64{-0.1, 4.1} {
		if err := e.SetVolume("camera", Volume{Volume: v}); err == nil {
			t.Errorf("volume %g is taken", v)
		}
	}
	if err := e.SetVolume("laptop", Volume{}); err == nil || !strings.Contains(err.Error(), "camera, slides") {
		t.Errorf("unknown source: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	cam, sld := cameraAndSlides()
	text := filepath.Join(t.TempDir(), "text.png")
	if err := os.WriteFile(text, []byte("no picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]Options{
		"use a PNG or a JPEG":              {Background: text, Sources: []Source{cam}},
		"no such file":                     {Logo: "/nonexistent.png", Sources: []Source{cam}},
		"this room has camera":             {Scene: Scene{Fullscreen, "slides", "camera"}, Sources: []Source{cam}},
		"has no sources; give it a camera": {},
		`mode "x"; use one of fullscreen,`: {Scene: Scene{"x", "camera", "slides"}, Sources: []Source{cam, sld}},
	} {
		o.Room, o.Width, o.Height, o.Rate = "demo", 320, 180, 25
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
