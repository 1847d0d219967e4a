package program

import (
	"bytes"
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/mpegts"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var shape = Config{Width: 160, Height: 90, Rate: 25, Bitrate: 300_000, AudioBitrate: 64_000}

// t0 lies within a second, so that a stream that starts there starts with an
// IDR off the whole second.
var t0 = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC).UnixNano() + int64(280*time.Millisecond)

// rig is a stream with an encoder in front and what came out behind.
type rig struct {
	t      *testing.T
	stream *Stream
	video  *VideoEncoder
	audio  *AudioEncoder
	frame  *media.Frame
	out    bytes.Buffer
	stamps []h264.Stamp
	n      int64 // next frame
	wanted int   // NeedKey calls
	forceK bool
}

func newRig(t *testing.T) *rig {
	t.Helper()
	video, err := NewVideoEncoder(shape)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(video.Close)
	r := &rig{t: t, video: video, audio: NewAudioEncoder(shape.AudioBitrate), frame: media.NewFrame(160, 90), n: media.FrameAt(t0, 25)}
	r.stream = NewStream(shape, &r.out, Options{
		Frame:   func(s h264.Stamp) { r.stamps = append(r.stamps, s) },
		NeedKey: func() { r.wanted++; r.forceK = true },
	})
	slate, err := EncodeSlate(shape, media.NewFrame(160, 90))
	if err != nil {
		t.Fatal(err)
	}
	r.stream.SetSlate(slate)
	return r
}

// live encodes and sends the next k frames and their sound.
func (r *rig) live(k int) {
	r.t.Helper()
	for range k {
		r.frame.Y[int(r.n)%len(r.frame.Y)] += 50
		data, key, err := r.video.Encode(r.frame, r.n, r.forceK)
		if err != nil {
			r.t.Fatal(err)
		}
		r.forceK = false
		at := media.FrameTime(r.n, 25)
		err = r.stream.Picture(Picture{Frame: r.n, Capture: at, Flags: h264.Live, Key: key, Data: data})
		if err != nil {
			r.t.Fatal(err)
		}
		if err := r.audio.Write(media.SampleAt(at), make([]int16, 1920*2), r.stream.Sound); err != nil {
			r.t.Fatal(err)
		}
		r.n++
	}
}

// gone lets d pass without a picture: the filler's turn.
func (r *rig) gone(d time.Duration) {
	r.t.Helper()
	k := int64(d) * 25 / int64(time.Second)
	r.n += k
	for f := r.n - k; f < r.n; f++ {
		if _, err := r.stream.fillDue(media.FrameTime(f, 25)); err != nil {
			r.t.Fatal(err)
		}
	}
}

// report is what the probe says of all that came out.
func (r *rig) report() mpegts.Report {
	p := mpegts.NewProbe()
	if _, err := p.Write(r.out.Bytes()); err != nil {
		r.t.Fatal(err)
	}
	return p.Report()
}

func (r *rig) eachFrameOnce() {
	r.t.Helper()
	for i := 1; i < len(r.stamps); i++ {
		if r.stamps[i].Frame != r.stamps[i-1].Frame+1 || r.stamps[i].Program <= r.stamps[i-1].Program {
			r.t.Fatalf("frame %d at %d follows frame %d at %d", r.stamps[i].Frame, r.stamps[i].Program, r.stamps[i-1].Frame, r.stamps[i-1].Program)
		}
	}
}

