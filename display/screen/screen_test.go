package screen

import (
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/image/draw"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden pictures")

// sizes of panels and screens.
var sizes = []image.Point{{240, 135}, {320, 240}, {480, 320}, {800, 480}, {1280, 720}, {1920, 1080}}

var bars = func() image.Image {
	m := image.NewRGBA(image.Rect(0, 0, 640, 360))
	for y := range 360 {
		for x := range 640 {
			i := x / 80
			m.Set(x, y, color.RGBA{uint8(i & 1 * 200), uint8(i >> 1 & 1 * 200), uint8(i >> 2 * 200), 255})
		}
	}
	return m
}()

func base() State {
	return State{
		Room: "janson", Role: "camera", Name: "box1", IPv4: "192.0.2.12", IPv6: "2001:db8::b227:ebff:fe00:1",
		Link: Line{"1 Gbit/s", Good}, Page: "http://192.0.2.12/",
		Time: time.Date(2026, 11, 23, 10, 15, 30, 0, time.UTC), Clock: Line{"in sync", Good}, Picture: bars,
		Signal: Line{"1280x720, 25.0 a second", Good}, Stream: Line{"4.05 Mbit/s · 3 readers", Good},
		Recording: Line{"1.2 GB · 43 h left", Good}, Peaks: []float64{-18, -22}, Held: []float64{-12, -17},
		Temperature: Line{"52 °C", Good}, Version: "v1.2.0", Update: Line{"up to date", Good},
	}
}

var states = map[string]func(*State){
	"good":  func(*State) {},
	"page2": func(s *State) { s.Time = s.Time.Add(tinyPage * time.Second) },
	"page3": func(s *State) { s.Time = s.Time.Add(2 * tinyPage * time.Second) },
	"no-signal": func(s *State) {
		s.Signal = Line{"no cable", Warning}
		s.Stream = Line{"sends the slate · 0.4 Mbit/s · 3 readers", Warning}
		s.Peaks, s.Held = []float64{-120, -120}, nil
		s.Alarms = []Line{{"signal: no cable", Warning}}
	},
	"recorder-failed": func(s *State) {
		s.Recording = Line{"disk full: 480 MB free, 512 MB are to be kept", Bad}
		s.Alarms = []Line{{"recorder growing: disk full: 480 MB free, 512 MB are to be kept", Bad}}
		s.Peaks, s.Held = []float64{-6, -9}, []float64{-1, -3}
	},
	"starting": func(s *State) {
		*s = State{Name: "videobox-0a1b2c", Waiting: "waiting for an address (DHCP)", Time: s.Time, NoPicture: "the stream has brought no picture yet",
			Link: Line{"link up, 100 Mbit/s", Good}, Clock: Line{"not in sync", Warning},
			Signal: Line{"capture does not answer", Bad}, Stream: Line{"unknown", Unknown}, Recording: Line{"unknown", Unknown}, Version: "v1.2.0"}
	},
	"no-cable": func(s *State) {
		s.IPv4, s.IPv6, s.Page, s.Waiting = "", "", "", "plug in the network cable"
		s.Link = Line{"no link", Bad}
		s.Clock = Line{"not in sync", Warning}
		s.Alarms = []Line{{"network link: no cable in eth0", Bad}, {"clock: not in sync: no time server has answered", Warning}}
	},
	"frozen": func(s *State) {
		s.Picture, s.NoPicture = nil, "no picture for 12 s"
		s.Stream = Line{"nothing is sent for 12 s", Bad}
		s.Signal = Line{"capture does not answer: connection refused", Bad}
		s.Alarms = []Line{{"stream growing: no frame for 12 s", Bad}, {"signal: capture does not answer: connection refused", Bad}}
	},
	"many-alarms": func(s *State) {
		s.Temperature = Line{"84 °C: throttled", Bad}
		s.Signal, s.Recording = Line{"unsupported: 3840x2160, 60.0 a second", Warning}, Line{"no disk", Bad}
		s.Alarms = []Line{
			{"recorder growing: the disk turned read-only after 3 write errors; put in another card", Bad},
			{"temperature: 84 °C, throttled: 1.5 GHz is down to 1.0 GHz", Bad}, {"voltage: below 4.63 V", Warning},
			{"signal: unsupported: 3840x2160, 60.0 a second", Warning}, {"clock: not in sync", Warning},
		}
	},
	"updating": func(s *State) {
		s.Update = Line{"trial of v1.3.0, 4 min left", Warning}
		s.Alarms = []Line{{"update: v1.3.0 on trial; it is kept if the box stays healthy for 4 min", Warning}}
	},
	"update-failed": func(s *State) {
		s.Update = Line{"v1.3.0 failed, back on v1.2.0", Bad}
		s.Alarms = []Line{{"update: v1.3.0 sent no frame and was taken back", Bad}}
	},
	"long-names": func(s *State) {
		s.Room, s.Role, s.Name = "Auditorium Paul-Emile Janson", "slides", "videobox-auditorium-7"
		s.IPv4, s.IPv6 = "192.168.100.200", "2001:db8:1234:5678:b227:ebff:fe00:1234"
		s.Page = "http://192.168.100.200/"
		s.Version = "v1.2.0-17-g0123456789ab"
	},
	"unicode": func(s *State) {
		s.Room, s.Role, s.Name = "Ža\u0301žité Ωδείο Зал", "caméra", "box\x00\x1b[31m1\n\xff"
		s.Signal.Text = "line one\nline two\ttabbed"
		s.Alarms = []Line{{"Störung: 会议室", Warning}}
	},
	"no-sound": func(s *State) { s.Peaks, s.Held = nil, nil },
}

