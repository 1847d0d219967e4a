package worker

import (
	"testing"
	"time"

	"github.com/openvideobox/videobox/drivers/pattern"
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

func block(t int64, n int) media.Samples {
	s := media.Samples{Time: t, Rate: media.SampleRate, Channels: 2, Data: make([]int16, 2*n)}
	pattern.RoomTone(s.Data, nearest(t))
	return s
}

func TestSamplesAreCountedNotTimed(t *testing.T) {
	f := &frames{t: t}
	s := newSound(64_000, f.emit)
	// 10 ms blocks whose time stamps jitter by 10 ms.
	for i := range int64(300) {
		jitter := (i*7919%21 - 10) * int64(time.Millisecond)
		if err := s.write(block(began+i*10_000_000+jitter, 480)); err != nil {
			t.Fatal(err)
		}
	}
	if n, inserted, cut, _ := s.counters(); n != 300*480 || inserted != 0 || cut != 0 {
		t.Errorf("%d samples, %d inserted, %d cut; want none moved", n, inserted, cut)
	}
}

func TestSamplesThatAreOffAreMoved(t *testing.T) {
	for _, c := range []struct {
		name          string
		gap           time.Duration
		inserted, cut int64
	}{
		{"within the threshold", 19 * time.Millisecond, 0, 0},
		{"late", 50 * time.Millisecond, 2400, 0},
		{"early", -30 * time.Millisecond, 0, 1440},
	} {
		f := &frames{t: t}
		s := newSound(64_000, f.emit)
		s.write(block(began, 48_000))
		s.write(block(began+int64(time.Second+c.gap), 48_000))
		if _, inserted, cut, _ := s.counters(); inserted != c.inserted || cut != c.cut {
			t.Errorf("%s: %d inserted, %d cut; want %d, %d", c.name, inserted, cut, c.inserted, c.cut)
		}
		if end := nearest(began + int64(2*time.Second+c.gap)); c.inserted+c.cut > 0 && s.next != end {
			t.Errorf("%s: goes on at sample %d, want %d", c.name, s.next, end)
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
	if s.next != nearest(began+4_600_000_000) {
		t.Errorf("goes on at %d", s.next-nearest(began))
	}
}

func TestClockThatIsSetBack(t *testing.T) {
	s := newSound(64_000, func(program.Sound) error { return nil })
	s.write(block(began, 48_000))
	s.write(block(began-int64(time.Hour), 48_000))
	if want := nearest(began - int64(time.Hour) + int64(time.Second)); s.next != want {
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
	s.mute(true)
	s.write(block(began+1_000_000, 48_000))
	if v := s.levels(); v.RMS[0] > -90 {
		t.Errorf("muted, RMS %.1f dBFS", v.RMS[0])
	}
	s.mute(false)
	s.write(block(began+1_001_000_000, 48_000))
	if v := s.levels(); v.RMS[0] < -61 || v.RMS[1] > -59 {
		t.Errorf("room tone, RMS %.1f dBFS, want -60", v.RMS[0])
	}
	s.write(media.Samples{Time: began, Rate: 44100, Channels: 2, Data: make([]int16, 20)})
	if n, _, _, _ := s.counters(); n != 96_003 {
		t.Errorf("%d samples, want those at 48 kHz only", n)
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
