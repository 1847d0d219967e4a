package picture

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/media"
)

var update = flag.Bool("update", false, "write the golden pictures anew")

var slates = map[string]SlateText{
	"cable": {
		Name: "box1", Room: "demo, camera",
		Cause:   "No cable in the HDMI input",
		Advice:  "Plug the camera's HDMI cable into the socket marked IN and switch the camera on.",
		Address: "http://192.168.1.21/",
		Time:    time.Date(2026, 11, 23, 10, 32, 5, 0, time.UTC),
	},
	"long": {
		Name: "box-with-a-long-name-17", Room: "Janson, slides of the speaker",
		Cause:   "The capture stick delivers a mode that is not supported: 4096x2160 at 24 frames a second",
		Advice:  "Set the laptop to 1920x1080.",
		Address: "http://[2001:db8::1234:5678]:8101/",
	},
}

// golden compares img with testdata/name.png. Curves may round differently on
// another processor: a sample may be off by 8, and one in a thousand by more.
func golden(t *testing.T, name string, img *image.RGBA) {
	t.Helper()
	path := filepath.Join("testdata", name+".png")
	if *update {
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (make it with -update, and look at it)", err)
	}
	want, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if want.Bounds() != img.Bounds() {
		t.Fatalf("%s: %v, want %v", name, img.Bounds(), want.Bounds())
	}
	wrong := 0
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			a, b := img.RGBAAt(x, y), color.RGBAModel.Convert(want.At(x, y)).(color.RGBA)
			if off(a.R, b.R) > 8 || off(a.G, b.G) > 8 || off(a.B, b.B) > 8 {
				wrong++
			}
		}
	}
	if limit := img.Rect.Dx() * img.Rect.Dy() / 1000; wrong > limit {
		t.Errorf("%s: %d pixels differ, at most %d may", name, wrong, limit)
	}
}

func TestSlateLooksAsItDid(t *testing.T) {
	for name, s := range slates {
		golden(t, "slate-"+name+"-640", Slate(640, 360, s))
		golden(t, "slate-"+name+"-240", Slate(240, 135, s))
	}
}

// ink counts the pixels of a part of a slate that are not the ground's colour.
func ink(img *image.RGBA, r image.Rectangle) int {
	n := 0
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			if c := img.RGBAAt(x, y); c != slateGround && c != slateBand {
				n++
			}
		}
	}
	return n
}

// Each field must be seen, and nothing may be written over the edges.
func TestEachFieldIsDrawnInside(t *testing.T) {
	const w, h = 640, 360
	for name, s := range map[string]SlateText{
		"name": {Name: "box1"}, "room": {Room: "demo"}, "cause": {Cause: "No signal"},
		"advice": {Advice: "Switch the camera on."}, "address": {Address: "http://10.0.0.1/"}, "time": {Time: time.Unix(1e9, 0)},
	} {
		img := Slate(w, h, s)
		empty := Slate(w, h, SlateText{})
		if a, b := ink(img, img.Rect), ink(empty, empty.Rect); a <= b+50 {
			t.Errorf("%s is not seen: %d pixels, %d without", name, a, b)
		}
	}
	wide := "Wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww "
	s := SlateText{Name: wide, Room: wide, Cause: wide + wide + wide, Advice: wide + wide + wide, Address: wide, Time: time.Unix(1e9, 0)}
	img := Slate(w, h, s)
	for _, edge := range []image.Rectangle{image.Rect(0, 0, 6, 60), image.Rect(w-6, 0, w, 60), image.Rect(0, 320, 6, h), image.Rect(w-6, 320, w, h)} {
		if n := ink(img, edge); n > 0 {
			t.Errorf("%d pixels are written at the edge %v", n, edge)
		}
	}
}

func TestSlateAtAnySize(t *testing.T) {
	for _, size := range [][2]int{{2, 2}, {16, 16}, {128, 160}, {160, 90}, {3840, 2160}, {100, 1000}, {1000, 100}} {
		img := Slate(size[0], size[1], slates["cable"])
		if img.Rect.Dx() != size[0] || img.Rect.Dy() != size[1] {
			t.Errorf("%v became %v", size, img.Rect)
		}
	}
}

func TestDeckIsReal(t *testing.T) {
	pages := Deck(640, 360)
	if len(pages) < 6 {
		t.Fatalf("%d pages", len(pages))
	}
	var last media.Frame
	for i, p := range pages {
		if p.Rect.Dx() != 640 || p.Rect.Dy() != 360 {
			t.Errorf("page %d is %v", i+1, p.Rect)
		}
		var f media.Frame
		FromImage(&f, p)
		if i > 0 && bytes.Equal(f.Y, last.Y) {
			t.Errorf("pages %d and %d are the same", i, i+1)
		}
		last = f
	}
	golden(t, "deck-chain-640", pages[2])
}

// Pages keep their proportions: a large one scaled down is the small one.
func TestDeckScales(t *testing.T) {
	large, small := Deck(1280, 720), Deck(640, 360)
	var a, b media.Frame
	for i := range large {
		FromImage(&a, large[i])
		FromImage(&b, small[i])
		down := media.NewFrame(640, 360)
		Scale(down, &a, Whole(down))
		sum := 0
		for k, v := range down.Y {
			sum += off(v, b.Y[k])
		}
		if mean := float64(sum) / float64(len(b.Y)); mean > 4 {
			t.Errorf("page %d: mean difference %.1f", i+1, mean)
		}
	}
}

func BenchmarkSlate720(b *testing.B) {
	for b.Loop() {
		Slate(1280, 720, slates["cable"])
	}
}
