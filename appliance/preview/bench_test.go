package main

import (
	"bytes"
	"image"
	"io"
	"testing"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi/spitest"

	"github.com/openvideobox/videobox/appliance/internal/watch"
	"github.com/openvideobox/videobox/display/screen"
	"github.com/openvideobox/videobox/display/tft"
	"github.com/openvideobox/videobox/internal/codec/aac"
	"github.com/openvideobox/videobox/internal/codec/openh264"
	"github.com/openvideobox/videobox/internal/codec/x264"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/picture"
)

// streamSecond is a second of a stream: 1280x720 at 25 frames a second and
// 4 Mbit/s, with sound, the first frame a keyframe.
func streamSecond(b *testing.B) []byte {
	b.Helper()
	const rate = 25
	var ts bytes.Buffer
	mux := mpegts.NewMuxer(&ts, mpegts.Options{})
	enc, err := x264.New(x264.Config{Width: 1280, Height: 720, Rate: rate, Bitrate: 4_000_000, Preset: "ultrafast"})
	if err != nil {
		b.Skip("needs cgo: ", err)
	}
	defer enc.Close()
	frame, pattern := media.NewFrame(1280, 720), &picture.Pattern{}
	sound := aac.Silence()
	for n := range int64(rate) {
		pattern.Draw(frame, n, rate)
		au, err := enc.Encode(frame, n*media.TicksPerSecond/rate, n == 0)
		if err != nil {
			b.Fatal(err)
		}
		au = h264.InsertStamp(nil, au, h264.Stamp{Flags: h264.Synced, Frame: uint64(n), Program: n, Capture: 1})
		pts := n * media.TicksPerSecond / rate
		if err := mux.WriteVideo(media.Unit{PTS: pts, DTS: pts, Key: n == 0, Data: au}); err != nil {
			b.Fatal(err)
		}
		for range 2 { // 46.9 a second
			if err := mux.WriteAudio(media.Unit{PTS: pts, DTS: pts, Key: true, Data: sound}); err != nil {
				b.Fatal(err)
			}
			pts += media.TicksPerSecond * 1024 / 48000
		}
	}
	return ts.Bytes()
}

// BenchmarkSecond is what preview does in one second, so that time an operation
// is what it uses of a core: it takes a second of stream apart, decodes the one
// keyframe in it, and draws twice on a 320x240 SPI panel, each time with
// another clock and other levels. The bus itself isn't there.
func BenchmarkSecond(b *testing.B) {
	ts := streamSecond(b)
	d, err := openh264.New()
	if err != nil {
		b.Skip("needs cgo: ", err)
	}
	defer d.Close()
	config := tft.Config{Chip: tft.ILI9341, Width: 240, Height: 320, Rotate: 90, Clock: 32 * physic.MegaHertz}
	dev, err := tft.New(spitest.NewRecordRaw(io.Discard), tft.Lines{Data: pin{gpio.INVALID}}, config, func(time.Duration) {})
	if err != nil {
		b.Fatal(err)
	}
	r := metrics.New("preview", "box1")
	p := &preview{decoder: d, decoding: r.Leaf("picture"), reporter: r}
	a := newArtist(image.Pt(320, 240))
	now := time.Date(2026, 11, 23, 10, 15, 30, 0, time.UTC)
	for b.Loop() {
		w := watch.New("", r.Hop("stream", "in", "tcp", ""))
		mpegts.Demux(bytes.NewReader(ts), w) // ends with an error, as the stream does
		p.decode(w.Newest())
		if p.broken != nil {
			b.Fatal(p.broken)
		}
		for range 2 {
			now = now.Add(500 * time.Millisecond)
			img, part := a.draw(&scene{picture: p.picture, State: screen.State{
				Room: "janson", Role: "camera", Name: "box1", IPv4: "192.0.2.12", Time: now, Page: "http://192.0.2.12/",
				Stream: screen.Line{Text: now.Format("4.05 Mbit/s")}, Peaks: []float64{-20 - float64(now.Second()%5), -22},
			}})
			if err := dev.Draw(img, part); err != nil {
				b.Fatal(err)
			}
		}
	}
	share := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / 1e7
	b.ReportMetric(share, "%core")
	if share > 10 {
		b.Errorf("%.1f %% of a core, want 10 at most", share)
	}
}
