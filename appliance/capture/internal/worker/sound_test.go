package worker

import (
	"testing"
	"time"

	"github.com/openvideobox/videobox/appliance/capture/internal/link"
	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/drivers/pattern"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/program"
)

// frames collects the numbers of AAC frames, which must be without a gap.
type frames struct {
	t     *testing.T
	first int64
	next  int64
}

func (f *frames) emit(s program.Sound) error {
	if f.next == 0 {
		f.first, f.next = s.Index, s.Index
	}
	if s.Index != f.next {
		f.t.Errorf("AAC frame %d, want %d", s.Index, f.next)
	}
	f.next++
	return nil
}

// heldBack is how many samples the resampler may keep for a fade.
const heldBack = 520

// nearest is the number of the sample at t.
func nearest(t int64) int64 { return media.SampleAt(t + 500_000_000/media.SampleRate) }

func block(t int64, n int) media.Samples {
	s := media.Samples{Time: t, Rate: media.SampleRate, Channels: 2, Data: make([]int16, 2*n)}
	pattern.RoomTone(s.Data, nearest(t))
	return s
}

func (s *sound) values() (r link.Report) {
	s.report(&r)
	return r
}

func TestTimesThatJitterMoveNothing(t *testing.T) {
	f := &frames{t: t}
	s := newSound(64_000, f.emit)
	for i := range int64(300) { // 10 ms blocks
		jitter := (i*7919%11 - 5) * int64(time.Millisecond)
		if err := s.write(block(began+i*10_000_000+jitter, 480)); err != nil {
			t.Fatal(err)
		}
	}
	if r := s.values(); r.SamplesIn != 300*480 || r.Inserted != 0 || r.Cut != 0 {
		t.Errorf("%d samples, %d inserted, %d cut; want none moved", r.SamplesIn, r.Inserted, r.Cut)
	}
}

func TestLostSamplesAreCounted(t *testing.T) {
	for _, gap := range []time.Duration{50 * time.Millisecond, -30 * time.Millisecond} {
		f := &frames{t: t}
		s := newSound(64_000, f.emit)
		at := began
		for i := range 300 {
			if i == 200 {
				at += int64(gap)
			}
			s.write(block(at, 480))
			at += 10_000_000
		}
		r := s.values()
		if want := int64(gap) * media.SampleRate / 1e9; r.Sound.Gaps != 1 || r.Inserted-r.Cut != want {
			t.Errorf("%v: %d gaps, %d inserted, %d cut", gap, r.Sound.Gaps, r.Inserted, r.Cut)
		}
		if late := nearest(at) - s.next; late < 0 || late > heldBack {
			t.Errorf("%v: %d samples are held back", gap, late)
		}
	}
}

func TestOffsetPutsTheSoundLater(t *testing.T) {
	ignore := func(program.Sound) error { return nil }
	plain, offset := newSound(64_000, ignore), newSound(64_000, ignore)
	offset.later(64 * time.Millisecond)
	for i := range int64(10) {
		plain.write(block(began+i*10_000_000, 480))
		offset.write(block(began+i*10_000_000, 480))
	}
	if d := offset.next - plain.next; d != 64*48 {
		t.Errorf("later by %d samples, want 3072", d)
	}
	if r := offset.values(); r.SoundOffsetMS != 64 {
		t.Errorf("%g ms are reported", r.SoundOffsetMS)
	}
}

