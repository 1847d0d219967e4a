package pattern

import (
	"context"
	"errors"
	"image"
	"image/color"
	"math"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/picture"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// began lies within a second and off every grid.
const began = int64(1_800_000_000_123_456_789)

type event struct {
	kind   string
	frame  media.Frame
	number int64
	sound  media.Samples
}

type recorder chan event

func (r recorder) Video(f *media.Frame) {
	n, _ := picture.ReadNumber(f, picture.Whole(f))
	r <- event{kind: "video", frame: media.Frame{Time: f.Time, Y: []byte{f.Y[0]}}, number: n}
}
func (r recorder) Same(t int64) { r <- event{kind: "same", frame: media.Frame{Time: t}} }
func (r recorder) Audio(s media.Samples) {
	s.Data = append([]int16(nil), s.Data...)
	r <- event{kind: "audio", sound: s}
}

// run runs a source on a clock that goes on whenever the source waits for it,
// and gives n events of it.
func run(t *testing.T, n int, source func(clock.Clock) func(context.Context, Sink) error) []event {
	t.Helper()
	clk := clock.NewHeld(began)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	events, done := make(recorder), make(chan error, 1)
	go func() { done <- source(clk)(ctx, events) }()
	advance, stop := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for advance.Err() == nil {
			clk.Next(advance)
		}
	}()
	var got []event
	for len(got) < n {
		select {
		case e := <-events:
			got = append(got, e)
		case err := <-done:
			t.Fatalf("ended after %d of %d events: %v", len(got), n, err)
		}
	}
	stop()
	<-stopped
	cancel()
	for {
		select {
		case <-events:
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Run: %v", err)
			}
			return got
		}
	}
}

func TestPatternIsExactOnTheGrid(t *testing.T) {
	for _, rate := range []int{25, 30, 50, 60} {
		events := run(t, 40, func(c clock.Clock) func(context.Context, Sink) error {
			return New(Config{Width: 320, Height: 180, Rate: rate, Clock: c}).Run
		})
		n := media.FrameAt(began, rate) + 1
		sample := n * int64(media.SampleRate/rate)
		for i := 0; i < len(events); i += 2 {
			v, a := events[i], events[i+1]
			if v.kind != "video" || v.number != n || v.frame.Time != media.FrameTime(n, rate) {
				t.Fatalf("rate %d: %s of frame %d at %d, want %d", rate, v.kind, v.number, v.frame.Time, n)
			}
			want := make([]int16, 2*media.SampleRate/rate)
			picture.Beep(want, sample)
			if a.kind != "audio" || a.sound.Time != v.frame.Time || len(a.sound.Data) != len(want) || a.sound.Data[100] != want[100] {
				t.Fatalf("rate %d: sound of frame %d is not that of its samples", rate, n)
			}
			n, sample = n+1, sample+int64(a.sound.Len())
		}
	}
}

func TestLateFramesLoseTheirPictureOnly(t *testing.T) {
	clk := clock.NewHeld(began)
	n := media.FrameAt(began, 25) + 1
	ctx, cancel := context.WithCancel(t.Context())
	var got []bool
	var numbers []int64
	go func() {
		clk.Waited(ctx)
		clk.Set(media.FrameTime(n+3, 25)) // three frames late
		clk.Waited(ctx)
		clk.Set(media.FrameTime(n+100, 25)) // a standstill
		clk.Waited(ctx)
		cancel()
	}()
	grid(ctx, Config{Rate: 25, Clock: clk}, func(at int64, late bool) {
		numbers, got = append(numbers, at), append(got, late)
	})
	if want := []int64{n, n + 1, n + 2, n + 3, n + 100}; !slices.Equal(numbers, want) {
		t.Errorf("frames %v, want %v", numbers, want)
	}
	if want := []bool{true, true, true, false, false}; !slices.Equal(got, want) {
		t.Errorf("late: %v, want %v", got, want)
	}
}

func TestDeckTurnsItsPagesByUTC(t *testing.T) {
	const rate = 25
	made := 0
	events := run(t, 2*rate*(2*PageSeconds+1), func(c clock.Clock) func(context.Context, Sink) error {
		d := NewDeck(Config{Width: 64, Height: 36, Rate: rate, Clock: c})
		d.pages = func(w, h int) (pages []*image.RGBA) {
			for i := range 3 {
				made++
				img := image.NewRGBA(image.Rect(0, 0, w, h))
				for p := range w * h {
					img.Set(p%w, p/w, color.Gray{uint8(100 * i)})
				}
				pages = append(pages, img)
			}
			return pages
		}
		return d.Run
	})
	pages := 0
	for i, e := range events {
		if e.kind != "video" {
			continue
		}
		seconds := e.frame.Time / int64(time.Second)
		if pages++; i > 0 && (seconds%PageSeconds != 0 || e.frame.Time%int64(time.Second) != 0) {
			t.Errorf("a page turned at %d, want a multiple of ten seconds", e.frame.Time)
		}
		want := 16 + 219*100*(seconds/PageSeconds%3)/255
		if d := int64(e.frame.Y[0]) - want; d < -1 || d > 1 {
			t.Errorf("luma %d at %d, want %d", e.frame.Y[0], seconds, want)
		}
	}
	if pages != 3 || made != 3 {
		t.Errorf("%d pages shown in 21 s, drawn %d times; want 3 and 3", pages, made)
	}
}

func TestRoomToneIsQuietAndTheSameEverywhere(t *testing.T) {
	a, b := make([]int16, 9600), make([]int16, 4800)
	RoomTone(a, 1000)
	RoomTone(b, 1000+2400)
	sum := 0.0
	for i, v := range a {
		sum += float64(v) * float64(v)
		if i < len(b) && a[4800+i] != b[i] {
			t.Fatal("the same samples differ")
		}
	}
	if level := 10 * math.Log10(sum/float64(len(a))/(32768*32768)); level < -61 || level > -59 {
		t.Errorf("level %.1f dBFS, want -60", level)
	}
}

func TestOddRateIsAnError(t *testing.T) {
	if err := New(Config{Width: 64, Height: 36, Rate: 29}).Run(t.Context(), nil); err == nil {
		t.Error("29 frames a second are taken")
	}
}
