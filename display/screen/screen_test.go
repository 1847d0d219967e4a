package screen

import (
	"flag"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden pictures")

func bars() image.Image {
	m := image.NewRGBA(image.Rect(0, 0, 640, 360))
	for y := range 360 {
		for x := range 640 {
			i := x / 80
			m.Set(x, y, color.RGBA{uint8(i & 1 * 200), uint8(i >> 1 & 1 * 200), uint8(i >> 2 * 200), 255})
		}
	}
	return m
}

func base() State {
	return State{
		Room: "janson", Role: "camera", Name: "box1", Addresses: []string{"192.0.2.12", "2001:db8::b227:ebff:fe00:1"},
		Time: time.Date(2026, 11, 23, 10, 15, 30, 0, time.UTC), InSync: true, Picture: bars(),
		Signal: Line{"1280x720, 25.0 a second", Good}, Stream: Line{"4.05 Mbit/s · 3 readers · 40 ms", Good},
		Recording: Line{"1.2 GB · 43 h left", Good}, Peaks: []float64{-18, -22}, Held: []float64{-12, -17},
	}
}

var states = map[string]func(*State){
	"good": func(*State) {},
	"no-signal": func(s *State) {
		s.Signal = Line{"no cable", Warning}
		s.Stream = Line{"sends the slate", Warning}
		s.Peaks, s.Held = []float64{-120, -120}, nil
		s.Alarm = Line{"signal: no cable", Warning}
	},
	"recorder-failed": func(s *State) {
		s.Recording = Line{"disk full: 480 MB free, 512 MB are to be kept", Bad}
		s.Alarm = Line{"recorder growing: disk full: 480 MB free, 512 MB are to be kept", Bad}
		s.Peaks, s.Held = []float64{-6}, []float64{-1}
	},
	"starting": func(s *State) {
		*s = State{Name: "videobox-0a1b2c", Waiting: "waiting for an address by DHCP", Time: s.Time, NoPicture: "the stream has brought no picture yet",
			Signal: Line{"capture does not answer", Bad}, Stream: Line{"unknown", Unknown}, Recording: Line{"unknown", Unknown}}
	},
	"long-names": func(s *State) {
		s.Room, s.Role, s.Name = "Auditorium Paul-Emile Janson", "slides", "videobox-auditorium-7"
	},
}

func TestGolden(t *testing.T) {
	for name, change := range states {
		for _, size := range []image.Point{{320, 240}, {240, 135}, {800, 480}} {
			if size.X != 320 && name != "good" {
				continue
			}
			s := base()
			change(&s)
			got := Draw(size.X, size.Y, s)
			path := filepath.Join("testdata", name+"-"+size.String()[1:len(size.String())-1]+".png")
			compare(t, path, got)
		}
	}
}

func compare(t *testing.T, path string, got *image.RGBA) {
	t.Helper()
	if *update {
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := png.Encode(f, got); err != nil {
			t.Fatal(err)
		}
		return
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if want.Bounds() != got.Bounds() {
		t.Fatalf("%s: %v, want %v", path, got.Bounds(), want.Bounds())
	}
	different := 0
	for y := range got.Bounds().Dy() {
		for x := range got.Bounds().Dx() {
			a, b := color.RGBAModel.Convert(want.At(x, y)).(color.RGBA), got.RGBAAt(x, y)
			if far(a.R, b.R) || far(a.G, b.G) || far(a.B, b.B) {
				different++
			}
		}
	}
	if different > 0 {
		t.Errorf("%s: %d pixels differ; look at it and run with -update", path, different)
	}
}

// far allows for what another processor's floating point does to an edge.
func far(a, b uint8) bool { return max(a, b)-min(a, b) > 8 }

func TestDrawLeavesNothingOut(t *testing.T) {
	good := Draw(320, 240, base())
	for name, change := range map[string]func(*State){
		"room": func(s *State) { s.Room = "ferrer" }, "role": func(s *State) { s.Role = "slides" },
		"name": func(s *State) { s.Name = "box2" }, "address": func(s *State) { s.Addresses[0] = "192.0.2.13" },
		"second address": func(s *State) { s.Addresses = s.Addresses[:1] },
		"time":           func(s *State) { s.Time = s.Time.Add(time.Second) }, "sync": func(s *State) { s.InSync = false },
		"picture": func(s *State) { s.Picture = nil }, "signal": func(s *State) { s.Signal.Text = "none" },
		"level": func(s *State) { s.Signal.Level = Bad }, "stream": func(s *State) { s.Stream.Text = "none" },
		"recording": func(s *State) { s.Recording.Text = "none" }, "peak": func(s *State) { s.Peaks[1] = -40 },
		"held": func(s *State) { s.Held[0] = -3 }, "alarm": func(s *State) { s.Alarm = Line{"fire", Bad} },
	} {
		s := base()
		change(&s)
		if m := Draw(320, 240, s); string(m.Pix) == string(good.Pix) {
			t.Errorf("a change of %s is not seen", name)
		}
	}
}

func BenchmarkDraw(b *testing.B) {
	s := base()
	for b.Loop() {
		Draw(320, 240, s)
	}
}
