package v4l2

import (
	"strings"
	"testing"

	"github.com/openvideobox/videobox/internal/media"
)

// sizes makes modes of one format.
func sizes(pixel string, width, height int, rates ...float64) (modes []Mode) {
	for _, r := range rates {
		modes = append(modes, Mode{width, height, r, pixel})
	}
	return modes
}

func join(lists ...[]Mode) (all []Mode) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

var (
	// The MS2109's descriptors, shortened.
	ms2109 = join(
		sizes(MJPEG, 1920, 1080, 60, 50, 30, 25, 20, 10), sizes(MJPEG, 1280, 960, 60, 50, 30), sizes(MJPEG, 1280, 720, 60, 50, 30, 20, 10),
		sizes(MJPEG, 640, 480, 60, 30), sizes(YUYV, 1920, 1080, 5), sizes(YUYV, 1280, 720, 10), sizes(YUYV, 640, 480, 30, 20, 10))
	webcam = join(sizes(YUYV, 640, 480, 30), sizes(YUYV, 1280, 720, 10), sizes(MJPEG, 1280, 720, 30.00003, 15), sizes("H264", 1920, 1080, 30))
	usb3   = join(sizes(NV12, 1920, 1080, 60, 30), sizes(YUYV, 1920, 1080, 60, 30), sizes(MJPEG, 1920, 1080, 60, 30), sizes(MJPEG, 3840, 2160, 30))
)

func TestChoose(t *testing.T) {
	wide, slides := Want{1280, 720, 25, rawOnUSB2, ""}, Want{1920, 1080, 60, rawOnUSB3, ""}
	for _, c := range []struct {
		name  string
		modes []Mode
		want  Want
		mode  string
		why   string
	}{
		{"a multiple of the rate", ms2109, wide, "MJPG 1280x720 at 50 frames a second", "wanted size"},
		{"the rate itself", ms2109, Want{1920, 1080, 25, rawOnUSB2, ""}, "MJPG 1920x1080 at 25 frames a second", "wanted rate"},
		{"the next faster", webcam, wide, "MJPG 1280x720 at 30 frames a second", "next faster"},
		{"the next larger of that shape", ms2109, Want{854, 480, 25, rawOnUSB2, ""}, "MJPG 1280x720 at 50 frames a second", "next larger size of that shape"},
		{"the next larger of any shape", sizes(MJPEG, 1280, 960, 30), wide, "MJPG 1280x960 at 30 frames a second", "none has that shape"},
		{"larger rather than slow", join(sizes(MJPEG, 1280, 720, 10), sizes(MJPEG, 1920, 1080, 30)), wide, "MJPG 1920x1080 at 30 frames a second", "next larger"},
		{"none large enough", ms2109, Want{3840, 2160, 30, rawOnUSB2, ""}, "MJPG 1920x1080 at 30 frames a second", "none is large enough"},
		{"none fast enough", webcam, Want{1280, 720, 60, rawOnUSB2, ""}, "MJPG 1280x720 at 30 frames a second", "none is fast enough"},
		{"29.97 for 30", sizes(MJPEG, 1280, 720, 29.97, 60), Want{1280, 720, 30, rawOnUSB2, ""}, "MJPG 1280x720 at 29.97 frames a second", "wanted rate"},
		{"compressed on USB 2", join(sizes(YUYV, 320, 180, 30), sizes(MJPEG, 320, 180, 30)), Want{320, 180, 30, rawOnUSB2, ""}, "MJPG 320x180 at 30 frames a second", "spare the bus"},
		{"nothing but uncompressed", sizes(UYVY, 320, 180, 30), Want{320, 180, 30, rawOnUSB2, ""}, "UYVY 320x180 at 30 frames a second", "uncompressed: 3 of the 16 MB/s"},
		{"uncompressed on USB 3", usb3, slides, "NV12 1920x1080 at 60 frames a second", "uncompressed: 187 of the 200"},
		{"as far as the bus carries it", join(sizes(YUYV, 1920, 1080, 60), sizes(MJPEG, 1920, 1080, 60)), slides, "MJPG 1920x1080 at 60 frames a second", ""},
		{"preferred", usb3, Want{1920, 1080, 60, rawOnUSB3, MJPEG}, "MJPG 1920x1080 at 60 frames a second", "suits this stick"},
		{"no rates known", sizes(MJPEG, 1280, 720, 0), wide, "MJPG 1280x720 at 0 frames a second", "fastest"},
	} {
		m, why, err := Choose(c.modes, c.want)
		if err != nil || m.String() != c.mode || !strings.Contains(why, c.why) {
			t.Errorf("%s: %v (%s), %v; want %s (%s)", c.name, m, why, err, c.mode, c.why)
		}
	}
	for name, c := range map[string]struct {
		modes []Mode
		text  string
	}{
		"nothing":     {nil, "none at all"},
		"H.264 alone": {sizes("H264", 1920, 1080, 30), "[H264]"},
		"too much":    {sizes(YUYV, 1920, 1080, 30), "YUYV 1920x1080 at 30"},
	} {
		if m, _, err := Choose(c.modes, wide); err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, %v; want %s", name, m, err, c.text)
		}
	}
}

