package worker

import (
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
)

// TestPictureFollowsAClockThatIsSet steps the clock while a source delivers, and
// while the worker waits for a frame.
func TestPictureFollowsAClockThatIsSet(t *testing.T) {
	for _, d := range []time.Duration{50 * 365 * 24 * time.Hour, -20 * 365 * 24 * time.Hour, -3 * time.Second, 300 * time.Millisecond, -300 * time.Millisecond} {
		b := newBench(t)
		n := first
		for ; n < first+10; n++ {
			b.clk.Set(at(n))
			b.frame(at(n), byte(n))
			b.now()
		}
		b.clk.Advance(10 * time.Millisecond) // within the wait for a frame
		b.clk.Step(d)
		last, taken := int64(0), 0
		n = media.FrameAt(b.clk.Now(), rate) + 1
		for range 20 {
			b.clk.Set(max(at(n), b.clk.Now()))
			b.frame(at(n), byte(n))
			p := b.next()
			due := media.FrameAt(b.clk.Now(), rate)
			if p.Frame <= last || p.Frame < due-3 || p.Frame > due+1 || p.Flags&h264.Live == 0 {
				t.Fatalf("%v: picture %+v after frame %d, at frame %d", d, p, last, due)
			}
			if last, n = p.Frame, p.Frame+1; p.Flags == h264.Live {
				taken++
			}
		}
		if taken < 15 {
			t.Errorf("%v: of 20 frames after the step %d are shown", d, taken)
		}
		if r := b.out.last(); r.Skipped > 0 || r.Slates > 0 {
			t.Errorf("%v: %d skipped, %d slates", d, r.Skipped, r.Slates)
		}
	}
}

// Sound goes on at once, too, and nothing of the old time comes after it.
func TestSoundFollowsAClockThatIsSet(t *testing.T) {
	for _, d := range []time.Duration{time.Hour, -time.Hour, -time.Second, -300 * time.Millisecond} {
		f := &frames{t: t}
		s := newSound(64_000, f.emit)
		if err := s.write(block(began, 48_000)); err != nil {
			t.Fatal(err)
		}
		*f = frames{t: t}
		s.restart()
		if err := s.write(block(began+int64(time.Second+d), 48_000)); err != nil {
			t.Fatal(err)
		}
		want := media.AACAt(began + int64(time.Second+d))
		if f.first < want-3 || f.first > want+1 || f.next < want+40 {
			t.Errorf("%v: AAC frames %d to %d, want from %d", d, f.first, f.next, want)
		}
	}
}