// TestDeviceSetsTheOffset, unless somebody has set one; 0 is one.
func TestDeviceSetsTheOffset(t *testing.T) {
	set := func(d time.Duration) *time.Duration { return &d }
	for _, c := range []struct {
		configured *time.Duration
		want       float64
	}{{nil, 64}, {set(0), 0}, {set(-20 * time.Millisecond), -20}} {
		w := New(link.Work{Program: shape(), SoundOffset: c.configured}, clock.NewHeld(began), nil, newSent())
		w.Device(drivers.Device{
			Name: "a stick", Mode: "MJPG", SoundLater: 64 * time.Millisecond,
			Counts: func() map[string]uint64 { return map[string]uint64{"reset": 3} },
		})
		w.SoundState(drivers.NoDevice, "no card")
		w.fillReport(began, drivers.Streaming, "")
		r := w.report
		if r.SoundOffsetMS != c.want || r.Device != "a stick" || r.Mode != "MJPG" || r.Counts["reset"] != 3 {
			t.Errorf("%v: %+v", c.configured, r)
		}
		if r.SoundState != "no device" || r.SoundCause != "no card" {
			t.Errorf("sound %s: %s", r.SoundState, r.SoundCause)
		}
	}
}

func TestSilenceStandsInForSound(t *testing.T) {
	f := &frames{t: t}
	s := newSound(64_000, f.emit)
	for i := range int64(100) { // four seconds without any
		if err := s.fill(began + i*40_000_000); err != nil {
			t.Fatal(err)
		}
	}
	want := media.AACAt(began + 99*40_000_000 - 300_000_000)
	if f.next < want-3 || f.next > want+1 {
		t.Errorf("silence up to AAC frame %d, want about %d", f.next, want)
	}
	// Sound comes back, partly for what has been filled.
	if err := s.write(block(began+3_600_000_000, 48_000)); err != nil {
		t.Fatal(err)
	}
	if at := nearest(began + 4_600_000_000); s.next > at || s.next < at-heldBack {
		t.Errorf("goes on at %d", s.next-nearest(began))
	}
}

func TestClockThatIsSetBack(t *testing.T) {
	s := newSound(64_000, func(program.Sound) error { return nil })
	s.write(block(began, 48_000))
	s.write(block(began-int64(time.Hour), 48_000))
	if want := nearest(began - int64(time.Hour) + int64(time.Second)); s.next > want || s.next < want-heldBack {
		t.Errorf("goes on %d samples off", s.next-want)
	}
}

func TestMonoAndMutedSound(t *testing.T) {
	s := newSound(64_000, func(program.Sound) error { return nil })
	mono := media.Samples{Time: began, Rate: media.SampleRate, Channels: 1, Data: []int16{1, -2, 16384}}
	if out := s.toStereo(mono); len(out) != 6 || out[2] != -2 || out[3] != -2 {
		t.Errorf("mono became %v", out)
	}
	s.write(mono)
	s.muted.Store(true)
	s.write(block(began+62_500, 48_000))
	if v := s.values().Levels; v.RMS[0] > -90 {
		t.Errorf("muted, RMS %.1f dBFS", v.RMS[0])
	}
	s.muted.Store(false)
	s.write(block(began+1_000_062_500, 48_000))
	if v := s.values().Levels; v.RMS[0] < -61 || v.RMS[1] > -59 {
		t.Errorf("room tone, RMS %.1f dBFS, want -60", v.RMS[0])
	}
	s.write(media.Samples{Time: began, Rate: 44100, Channels: 2, Data: make([]int16, 20)})
	if n := s.values().SamplesIn; n != 96_003 {
		t.Errorf("%d samples, want those at 48 kHz only", n)
	}
}

