package worker

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/openvideobox/videobox/appliance/capture/internal/link"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/program"
)

// nowhere takes pictures, sounds and reports.
type nowhere struct{ pictures, sounds, reports int }

func (n *nowhere) Picture(program.Picture) error { n.pictures++; return nil }
func (n *nowhere) Sound(program.Sound) error     { n.sounds++; return nil }
func (n *nowhere) JSON(link.Kind, any) error     { n.reports++; return nil }

// pass lets a worker's parts work for some time by a held clock, one frame after
// the other: frames of changing sizes, sound of a device 100 ppm off, and a
// signal that is lost for a second in each minute.
func (w *Worker) pass(t *testing.T, clk *clock.Held, n int64, long time.Duration) int64 {
	t.Helper()
	flat := []*media.Frame{media.NewFrame(64, 36), media.NewFrame(80, 60)}
	tone := media.Samples{Rate: media.SampleRate, Channels: 2, Data: make([]int16, 2*1920)}
	for i := range tone.Data {
		tone.Data[i] = int16(i * 7 % 3000)
	}
	for last := n + int64(long/time.Second)*rate; n < last; n++ {
		clk.Set(at(n))
		if second := n / rate; second%60 != 30 {
			f := flat[second/10%2]
			f.Time, f.Color.Full = at(n), second%20 < 10
			w.Video(f)
			tone.Time = at(n) + (n-first)*4000 // 100 ppm
			w.Audio(tone)
		}
		c := w.grid.choose(n, at(n)+w.grid.half()*4, w.in.newest())
		p, f := w.choose(n, c)
		if _, _, err := w.enc.Encode(f, n, p.Key); err != nil {
			t.Fatal(err)
		}
		if err := w.out.Picture(p); err != nil {
			t.Fatal(err)
		}
		if err := w.after(clk.Now()); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestDrillHoursWithoutGrowth: three hours of worker, AAC encoder included (one
// minute without DRILL), leave the heap as it was.
func TestDrillHoursWithoutGrowth(t *testing.T) {
	long := time.Minute
	if os.Getenv("DRILL") != "" {
		long = 3 * time.Hour
	}
	clk, out := clock.NewHeld(began), &nowhere{}
	w := New(link.Work{Program: shape(), Source: "test", Name: "box1"}, clk, &encoder{}, out)
	n := w.pass(t, clk, first, time.Minute)
	before := heap()
	sounds := out.sounds
	w.pass(t, clk, n, long)
	grown := heap() - before
	runtime.KeepAlive(w)
	t.Logf("%v of work: %d AAC frames, the heap grew by %d KB to %d KB", long, out.sounds-sounds, grown>>10, (before+grown)>>10)
	if want := int(long.Seconds() * media.SampleRate / media.SamplesPerAAC); out.sounds-sounds < want-20 || out.sounds-sounds > want+20 {
		t.Errorf("%d AAC frames, want %d", out.sounds-sounds, want)
	}
	if grown > 128<<10 {
		t.Errorf("the heap grew by %d KB", grown>>10)
	}
}
