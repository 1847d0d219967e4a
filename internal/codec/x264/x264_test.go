package x264

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/openvideobox/videobox/internal/media"
)

func TestConfigIsChecked(t *testing.T) {
	good := Config{Width: 640, Height: 360, Rate: 25, Bitrate: 1_000_000}
	for want, change := range map[string]func(*Config){
		"size 641x360": func(c *Config) { c.Width = 641 },
		"size 640x8":   func(c *Config) { c.Height = 8 },
		"rate 0":       func(c *Config) { c.Rate = 0 },
		"bitrate 2000": func(c *Config) { c.Bitrate = 2000 },
		"preset":       func(c *Config) { c.Preset = "fastest" },
		"threads":      func(c *Config) { c.Threads = -1 },
		"buffer":       func(c *Config) { c.BufferMS = 1 },
	} {
		c := good
		change(&c)
		_, err := New(c)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error is %v", want, err)
		}
	}
}

func TestLevel(t *testing.T) {
	for _, c := range []struct{ w, h, rate, bitrate, want int }{
		{640, 360, 25, 1e6, 30},
		{854, 480, 25, 1e6, 30},
		{1280, 720, 25, 3e6, 31},
		{1280, 720, 30, 3e6, 31},
		{1280, 720, 50, 3e6, 32},
		{1280, 720, 25, 18e6, 32},
		{1920, 1080, 30, 5e6, 40},
		{1920, 1080, 60, 5e6, 42},
		{3840, 2160, 30, 20e6, 51},
	} {
		if got := level(c.w, c.h, c.rate, c.bitrate); got != c.want {
			t.Errorf("%dx%d at %d, %d bit/s: level %d, want %d", c.w, c.h, c.rate, c.bitrate, got, c.want)
		}
	}
}

