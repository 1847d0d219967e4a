package openh264

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/openvideobox/videobox/internal/codec/x264"
	"github.com/openvideobox/videobox/internal/media"
)

func open(t testing.TB) *Decoder {
	t.Helper()
	d, err := New()
	if errors.Is(err, ErrNoCgo) {
		t.Skip("needs cgo: this build has no libopenh264")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// gradient is a picture whose samples are known.
func gradient(w, h int) *media.Frame {
	f := media.NewFrame(w, h)
	for y := range h {
		for x := range w {
			f.Y[y*f.YStride+x] = byte(30 + (x+2*y)*180/(w+2*h))
		}
	}
	for y := range h / 2 {
		for x := range w / 2 {
			f.U[y*f.CStride+x] = byte(60 + x*120/(w/2))
			f.V[y*f.CStride+x] = byte(200 - y*120/(h/2))
		}
	}
	return f
}

// stream codes n pictures of f, the first and every fifth as keyframes.
func stream(t testing.TB, f *media.Frame, n int) [][]byte {
	t.Helper()
	e, err := x264.New(x264.Config{Width: f.Width, Height: f.Height, Rate: 25, Bitrate: 2_000_000})
	if errors.Is(err, x264.ErrNoCgo) {
		t.Skip("needs cgo: this build has no libx264")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var all [][]byte
	for i := range n {
		au, err := e.Encode(f, int64(i)*3600, i%5 == 0)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, bytes.Clone(au))
	}
	return all
}

func psnr(a, b []byte) float64 {
	sum := 0.0
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		sum += d * d
	}
	return 10 * math.Log10(255*255*float64(len(a))/max(sum, 1))
}

func TestKeyframeDecodes(t *testing.T) {
	d := open(t)
	var got media.Frame
	for _, size := range [][2]int{{320, 192}, {320, 180}, {1280, 720}, {18, 18}, {320, 192}} {
		want := gradient(size[0], size[1])
		for i, au := range stream(t, want, 7) {
			err := d.Decode(au, &got)
			if i%5 != 0 {
				if !errors.Is(err, ErrNotKeyframe) {
					t.Errorf("%v picture %d: %v, want ErrNotKeyframe", size, i, err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%v picture %d: %v", size, i, err)
			}
			if got.Width != want.Width || got.Height != want.Height {
				t.Fatalf("%dx%d decoded from %v", got.Width, got.Height, size)
			}
			for name, p := range map[string]float64{
				"Y": psnr(got.Y, want.Y), "U": psnr(got.U, want.U), "V": psnr(got.V, want.V),
			} {
				if p < 32 {
					t.Errorf("%v picture %d: %s is %.1f dB from what went in", size, i, name, p)
				}
			}
		}
	}
}

func TestOtherNALUnitsArePassedOver(t *testing.T) {
	d := open(t)
	au := stream(t, gradient(320, 192), 1)[0]
	var want, got media.Frame
	if err := d.Decode(au, &want); err != nil {
		t.Fatal(err)
	}
	sei := []byte{0, 0, 0, 1, 6, 5, 4, 1, 2, 3, 4, 0x80}
	unknown := []byte{0, 0, 1, 0x7f, 9, 9, 9, 0, 0, 0}
	extended := append(append(append([]byte("garbage"), sei...), unknown...), au...)
	if err := d.Decode(append(extended, sei...), &got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Y, want.Y) {
		t.Error("SEI and unknown NAL units change the picture")
	}
}

func TestBadInputIsAnErrorAndTheNextDecodes(t *testing.T) {
	d := open(t)
	au := stream(t, gradient(320, 192), 1)[0]
	slice := bytes.LastIndex(au, []byte{0, 0, 1})
	damaged := bytes.Clone(au)
	for i := slice + 40; i < len(damaged); i += 7 {
		damaged[i] ^= 0x5a
	}
	var f media.Frame
	for name, c := range map[string]struct {
		au   []byte
		want string
	}{
		"nothing":         {nil, "no slice"},
		"noise":           {bytes.Repeat([]byte{0x47, 1, 2}, 300), "no slice"},
		"start codes":     {bytes.Repeat([]byte{0, 0, 1}, 300), "no slice"},
		"no parameters":   {au[slice-1:], "SPS and PPS"},
		"too large":       {make([]byte, maxAccessUnit+1), "at most"},
		"cut in the head": {au[:slice+5], "does not decode"},
		"damaged":         {damaged, "does not decode"},
	} {
		err := d.Decode(c.au, &f)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want one with %q", name, err, c.want)
		}
		if err := d.Decode(au, &f); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
	d.Close()
	d.Close()
	if err := d.Decode(au, &f); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	d, au := open(t), stream(t, gradient(320, 192), 1)[0]
	var f media.Frame
	step := func() {
		if err := d.Decode(au, &f); err != nil {
			t.Fatal(err)
		}
	}
	step()
	if got := testing.AllocsPerRun(20, step); got > 0 {
		t.Errorf("%v allocations a keyframe", got)
	}
}

func BenchmarkDecode720(b *testing.B) {
	d, au := open(b), stream(b, gradient(1280, 720), 1)[0]
	var f media.Frame
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Decode(au, &f); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzDecode gives damaged access units to the library: it must return a frame
// that fits its size, or an error, and decode a good keyframe afterwards.
func FuzzDecode(f *testing.F) {
	d := open(f)
	good := stream(f, gradient(64, 48), 2)
	f.Add(good[0])
	f.Add(good[1])
	f.Add([]byte{0, 0, 1, 0x67, 0, 0, 1, 0x68, 0, 0, 1, 0x65})
	var frame media.Frame
	f.Fuzz(func(t *testing.T, au []byte) {
		if err := d.Decode(au, &frame); err == nil {
			if err := frame.Check(); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Decode(good[0], &frame); err != nil {
			t.Fatalf("a good keyframe after %x: %v", au, err)
		}
	})
}
