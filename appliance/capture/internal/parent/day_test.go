package parent

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/openvideobox/videobox/appliance/capture/internal/link"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/codec/aac"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/program"
)

// day is the parent's half of capture by a held clock.
type day struct {
	t     *testing.T
	p     *Parent
	clk   *clock.Held
	slate *program.Slate
	frame int64
	sound int64
}

func newDay(t *testing.T) *day {
	slate, err := program.EncodeSlate(shape, media.NewFrame(shape.Width, shape.Height))
	if err != nil {
		t.Skip(err)
	}
	p, clk := newParent(t)
	p.stream = program.NewStream(shape, p.ring, program.Options{Clock: clk, Frame: p.status.sent})
	p.stream.SetSlate(slate)
	return &day{t: t, p: p, clk: clk, slate: slate, frame: media.FrameAt(clk.Now(), shape.Rate), sound: media.AACAt(clk.Now())}
}

// run lets some time pass: pictures and sound of every frame, a report twice a
// second, and a look at the metrics each minute.
func (d *day) run(long time.Duration) {
	rate := int64(shape.Rate)
	silence := aac.Silence()
	for last := d.frame + int64(long/time.Second)*rate; d.frame < last; d.frame++ {
		d.clk.Set(media.FrameTime(d.frame, shape.Rate))
		n := d.frame % rate
		pic := program.Picture{Frame: d.frame, Capture: d.clk.Now(), Flags: h264.Live, Key: n == 0, Data: d.slate.Pictures[n]}
		d.p.status.received(pic)
		if err := d.p.stream.Picture(pic); err != nil {
			d.t.Fatal(err)
		}
		for ; d.sound < media.AACAt(media.FrameTime(d.frame+1, shape.Rate)); d.sound++ {
			if err := d.p.stream.Sound(program.Sound{Index: d.sound, Data: silence}); err != nil {
				d.t.Fatal(err)
			}
		}
		if n%12 == 0 {
			r := &link.Report{State: "streaming", FramesIn: uint64(d.frame), FPS: 25}
			d.p.status.reported(r)
			d.p.workers.report.Store(r)
		}
		if d.frame%(60*rate) == 0 {
			call(d.p, "GET", "/metrics", "", nil)
			call(d.p, "GET", "/api/status", "", nil)
		}
	}
}

// heap is what is in use after a collection.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestDrillADayWithoutGrowth: a day of stream (an hour without DRILL) leaves the
// heap as it was once the ring is full.
func TestDrillADayWithoutGrowth(t *testing.T) {
	long := time.Hour
	if os.Getenv("DRILL") != "" {
		long = 24 * time.Hour
	}
	d := newDay(t)
	d.run(5 * time.Minute)
	before, frames := heap(), d.p.stream.Stats().Frames
	d.run(long)
	grown := heap() - before
	st := d.p.stream.Stats()
	t.Logf("%v of stream: %d frames, the heap grew by %d KB to %d KB", long, st.Frames-frames, grown>>10, (before+grown)>>10)
	if st.Frames-frames != uint64(long/time.Second)*uint64(shape.Rate) || st.Skipped+st.Late+st.Slates+st.Jumps > 0 {
		t.Errorf("%+v", st)
	}
	if grown > 256<<10 {
		t.Errorf("the heap grew by %d KB", grown>>10)
	}
}

// TestHeapSeesGrowth shows that the test above finds a leak of ten bytes a frame.
func TestHeapSeesGrowth(t *testing.T) {
	var kept [][]byte
	before := heap()
	for range 3600 * 25 {
		kept = append(kept, make([]byte, 10))
	}
	if grown := heap() - before; grown < 256<<10 {
		t.Errorf("%d frames leaked, the heap grew by %d KB", len(kept), grown>>10)
	}
	runtime.KeepAlive(kept)
}