func TestColors(t *testing.T) {
	for _, c := range []struct {
		name                           string
		space, encoding, quant, height uint32
		matrix                         media.Matrix
		full                           bool
	}{
		{"nothing said, small", 0, 0, 0, 480, media.BT601, false},
		{"nothing said, HD", 0, 0, 0, 720, media.BT709, false},
		{"sRGB, as uvcvideo says by default", 8, 0, 0, 1080, media.BT601, false},
		{"Rec. 709", 3, 0, 0, 480, media.BT709, false},
		{"Rec. 709 with a 601 matrix", 3, 1, 0, 1080, media.BT601, false},
		{"sRGB with a 709 matrix, full", 8, 2, 1, 1080, media.BT709, true},
		{"JPEG", 7, 0, 0, 1080, media.BT601, true},
		{"JPEG, said to be limited", 7, 0, 2, 1080, media.BT601, false},
		{"SMPTE 170M", 1, 0, 0, 1080, media.BT601, false},
	} {
		if got := colorOf(c.space, c.encoding, c.quant, int(c.height)); got != (media.Color{Matrix: c.matrix, Full: c.full}) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// picture is a frame whose samples are known, in a format with padded rows.
func picture(pixel string, w, h, stride int) []byte {
	y := func(row, col int) byte { return byte(16 + row*7 + col*3) }
	u := func(row, col int) byte { return byte(100 + row + col) } // of the chroma sample at that luma sample
	v := func(row, col int) byte { return byte(200 - row - col) }
	if pixel == NV12 {
		b := make([]byte, stride*(h+h/2))
		for r := range h {
			for c := range w {
				b[r*stride+c] = y(r, c)
				if r%2 == 0 && c%2 == 0 {
					b[stride*(h+r/2)+c], b[stride*(h+r/2)+c+1] = u(r, c), v(r, c)
				}
			}
		}
		return b
	}
	b := make([]byte, stride*h)
	luma, cb, cr := 0, 1, 3
	if pixel == UYVY {
		luma, cb, cr = 1, 0, 2
	}
	for r := range h {
		for c := 0; c+1 < w; c += 2 {
			p := b[r*stride+c*2:]
			p[luma], p[luma+2], p[cb], p[cr] = y(r, c), y(r, c+1), u(r&^1, c), v(r&^1, c)
		}
	}
	return b
}

func TestUnpack(t *testing.T) {
	for _, pixel := range []string{YUYV, UYVY, NV12} {
		for _, size := range [][3]int{{8, 4, 0}, {8, 4, 24}, {6, 6, 32}} {
			w, h, stride := size[0], size[1], size[2]
			is := Format{Mode: Mode{w, h, 25, pixel}, Stride: stride, Color: media.Color{Matrix: media.BT709, Full: true}}
			if stride == 0 {
				if stride = w; pixel != NV12 {
					stride = 2 * w
				}
			}
			data := picture(pixel, w, h, stride)
			var f media.Frame
			if err := unpack(data, is, &f); err != nil || f.Check() != nil || f.Color != is.Color || f.Width != w || f.Height != h {
				t.Fatalf("%v: %dx%d %+v, %v", is, f.Width, f.Height, f.Color, err)
			}
			for r := range h {
				for c := range w {
					gy, gu, gv := f.Y[r*f.YStride+c], f.U[r/2*f.CStride+c/2], f.V[r/2*f.CStride+c/2]
					ur := byte(r&^1 + c&^1)
					if gy != byte(16+r*7+c*3) || gu != 100+ur || gv != 200-ur {
						t.Fatalf("%v at %d, %d: %d %d %d", is, c, r, gy, gu, gv)
					}
				}
			}
			short := data[:rawBytes(is, stride)-1]
			if err := unpack(short, is, &f); err == nil || !strings.Contains(err.Error(), "want") {
				t.Errorf("%v, a byte short: %v", is, err)
			}
			if err := unpack(data[:rawBytes(is, stride)], is, &f); err != nil {
				t.Errorf("%v without padding at the end: %v", is, err)
			}
		}
	}
	var f media.Frame
	if err := unpack(make([]byte, 100), Format{Mode: Mode{1, 1, 25, YUYV}}, &f); err == nil {
		t.Error("a picture of one pixel")
	}
	// Odd sizes lose the last column and row.
	if err := unpack(make([]byte, 5*2*6), Format{Mode: Mode{5, 3, 25, YUYV}}, &f); err != nil || f.Width != 4 || f.Height != 2 {
		t.Errorf("5x3: %dx%d, %v", f.Width, f.Height, err)
	}
}

// Chroma of two rows is averaged, rounded to nearest.
func TestChromaIsAveraged(t *testing.T) {
	data := []byte{0, 10, 0, 20, 0, 13, 0, 40}
	var f media.Frame
	if err := unpack(data, Format{Mode: Mode{2, 2, 25, YUYV}}, &f); err != nil || f.U[0] != 12 || f.V[0] != 30 {
		t.Errorf("%d %d, %v; want 12 30", f.U[0], f.V[0], err)
	}
}

func benchmarkUnpack(b *testing.B, pixel string, w, h int) {
	is := Format{Mode: Mode{w, h, 30, pixel}}
	data := make([]byte, w*h*2)
	var f media.Frame
	b.ReportAllocs()
	b.SetBytes(int64(w * h))
	for b.Loop() {
		if err := unpack(data, is, &f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkYUYV1080(b *testing.B)  { benchmarkUnpack(b, YUYV, 1920, 1080) }
func BenchmarkYUYV720(b *testing.B)   { benchmarkUnpack(b, YUYV, 1280, 720) }
func BenchmarkNV12x1080(b *testing.B) { benchmarkUnpack(b, NV12, 1920, 1080) }
