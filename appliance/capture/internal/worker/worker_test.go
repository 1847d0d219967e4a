package worker

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/appliance/capture/internal/link"
	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/program"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFramesInStepGoStraightThrough(t *testing.T) {
	b := newBench(t)
	for n := first; n < first+30; n++ {
		b.clk.Set(at(n))
		b.frame(at(n), byte(n))
		p := b.now()
		if p.Frame != n || p.Capture != at(n) || p.Flags != h264.Live || p.Data[0] != byte(n) {
			t.Fatalf("picture %+v, want frame %d", p, n)
		}
		if want := n == first || n%rate == 0; p.Key != want {
			t.Errorf("frame %d: key %v, want %v", n, p.Key, want)
		}
	}
}

func TestFramesOutOfStepAreRoundedToTheGrid(t *testing.T) {
	for _, phase := range []time.Duration{-19 * time.Millisecond, -7 * time.Millisecond, 7 * time.Millisecond, 19 * time.Millisecond} {
		b := newBench(t)
		for n := first; n < first+10; n++ {
			captured := at(n) + int64(phase)
			b.clk.Set(captured + 15_000_000) // the driver takes 15 ms
			b.frame(captured, byte(n))
			if p := b.now(); p.Frame != n || p.Data[0] != byte(n) || p.Flags != h264.Live {
				t.Fatalf("phase %v: picture %+v, want frame %d", phase, p, n)
			}
		}
	}
}

func TestMissingFrameIsRepeatedAndExtraOneDropped(t *testing.T) {
	b := newBench(t)
	b.clk.Set(at(first))
	b.frame(at(first), 1)
	b.now()
	// None for first+1; the one for first+2 says so.
	b.clk.Set(at(first + 2))
	b.frame(at(first+2), 3)
	if p := b.now(); p.Frame != first+1 || p.Data[0] != 1 || p.Flags != h264.Live|h264.Repeated || p.Capture != at(first) {
		t.Errorf("in place of the missing one: %+v", p)
	}
	if p := b.now(); p.Frame != first+2 || p.Data[0] != 3 {
		t.Errorf("after it: %+v", p)
	}
	// Two for first+3: the worker waits for first+4, of two the newer one stays.
	b.clk.Set(at(first + 3))
	b.frame(at(first+3), 4)
	b.now()
	b.frame(at(first+3)+1, 5)
	b.frame(at(first+3)+2, 6)
	if p := b.next(); p.Frame != first+4 || p.Data[0] != 6 {
		t.Errorf("after two at once: %+v", p)
	}
	b.w.in.mu.Lock()
	defer b.w.in.mu.Unlock()
	if b.w.in.dropped != 1 {
		t.Errorf("%d dropped, want 1", b.w.in.dropped)
	}
}

func TestUnchangedPictureCostsNoCopy(t *testing.T) {
	b := newBench(t)
	b.clk.Set(at(first))
	b.frame(at(first), 9)
	b.now()
	for n := first + 1; n < first+5; n++ {
		b.clk.Set(at(n))
		b.w.Same(at(n))
		if p := b.now(); p.Frame != n || p.Data[0] != 9 || p.Capture != at(n) || p.Flags != h264.Live {
			t.Fatalf("%+v", p)
		}
	}
}

func TestSilentSourceBecomesTheSlateAndComesBack(t *testing.T) {
	b := newBench(t)
	b.clk.Set(at(first))
	b.frame(at(first), 7)
	b.now()
	b.w.State(drivers.NoSignal, "the laptop sleeps")
	n := first + 1
	for ; ; n++ {
		p := b.next()
		if p.Frame != n {
			t.Fatalf("frame %d, want %d", p.Frame, n)
		}
		if p.Flags == h264.Slate {
			if !p.Key || p.Capture != 0 {
				t.Errorf("first slate frame: %+v", p)
			}
			break
		}
		if p.Flags != h264.Live|h264.Repeated || p.Data[0] != 7 {
			t.Fatalf("before the slate: %+v", p)
		}
	}
	if held := time.Duration(at(n) - at(first)); held < 200*time.Millisecond || held > 300*time.Millisecond {
		t.Errorf("the slate came after %v, want 250ms", held)
	}
	if p := b.next(); p.Flags != h264.Slate || p.Key {
		t.Errorf("second slate frame: %+v", p)
	}
	n += 2
	b.clk.Set(at(n))
	b.frame(at(n), 8)
	p := b.now()
	if p.Frame != n || p.Flags != h264.Live || !p.Key || p.Data[0] != 8 {
		t.Errorf("back: %+v", p)
	}
	if b.w.slate.text.Cause != "The laptop sleeps" || b.w.slate.text.Advice == "" || b.w.slate.text.Time.IsZero() {
		t.Errorf("the slate says %+v", b.w.slate.text)
	}
}

