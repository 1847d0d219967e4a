package main

import (
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/watch"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/metrics"
)

// TestPictureOfASlowSource: a film of 24 pictures a second has each 25th frame of
// the grid repeated, be it the keyframe. That is no picture that stands; one that
// has been repeated for more than 250 ms is. Each frame passes 30 ms after its time.
func TestPictureOfASlowSource(t *testing.T) {
	const rate, late = 25, 30 * time.Millisecond
	held := clock.NewHeld(1_800_000_000e9)
	hop := metrics.NewAt("boxd", "box1", held).Hop("stream", "in", "tcp", "")
	s := &server{hop: hop, stream: watch.New("", hop)}
	n, captured := media.FrameAt(held.Now(), rate), int64(0)
	held.Advance(late)
	frame := func(flags h264.Flags) (picture, latency row) {
		st := h264.Stamp{Flags: flags | h264.Synced, Frame: uint64(n), Program: media.FrameTime(n, rate)}
		switch flags {
		case h264.Live:
			captured = st.Program
			fallthrough
		case h264.Live | h264.Repeated:
			st.Capture = captured
		}
		au := h264.InsertStamp(nil, []byte{0, 0, 0, 1, 0x65, 0x88}, st)
		s.stream.Video(media.Unit{PTS: media.FrameTicks(n, rate), Key: n%rate == 0, Data: au})
		n++
		held.Advance(time.Second / rate)
		d := s.streamDetail()
		return pictureRow(d), latencyRow(d)
	}
	well := func(flags h264.Flags) {
		t.Helper()
		p, l := frame(flags)
		if p.State != metrics.OK || !strings.HasPrefix(p.Text, showsLive+" · frame ") || !strings.HasPrefix(l.Text, "30 ms ") {
			t.Fatalf("frame %d of a second: %q (%s), latency %q; want the source, 30 ms", (n-1)%rate, p.Text, p.State, l.Text)
		}
	}
	ill := func(flags h264.Flags, want string) {
		t.Helper()
		p, l := frame(flags)
		if p.State != metrics.Degraded || !strings.HasPrefix(p.Text, want) || !strings.HasPrefix(l.Text, "unknown") {
			t.Fatalf("%q (%s), latency %q; want %s, degraded", p.Text, p.State, l.Text, want)
		}
	}
	well(h264.Live)
	for i := range 2 * rate {
		well(h264.Live | map[bool]h264.Flags{true: h264.Repeated}[i%rate == rate-1])
	}
	for range 5 {
		well(h264.Live | h264.Repeated) // the fifth after one that was repeated: 240 ms
	}
	ill(h264.Live|h264.Repeated, showsRepeat)
	ill(h264.Slate, showsSlate)
	ill(h264.Slate|h264.Repeated, showsSlate)
	well(h264.Live)
}