// open opens an encoder that the test closes.
func open(t testing.TB, c Config) *Encoder {
	t.Helper()
	e, err := New(c)
	if errors.Is(err, ErrNoCgo) {
		t.Skip("needs cgo: this build has no libx264")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// scene draws a moving square on a gradient with noise, so that the encoder has
// something to do.
func scene(f *media.Frame, n int) {
	seed := uint32(n)*2654435761 + 1
	for y := range f.Height {
		row := f.Y[y*f.YStride:][:f.Width]
		for x := range row {
			seed = seed*1664525 + 1013904223
			row[x] = byte(40+x*150/f.Width) + byte(seed>>28)
		}
		if y/32 == n%(f.Height/32) {
			for x := range 32 {
				row[(n*8+x)%f.Width] = 230
			}
		}
	}
}

// encode codes n pictures, IDRs where key says, and returns the access units.
func encode(t testing.TB, c Config, n int, key func(int) bool) [][]byte {
	t.Helper()
	e, f := open(t, c), media.NewFrame(c.Width, c.Height)
	var all [][]byte
	for i := range n {
		scene(f, i)
		au, err := e.Encode(f, media.FrameTicks(1000+int64(i), c.Rate), key(i))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, bytes.Clone(au))
	}
	return all
}

// units are the NAL units of an access unit.
func units(au []byte) [][]byte {
	var all [][]byte
	for _, n := range bytes.Split(au, []byte{0, 0, 1})[1:] {
		all = append(all, bytes.TrimRight(n, "\x00"))
	}
	return all
}

func kinds(au []byte) string {
	var b []byte
	for _, n := range units(au) {
		b = append(b, "0123456789abc"[min(n[0]&31, 12)])
	}
	return string(b)
}

var small = Config{Width: 320, Height: 192, Rate: 25, Bitrate: 500_000}

func TestAccessUnitsHoldWhatWasAsked(t *testing.T) {
	isKey := func(i int) bool { return i == 7 || i == 25 || i == 26 }
	for i, au := range encode(t, small, 40, isKey) {
		want := "91" // delimiter, P slice
		if isKey(i) || i == 0 {
			want = "9785" // delimiter, SPS, PPS, IDR slice; no SEI
		}
		if got := kinds(au); got != want {
			t.Errorf("picture %d: NAL types %q, want %q", i, got, want)
		}
		if !bytes.HasPrefix(au, []byte{0, 0, 0, 1, 9}) {
			t.Errorf("picture %d starts with % x, want a delimiter", i, au[:6])
		}
	}
}

func TestParameterSetsStayTheSame(t *testing.T) {
	first := encode(t, small, 1, func(int) bool { return true })[0]
	e, f := open(t, small), media.NewFrame(small.Width, small.Height)
	for i, rate := range []int{500_000, 2_000_000, 150_000} {
		if err := e.SetBitrate(rate); err != nil {
			t.Fatal(err)
		}
		au, err := e.Encode(f, int64(i)*3600, true)
		if err != nil {
			t.Fatal(err)
		}
		for k := 1; k <= 2; k++ {
			if got, want := units(au)[k], units(first)[k]; !bytes.Equal(got, want) {
				t.Errorf("at %d bit/s NAL unit %d is % x, was % x", rate, k, got, want)
			}
		}
	}
}

// A program that is restarted at another bitrate must not change the SPS: its
// level is that of the highest bitrate that may come.
func TestParameterSetsOfAnotherStartingBitrate(t *testing.T) {
	low, high := small, small
	low.MaxBitrate = 20_000_000
	high.Bitrate, high.MaxBitrate = 18_000_000, 20_000_000
	key := func(int) bool { return true }
	a, b := units(encode(t, low, 1, key)[0]), units(encode(t, high, 1, key)[0])
	for k := 1; k <= 2; k++ {
		if !bytes.Equal(a[k], b[k]) {
			t.Errorf("NAL unit %d is % x, and % x at a higher bitrate", k, a[k], b[k])
		}
	}
	high.MaxBitrate = 0
	if c := units(encode(t, small, 1, key)[0]); bytes.Equal(c[1], units(encode(t, high, 1, key)[0])[1]) {
		t.Error("0.5 and 18 Mbit/s without a maximum have the same SPS: this test finds nothing")
	}
}

func TestBitrateFollows(t *testing.T) {
	e, f := open(t, small), media.NewFrame(small.Width, small.Height)
	const seconds = 6
	n := 0
	for _, rate := range []int{500_000, 1_500_000, 250_000} {
		if err := e.SetBitrate(rate); err != nil {
			t.Fatal(err)
		}
		total := 0
		for i := range seconds * small.Rate {
			scene(f, n)
			au, err := e.Encode(f, media.FrameTicks(int64(n), small.Rate), i%small.Rate == 0)
			if err != nil {
				t.Fatal(err)
			}
			if n++; i >= small.Rate { // one second to get there
				total += len(au)
			}
		}
		got := total * 8 / (seconds - 1)
		if got < rate*75/100 || got > rate*115/100 {
			t.Errorf("asked for %d bit/s, got %d", rate, got)
		}
	}
	if err := e.SetBitrate(-1); err == nil {
		t.Error("a negative bitrate is accepted")
	}
}

func TestEncodeRefuses(t *testing.T) {
	e := open(t, small)
	if _, err := e.Encode(media.NewFrame(640, 360), 0, false); err == nil || !strings.Contains(err.Error(), "640x360") {
		t.Errorf("a frame of another size: %v", err)
	}
	short := media.NewFrame(320, 192)
	short.V = short.V[:10]
	if _, err := e.Encode(short, 0, false); err == nil {
		t.Error("a frame with short planes is accepted")
	}
	e.Close()
	e.Close()
	if _, err := e.Encode(media.NewFrame(320, 192), 0, false); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := e.SetBitrate(1e6); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// A frame is a part of a larger one: its strides are larger than its rows.
func TestStridesAreUsed(t *testing.T) {
	big, tight := media.NewFrame(640, 384), media.NewFrame(320, 192)
	scene(big, 3)
	for y := range tight.Height {
		copy(tight.Y[y*320:][:320], big.Y[y*640:])
	}
	part := *big
	part.Width, part.Height = 320, 192
	a, err := open(t, small).Encode(tight, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	b, err := open(t, small).Encode(&part, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Error("the same picture with other strides is coded differently")
	}
}

func TestEncodeDoesNotAllocate(t *testing.T) {
	e, f := open(t, small), media.NewFrame(small.Width, small.Height)
	n := int64(0)
	step := func() {
		if _, err := e.Encode(f, n*3600, n%25 == 0); err != nil {
			t.Fatal(err)
		}
		n++
	}
	for range 50 {
		step()
	}
	if got := testing.AllocsPerRun(50, step); got > 0 {
		t.Errorf("%v allocations a picture", got)
	}
}

// Noise in every pixel: dearer than any camera. Nearly all of it is libx264.
func BenchmarkEncode720(b *testing.B) {
	c := Config{Width: 1280, Height: 720, Rate: 25, Bitrate: 3_000_000}
	e := open(b, c)
	var frames [8]*media.Frame
	for i := range frames {
		frames[i] = media.NewFrame(c.Width, c.Height)
		scene(frames[i], i)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if _, err := e.Encode(frames[n%8], int64(n)*3600, n%25 == 0); err != nil {
			b.Fatal(err)
		}
		n++
	}
}