func golden(name string, size image.Point) string {
	return filepath.Join("testdata", fmt.Sprintf("%dx%d", size.X, size.Y), name+".png")
}

func TestGolden(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(states)) {
		for _, size := range sizes {
			if size.X > 240 && (name == "page2" || name == "page3") {
				continue // only the smallest has pages
			}
			s := base()
			states[name](&s)
			compare(t, golden(name, size), Draw(size.X, size.Y, s))
		}
	}
}

func compare(t *testing.T, path string, got *image.RGBA) {
	t.Helper()
	if *update {
		if err := write(path, got); err != nil {
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
	if n := differing(want, got); n > 0 {
		t.Errorf("%s: %d pixels differ; look at it and run with -update", path, n)
	}
}

func write(path string, m image.Image) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	e := png.Encoder{CompressionLevel: png.DefaultCompression}
	if err := e.Encode(f, m); err != nil {
		return err
	}
	return f.Close()
}

func differing(want image.Image, got *image.RGBA) (n int) {
	if want.Bounds() != got.Bounds() {
		return max(1, want.Bounds().Dx()*want.Bounds().Dy())
	}
	w, ok := want.(*image.RGBA)
	if !ok {
		w = image.NewRGBA(want.Bounds())
		draw.Draw(w, w.Rect, want, w.Rect.Min, draw.Src)
	}
	for i := 0; i < len(got.Pix); i += 4 {
		if far(w.Pix[i], got.Pix[i]) || far(w.Pix[i+1], got.Pix[i+1]) || far(w.Pix[i+2], got.Pix[i+2]) {
			n++
		}
	}
	return n
}

// far allows for what another processor's floating point does to an edge.
func far(a, b uint8) bool { return max(a, b)-min(a, b) > 8 }

// The comparison finds what it is there for.
func TestComparisonFindsAFault(t *testing.T) {
	m := Draw(240, 135, base())
	other := Draw(240, 135, base())
	other.SetRGBA(20, 20, color.RGBA{1, 2, 3, 255})
	if differing(m, m) != 0 || differing(other, m) != 1 || differing(Draw(320, 240, base()), m) == 0 {
		t.Error("a changed pixel isn't found")
	}
}

// On every size, nothing that is known is left out. The smallest has pages.
func TestDrawLeavesNothingOut(t *testing.T) {
	changes := map[string]func(*State){
		"room": func(s *State) { s.Room = "ferrer" }, "role": func(s *State) { s.Role = "slides" },
		"name": func(s *State) { s.Name = "box2" }, "IPv4": func(s *State) { s.IPv4 = "192.0.2.13" },
		"IPv6": func(s *State) { s.IPv6 = "2001:db8::1" }, "link": func(s *State) { s.Link.Text = "100 Mbit/s" },
		"page": func(s *State) { s.Page = "http://192.0.2.13/" },
		"time": func(s *State) { s.Time = s.Time.Add(time.Second) }, "clock": func(s *State) { s.Clock = Line{"not in sync", Warning} },
		"picture": func(s *State) { s.Picture = nil }, "signal": func(s *State) { s.Signal.Text = "none" },
		"level": func(s *State) { s.Signal.Level = Bad }, "stream": func(s *State) { s.Stream.Text = "none" },
		"recording": func(s *State) { s.Recording.Text = "none" }, "peak": func(s *State) { s.Peaks[1] = -40 },
		"held": func(s *State) { s.Held[0] = -3 }, "alarm": func(s *State) { s.Alarms = []Line{{"fire", Bad}} },
		"temperature": func(s *State) { s.Temperature.Text = "53 °C" }, "version": func(s *State) { s.Version = "v1.2.1" },
		"update": func(s *State) { s.Update.Text = "v1.3.0 is there" },
	}
	for _, size := range sizes {
		for name, change := range changes {
			seen := false
			for page := range 3 {
				before, after := base(), base()
				before.Time = before.Time.Add(time.Duration(page) * tinyPage * time.Second)
				after.Time = before.Time
				change(&after)
				seen = seen || differing(Draw(size.X, size.Y, before), Draw(size.X, size.Y, after)) > 0
			}
			if !seen {
				t.Errorf("%v: a change of %s is not seen", size, name)
			}
		}
	}
}

// Whatever was drawn before, a state looks as on a new screen, and what has
// changed is inside what Draw says has.
func TestOnlyWhatChangedIsDrawn(t *testing.T) {
	names := slices.Sorted(maps.Keys(states))
	rapid.Check(t, func(t *rapid.T) {
		size := sizes[rapid.IntRange(0, 3).Draw(t, "size")]
		s, before := New(size.X, size.Y), image.NewRGBA(image.Rectangle{Max: size})
		for range rapid.IntRange(1, 3).Draw(t, "states") {
			st := base()
			states[rapid.SampledFrom(names).Draw(t, "state")](&st)
			st.Time = st.Time.Add(time.Duration(rapid.IntRange(0, 15).Draw(t, "seconds")) * time.Second)
			got, changed := s.Draw(st)
			want := Draw(size.X, size.Y, st)
			if string(got.Pix) != string(want.Pix) {
				t.Fatalf("not as on a new screen: %d pixels", differing(want, got))
			}
			draw.Draw(before, changed, got, changed.Min, draw.Src)
			if string(before.Pix) != string(got.Pix) {
				t.Fatalf("something differs outside of %v", changed)
			}
		}
	})
}

func TestNothingNewDrawsNothing(t *testing.T) {
	s := New(320, 240)
	if _, changed := s.Draw(base()); changed != image.Rect(0, 0, 320, 240) {
		t.Errorf("first: %v", changed)
	}
	if _, changed := s.Draw(base()); !changed.Empty() {
		t.Errorf("again: %v", changed)
	}
}

func TestPictureRect(t *testing.T) {
	s := New(1280, 720)
	r := s.PictureRect(1280, 720)
	if r.Empty() || r.Dx()*9/16-r.Dy() > 1 || !r.In(s.picture) || r.Dx() < 690 {
		t.Errorf("%v in %v", r, s.picture)
	}
}

func TestShout(t *testing.T) {
	for in, want := range map[string]string{
		"http://192.0.2.12/": "HTTP://192.0.2.12", "http://box1.local/A?b": "HTTP://BOX1.LOCAL/A?b",
		"http://[2001:db8::1]/": "HTTP://[2001:DB8::1]", "x": "x",
	} {
		if got := shout(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func benchmark(b *testing.B, size image.Point, change func(*State, int)) {
	s, st := New(size.X, size.Y), base()
	s.Draw(st)
	for i := 0; b.Loop(); i++ {
		change(&st, i)
		s.Draw(st)
	}
}

func BenchmarkDraw(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("%dx%d/whole", size.X, size.Y), func(b *testing.B) {
			for b.Loop() {
				Draw(size.X, size.Y, base())
			}
		})
		b.Run(fmt.Sprintf("%dx%d/next", size.X, size.Y), func(b *testing.B) {
			benchmark(b, size, func(st *State, i int) {
				st.Time = st.Time.Add(time.Second)
				st.Peaks[0] = -20 - float64(i%2)
				st.Stream.Text = fmt.Sprintf("4.%02d Mbit/s · 3 readers", i%100)
			})
		})
	}
}