// TestSoundIsMutedUntilThereIsAPicture: under the slate of the start, too.
func TestSoundIsMutedUntilThereIsAPicture(t *testing.T) {
	b := newBench(t)
	b.w.State(drivers.NoSignal, "the laptop sleeps")
	b.w.Audio(block(began, 48_000))
	p := b.next()
	if r := b.w.sound.values(); p.Flags != h264.Slate || !r.Muted || r.Levels.RMS[0] > -90 {
		t.Errorf("under the slate: flags %d, muted %v, RMS %.1f dBFS", p.Flags, r.Muted, r.Levels.RMS[0])
	}
	n := p.Frame + 1
	b.clk.Set(at(n))
	b.frame(at(n), 1)
	p = b.now()
	b.w.Audio(block(began+int64(time.Second), 48_000))
	if r := b.w.sound.values(); p.Flags != h264.Live || r.Muted || r.Levels.RMS[1] < -61 {
		t.Errorf("under a picture: flags %d, muted %v, RMS %.1f dBFS, want -60", p.Flags, r.Muted, r.Levels.RMS[1])
	}
	live := newBench(t) // whose first picture is the source's
	live.clk.Set(at(first))
	live.frame(at(first), 1)
	live.now()
	live.w.Audio(block(began, 48_000))
	if r := live.w.sound.values(); r.Muted || r.Levels.RMS[1] < -61 {
		t.Errorf("live at once: muted %v, RMS %.1f dBFS, want -60", r.Muted, r.Levels.RMS[1])
	}
}

// TestMuteAndUnplugDoNotClick looks at the edges of what is sent: no step.
func TestMuteAndUnplugDoNotClick(t *testing.T) {
	s := newSound(64_000, func(program.Sound) error { return nil })
	loud := media.Samples{Rate: media.SampleRate, Channels: 2, Data: make([]int16, 2*480)}
	for i := range loud.Data {
		loud.Data[i] = 20000
	}
	s.muted.Store(false)
	most, last := 0, int16(0)
	step := func(pos int64, data []int16) {
		s.fade(data)
		for i := 0; i < len(data); i += 2 {
			most, last = max(most, int(data[i])-int(last), int(last)-int(data[i])), data[i]
		}
	}
	for i := range int64(100) {
		loud.Time = began + i*10_000_000
		step(s.resample.Write(loud.Time, s.toStereo(loud), 0))
		if i == 50 || i == 70 {
			s.muted.Store(i == 50)
		}
	}
	if step(s.resample.Drain()); last > 100 {
		t.Errorf("ends with %d", last)
	}
	if most > 200 {
		t.Errorf("a step of %d", most)
	}
}

func TestGridChoices(t *testing.T) {
	g := grid{25}
	n := first
	for _, c := range []struct {
		name        string
		now, newest int64
		want        choice
	}{
		{"nothing yet", at(n), 0, wait},
		{"nothing at the deadline", g.deadline(n), 0, repeat},
		{"its own", at(n), at(n), take},
		{"half a frame early", at(n), at(n) - 19_999_999, take},
		{"the one before, time left", at(n), at(n - 1), wait},
		{"the one before, no time left", g.deadline(n), at(n - 1), take},
		{"the one after", at(n + 1), at(n + 1), repeat},
		{"far in the future", at(n), at(n + 100), wait},
	} {
		if got := g.choose(n, c.now, c.newest); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if g.skip(n, at(n+g.lag())) != n || g.skip(n, at(n+g.lag()+1)) != n+g.lag()+1 {
		t.Error("skips at the wrong lag")
	}
}

// TestThePictureWaitsForNoSound: while sound is being encoded, which takes long,
// frames and reports go on.
func TestThePictureWaitsForNoSound(t *testing.T) {
	w := New(link.Work{Program: shape()}, clock.NewHeld(began), nil, newSent())
	w.sound.mu.Lock()
	defer w.sound.mu.Unlock()
	done := make(chan error)
	go func() {
		w.sound.lacks(began)
		w.sound.muted.Store(true)
		w.Device(drivers.Device{SoundLater: 64 * time.Millisecond, Counts: func() map[string]uint64 { return nil }})
		w.SoundState(drivers.NoDevice, "no card")
		w.fillReport(began, drivers.Streaming, "")
		done <- nil
	}()
	select {
	case <-done:
	case <-t.Context().Done():
	case <-time.After(10 * time.Second):
		t.Fatal("it waits")
	}
	if r := w.report; !r.Muted || r.SoundOffsetMS != 64 || r.SoundCause != "no card" {
		t.Errorf("%+v", r)
	}
}