// TestTheSlateStaysUntilANewFrame: the first frame after an outage may belong to
// the frame after the one that is due. The picture from before the outage, or
// black at the start, isn't shown in its place.
func TestTheSlateStaysUntilANewFrame(t *testing.T) {
	for _, shown := range []bool{true, false} {
		b := newBench(t)
		if shown {
			b.clk.Set(at(first))
			b.frame(at(first), 7)
			b.now()
		}
		b.w.State(drivers.NoSignal, "the laptop sleeps")
		p := b.next()
		for p.Flags != h264.Slate {
			p = b.next()
		}
		n := p.Frame + 1
		b.clk.Set(at(n + 1))
		b.frame(at(n+1), 8)
		if p := b.now(); p.Frame != n || p.Flags != h264.Slate || p.Capture != 0 || p.Data[0] == 7 || p.Key {
			t.Errorf("shown before %v: in place of the frame that is missing: %+v", shown, p)
		}
		if p := b.now(); p.Frame != n+1 || p.Flags != h264.Live || p.Capture != at(n+1) || p.Data[0] != 8 || !p.Key {
			t.Errorf("shown before %v: after it: %+v", shown, p)
		}
	}
}

func TestOverloadSkipsWholeFrames(t *testing.T) {
	enc, err := program.NewVideoEncoder(shape())
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(enc.Close)
	machine := &slow{VideoEncoder: enc, clk: clock.NewHeld(began), by: 70 * time.Millisecond, frames: 60}
	b := newBenchOf(t, machine.clk, machine)
	machine.source = func(t int64) { b.frame(t, 1) }
	b.clk.Set(at(first))
	b.frame(at(first), 1)
	last, late, live := int64(0), 0, false // late: seconds whose first frame was skipped
	look := func(p program.Picture) {
		// It may begin with the slate, until the worker has caught up with the source.
		if slate := p.Flags&h264.Slate != 0; slate && live {
			t.Errorf("frame %d: the slate, since the encoder is slow", p.Frame)
		} else {
			live = !slate
		}
		if p.Frame <= last {
			t.Fatalf("frame %d after %d", p.Frame, last)
		}
		opens := p.Frame/rate != last/rate
		if opens && !p.Key {
			t.Errorf("frame %d after %d: the first of its second, and no key", p.Frame, last)
		}
		if opens && last > 0 && p.Frame%rate != 0 {
			late++
		}
		last = p.Frame
	}
	for range 60 {
		look(b.next())
	}
	if machine.behind > int64(time.Second) {
		t.Errorf("%v behind", time.Duration(machine.behind))
	}
	if r := b.out.last(); r.Skipped == 0 || !live {
		t.Errorf("an encoder at half speed, want frames skipped and a live picture: %+v", r)
	}
	if late == 0 {
		t.Error("no second lost its first frame, so that nothing was shown of those")
	}
}

func TestNeedKeyMakesTheNextPictureAnIDR(t *testing.T) {
	b := newBench(t)
	n := first + 3
	b.clk.Set(at(n))
	b.frame(at(n), 1)
	b.now()
	b.w.NeedKey()
	b.clk.Set(at(n + 1))
	b.frame(at(n+1), 2)
	if p := b.now(); !p.Key {
		t.Error("no IDR")
	}
}

func TestBitrateIsSetBeforeTheNextPicture(t *testing.T) {
	b := newBench(t)
	b.clk.Set(at(first))
	b.frame(at(first), 1)
	b.now()
	b.w.SetBitrate(900_000)
	b.clk.Set(at(first + 1))
	b.frame(at(first+1), 2)
	if p := b.now(); p.Key || b.enc.bitrate != 900_000 {
		t.Errorf("key %v, %d bit/s; want no IDR and 900000", p.Key, b.enc.bitrate)
	}
}

