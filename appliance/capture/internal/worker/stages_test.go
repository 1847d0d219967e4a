package worker

import (
	"fmt"
	"io"
	"testing"

	"github.com/openvideobox/videobox/appliance/capture/internal/link"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/codec/aac"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/program"
	"github.com/openvideobox/videobox/internal/tee"
)

// stageShapes are what the stages are measured at.
var stageShapes = []program.Config{
	{Width: 1920, Height: 1080, Rate: 30, Bitrate: 5_000_000, AudioBitrate: 128_000},
	{Width: 1280, Height: 720, Rate: 25, Bitrate: 2_500_000, AudioBitrate: 128_000},
}

// camera is frame n of a picture in which everything moves.
func camera(f *media.Frame, n int) {
	seed := uint32(n)*2654435761 + 1
	for y := range f.Height {
		row := f.Y[y*f.YStride:][:f.Width]
		for x := range row {
			seed = seed*1664525 + 1013904223
			row[x] = byte(40+x*150/f.Width) + byte(seed>>29) + byte((x/64+y/64+n)%4*10)
		}
	}
}

// stage is one step of a frame on its way.
type stage struct {
	name string
	run  func()
}

// stages makes them, from the driver's 1920x1080 in full-range BT.601 to the
// ring; each can be run alone, over and over. There is one for the same size as
// the event's, where scaling is copying.
func stages(t testing.TB, c program.Config) []stage {
	t.Helper()
	var src [8]*media.Frame
	var in [8]*media.Frame
	for i := range src {
		src[i], in[i] = media.NewFrame(1920, 1080), media.NewFrame(c.Width, c.Height)
		camera(src[i], i)
		camera(in[i], i)
	}
	input := newInput(clock.NewHeld(began), c.Width, c.Height)
	enc, err := program.NewVideoEncoder(c)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(enc.Close)
	out, err := link.NewWriter(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ring := tee.NewRing(4 << 20)
	t.Cleanup(func() { ring.Close() })
	ring.SetDelay(0)
	stream := program.NewStream(c, ring, program.Options{Clock: clock.NewHeld(began)})
	var au [2][]byte // an IDR, and a picture that isn't one
	for i := range au {
		data, _, err := enc.Encode(in[i], int64(i), false)
		if err != nil {
			t.Fatal(err)
		}
		au[i] = append([]byte(nil), data...)
	}
	scaled := func(full bool, frames *[8]*media.Frame) func() {
		n := 0
		return func() {
			f := *frames[n%8]
			if f.Color, f.Time = (media.Color{}), began; full {
				f.Color = media.Color{Matrix: media.BT601, Full: true}
			}
			input.Video(&f)
			n++
		}
	}
	n, m, k := int64(1), int64(0), int64(0)
	silence := aac.Silence()
	return []stage{
		{"scale 1080", scaled(false, &src)},
		{"scale 1080, convert", scaled(true, &src)},
		{"same size", scaled(false, &in)},
		{"same size, convert", scaled(true, &in)},
		{"encode superfast", func() { n++; enc.Encode(in[n%8], n, false) }},
		{"pipe", func() { out.Picture(program.Picture{Frame: 1, Data: au[1]}) }},
		{"mux and ring", func() {
			if m == 0 {
				m = media.FrameAt(began, c.Rate)
				k = media.AACAt(began)
			}
			if key := m%int64(c.Rate) == 0; key {
				stream.Picture(program.Picture{Frame: m, Key: true, Data: au[0]})
			} else {
				stream.Picture(program.Picture{Frame: m, Data: au[1]})
			}
			for m++; k < media.AACAt(media.FrameTime(m, c.Rate)); k++ {
				stream.Sound(program.Sound{Index: k, Data: silence})
			}
		}},
	}
}

// BenchmarkStage is the cost of a frame in each stage.
func BenchmarkStage(b *testing.B) {
	for _, c := range stageShapes {
		for _, s := range stages(b, c) {
			b.Run(fmt.Sprintf("%dp%d/%s", c.Height, c.Rate, s.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					s.run()
				}
			})
		}
	}
}

// TestFramesCostNoAllocation: in steady state nothing on a frame's way from
// driver to ring takes memory from the heap. An IDR, once a second, does: its
// idr_pic_id is looked at, and the ring keeps the tables before it.
func TestFramesCostNoAllocation(t *testing.T) {
	c := program.Config{Width: 640, Height: 360, Rate: 25, Bitrate: 1_000_000, AudioBitrate: 128_000, Preset: "ultrafast"}
	for _, s := range stages(t, c) {
		for range 60 { // two seconds: buffers have their size
			s.run()
		}
		if per := testing.AllocsPerRun(10, s.run); per > 0 { // the 61st to the 71st frame of whole seconds: no IDR
			t.Errorf("%s: %v allocations a frame", s.name, per)
		}
	}
}