func TestLiveStreamHasNoFault(t *testing.T) {
	r := newRig(t)
	r.live(100)
	if f := r.report().Faults(); len(f) > 0 {
		t.Errorf("faults: %q", f)
	}
	r.eachFrameOnce()
	if s := r.stream.Stats(); s.Frames != 100 || s.Slates+s.Skipped+s.Late != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestSlateFillsWhenTheEncoderIsAway(t *testing.T) {
	r := newRig(t)
	r.live(40)
	r.gone(3 * time.Second)
	if s := r.stream.Stats(); s.Slates == 0 || s.Silent == 0 {
		t.Fatalf("no slate: %+v", s)
	}
	r.forceK = true
	r.live(40)
	r.eachFrameOnce()
	if f := r.report().Faults(); len(f) > 0 {
		t.Errorf("faults: %q", f)
	}
	last := r.stamps[len(r.stamps)-1]
	if last.Flags&h264.Slate != 0 || last.Flags&h264.Live == 0 {
		t.Errorf("not live again: %+v", last)
	}
	if r.stamps[0].Epoch != last.Epoch {
		t.Error("a slate is no new epoch")
	}
}

// Without an IDR what follows the slate can't be decoded: it waits for one,
// and asks for one.
func TestLiveComesBackWithAKey(t *testing.T) {
	r := newRig(t)
	r.live(20)
	r.gone(600 * time.Millisecond) // within a second: the next one's first picture is an IDR anyway
	r.live(2)
	if r.wanted == 0 {
		t.Error("no IDR was asked for")
	}
	if f := r.report().Faults(); len(f) > 0 {
		t.Errorf("faults: %q", f)
	}
	if r.stamps[len(r.stamps)-1].Flags&h264.Live == 0 {
		t.Error("not live again after the IDR")
	}
	r.eachFrameOnce()
}

func TestSkippedFramesAreCountedAndTheClockGoesOn(t *testing.T) {
	r := newRig(t)
	r.live(30)
	r.n += 4 // overload: four frames that the encoder left out
	r.live(30)
	if s := r.stream.Stats(); s.Skipped != 4 || s.Slates != 0 {
		t.Errorf("stats %+v", s)
	}
	if rep := r.report(); rep.PCRMax > 40*time.Millisecond {
		t.Errorf("PCR interval %v", rep.PCRMax)
	}
}

func TestLatePicturesAreDropped(t *testing.T) {
	r := newRig(t)
	r.live(10)
	r.n -= 5
	r.live(5)
	if s := r.stream.Stats(); s.Late != 5 {
		t.Errorf("stats %+v", s)
	}
	r.eachFrameOnce()
}

func TestClockStepIsANewEpoch(t *testing.T) {
	r := newRig(t)
	r.live(10)
	epoch := r.stamps[0].Epoch
	r.n += 25 * 3600
	r.forceK = true
	r.live(10)
	if s := r.stream.Stats(); s.Jumps != 1 {
		t.Errorf("stats %+v", s)
	}
	if r.stamps[len(r.stamps)-1].Epoch == epoch {
		t.Error("same epoch after an hour's jump")
	}
	if rep := r.report(); rep.Continuity != 0 {
		t.Errorf("%d continuity errors", rep.Continuity)
	}
}

// Two encoders in a row both start with idr_pic_id 0.
func TestConsecutiveIDRsDiffer(t *testing.T) {
	r := newRig(t)
	r.live(3)
	for range 3 {
		second, err := NewVideoEncoder(shape)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(second.Close)
		r.video = second
		r.live(3)
	}
	var ids []uint32
	err := mpegts.Demux(&r.out, units(func(u media.Unit) {
		if u.Track == media.Video && u.Key {
			id, err := h264.IDRPicID(u.Data)
			if err != nil {
				t.Error(err)
			}
			ids = append(ids, id)
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(ids); i++ {
		if ids[i] == ids[i-1] {
			t.Errorf("ids %d: two in a row are the same", ids)
		}
	}
	if len(ids) < 4 {
		t.Errorf("only %d IDRs", len(ids))
	}
}

type units func(media.Unit)

func (f units) Video(u media.Unit) { f(u) }
func (f units) Audio(u media.Unit) { f(u) }

func TestRunFillsByTheClock(t *testing.T) {
	r := newRig(t)
	held := clock.NewHeld(t0)
	sent := make(chan h264.Stamp, 1000)
	r.stream.o.Clock = held
	r.stream.o.Frame = func(s h264.Stamp) { sent <- s }
	r.stream.SetAbsent(true)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.stream.Run(ctx) }()
	for range 50 {
		next, err := held.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		held.Set(next)
	}
	for i := range 40 {
		if s := <-sent; s.Flags&h264.Slate == 0 {
			t.Fatalf("frame %d is no slate: %+v", i, s)
		}
	}
	cancel()
	if err := <-done; err != context.Canceled {
		t.Errorf("Run ended with %v", err)
	}
}
