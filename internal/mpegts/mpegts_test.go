package mpegts

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
)

// start is a time on the grid: 2026-11-23 10:00 UTC, in ticks.
const start = int64(1795428000) * media.TicksPerSecond

// collector is a Handler that keeps everything.
type collector struct {
	units  []media.Unit
	errors []error
}

func (c *collector) Video(u media.Unit) { c.units = append(c.units, u) }
func (c *collector) Audio(u media.Unit) { c.units = append(c.units, u) }
func (c *collector) Error(err error)    { c.errors = append(c.errors, err) }

func (c *collector) track(t media.Track) (us []media.Unit) {
	for _, u := range c.units {
		if u.Track == t {
			us = append(us, u)
		}
	}
	return us
}

var testPPS = []byte{0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0}

// testSPS is x264's for 1280x720 at a rate, which stands in time_scale.
func testSPS(rate int) []byte {
	sps := []byte{0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x83, 0x19, 0x60}
	sps[20], sps[21] = byte(2*rate>>4), byte(2*rate<<4)
	return sps
}

// picture is a stamped access unit of about size bytes that no decoder would
// take, but every parser here.
func picture(n int64, rate, size int) media.Unit {
	t := media.FrameTicks(n, rate)
	key := n%int64(rate) == 0
	slice := make([]byte, size)
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	for i := range slice {
		slice[i] = byte(rng.IntN(255) + 1)
	}
	var au []byte
	if key {
		slice[0] = 0x65
		au = h264.Append(au, testSPS(rate), testPPS)
	} else {
		slice[0] = 0x41
	}
	au = h264.Append(au, slice)
	s := h264.Stamp{Flags: h264.Synced | h264.Live, Epoch: 7, Frame: uint64(n), Program: media.FrameTime(n, rate), Capture: media.FrameTime(n, rate) - 1e8}
	return media.Unit{Track: media.Video, PTS: t, DTS: t, Key: key, Data: h264.InsertStamp(nil, au, s)}
}

func aac(k int64, size int) media.Unit {
	t := media.AACTicks(k)
	data := bytes.Repeat([]byte{byte(k)}, size)
	return media.Unit{Track: media.Audio, PTS: t, DTS: t, Data: data}
}

// units are ms milliseconds of a program from tick from on, in DTS order.
func units(from int64, ms, rate int) []media.Unit {
	var us []media.Unit
	end := from + int64(ms)*90
	step := int64(media.TicksPerSecond / rate)
	k := (from + media.TicksPerAAC - 1) / media.TicksPerAAC
	for n := (from + step - 1) / step; n*step < end; n++ {
		for ; media.AACTicks(k) < n*step; k++ {
			us = append(us, aac(k, 300+int(k%50)))
		}
		size := 3000 + int(n*977%9000)
		if n%int64(rate) == 0 {
			size = 90000
		}
		us = append(us, picture(n, rate, size))
	}
	for ; media.AACTicks(k) < end; k++ {
		us = append(us, aac(k, 300+int(k%50)))
	}
	return us
}

func mux(t testing.TB, m *Muxer, us []media.Unit) {
	t.Helper()
	for _, u := range us {
		var err error
		if u.Track == media.Video {
			err = m.WriteVideo(u)
		} else {
			err = m.WriteAudio(u)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// stream is a clean stream of this package's muxer.
func cleanStream(t testing.TB, ms, rate int) []byte {
	var b bytes.Buffer
	mux(t, NewMuxer(&b, Options{}), units(start, ms, rate))
	return b.Bytes()
}

// checkUnits compares what Demux found with what was muxed.
func checkUnits(t *testing.T, got, want []media.Unit) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d units, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if g.PTS != media.Wire(w.PTS) || g.DTS != media.Wire(w.DTS) || g.Key != w.Key || !bytes.Equal(g.Data, w.Data) {
			t.Fatalf("%v unit %d: PTS %d DTS %d key %v %d bytes, want %d %d %v %d", w.Track, i, g.PTS, g.DTS, g.Key, len(g.Data),
				media.Wire(w.PTS), media.Wire(w.DTS), w.Key, len(w.Data))
		}
	}
}

func TestRoundTrip(t *testing.T) {
	for _, rate := range []int{10, 25, 30, 50, 60} {
		us := units(start, 3000, rate)
		var b bytes.Buffer
		mux(t, NewMuxer(&b, Options{}), us)
		var c, want collector
		if err := Demux(&b, &c); err != nil {
			t.Fatal(err)
		}
		want.units = us
		checkUnits(t, c.track(media.Video), want.track(media.Video))
		checkUnits(t, c.track(media.Audio), want.track(media.Audio))
		if len(c.errors) > 0 {
			t.Error(c.errors)
		}
	}
}