func TestSourceWithoutAFirstFrame(t *testing.T) {
	b := newBench(t)
	b.w.State(drivers.NoDevice, "there is no capture device")
	if p := b.next(); p.Flags != h264.Slate || !p.Key {
		t.Errorf("%+v, want the slate", p)
	}
	if r := b.out.last(); r.State != "no device" || !strings.Contains(r.Cause, "no capture device") {
		t.Errorf("report %+v", r)
	}
	silent := newBench(t)
	if p := silent.next(); p.Flags != h264.Slate || silent.clk.Now() < began+settle {
		t.Errorf("%+v at %v, want the slate after a second", p, time.Duration(silent.clk.Now()-began))
	}
}

func TestServe(t *testing.T) {
	var b bytes.Buffer
	w, _ := link.NewWriter(&b)
	w.JSON(link.Task, link.Work{Name: "box1"})
	w.NeedKey()
	w.NeedKey()
	w.Bitrate(750_000)
	var name string
	keys, bitrate := 0, 0
	err := Serve(link.NewReader(&b), func(t link.Work) { name = t.Name }, func() { keys++ }, func(bps int) { bitrate = bps })
	if err != nil || name != "box1" || keys != 2 || bitrate != 750_000 {
		t.Errorf("task of %q, %d keys, %d bit/s, %v", name, keys, bitrate, err)
	}
	if err := Serve(link.NewReader(strings.NewReader("GET / HTTP/1.1\r\n\r\n")), nil, nil, nil); !errors.Is(err, link.ErrNotLink) {
		t.Errorf("nonsense: %v", err)
	}
}

func TestRelabelledSlateIsDrawnAnew(t *testing.T) {
	w := New(link.Work{Program: shape(), Name: "box1"}, clock.NewHeld(began), nil, newSent())
	s := &w.slate
	s.beside = func(f func()) { f() }
	if _, fresh, _ := s.draw(drivers.NoCable, ""); !fresh {
		t.Error("the first slate isn't drawn")
	}
	if _, fresh, _ := s.draw(drivers.NoCable, ""); fresh {
		t.Error("the same slate is drawn again")
	}
	w.Relabel(link.Work{Room: "janson", Address: "http://192.0.2.2:80"})
	if _, fresh, _ := s.draw(drivers.NoCable, ""); !fresh || s.text.Room != "janson" || s.text.Address != "http://192.0.2.2:80" {
		t.Errorf("fresh %v: %+v", fresh, s.text)
	}
}

// TestSlateIsDrawnBesideTheStream: while it is being drawn the last frame stays,
// and no frame waits for it.
func TestSlateIsDrawnBesideTheStream(t *testing.T) {
	w := New(link.Work{Program: shape(), Name: "box1"}, clock.NewHeld(began), nil, newSent())
	var paint []func()
	w.slate.beside = func(f func()) { paint = append(paint, f) }
	w.live, w.streaming = true, true
	w.State(drivers.NoSignal, "asleep")
	for range 3 {
		if p, _ := w.choose(first, repeat); p.Flags != h264.Live|h264.Repeated {
			t.Errorf("while it is drawn: %+v", p)
		}
	}
	if len(paint) != 1 {
		t.Fatalf("drawn %d times", len(paint))
	}
	paint[0]()
	if p, f := w.choose(first, repeat); p.Flags != h264.Slate || !p.Key || f != w.slate.frame || w.slate.text.Cause != "Asleep" {
		t.Errorf("drawn: %+v, %+v", p, w.slate.text)
	}
	// Another cause: the old slate stays until the new one is drawn.
	w.State(drivers.NoCable, "unplugged")
	if p, _ := w.choose(first, repeat); p.Flags != h264.Slate || p.Key || w.slate.text.Cause != "Asleep" {
		t.Errorf("while the second is drawn: %+v, %+v", p, w.slate.text)
	}
	paint[1]()
	if p, _ := w.choose(first, repeat); p.Flags != h264.Slate || !p.Key || w.slate.text.Cause != "Unplugged" {
		t.Errorf("the second: %+v, %+v", p, w.slate.text)
	}
}
