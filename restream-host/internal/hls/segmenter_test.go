package hls

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/mpegts"
)

func TestOriginsAgree(t *testing.T) {
	for _, rate := range []int{25, 30, 50, 60} {
		msgs := stream(0.4, 9, rate, 7)
		main, _ := segments(t, msgs, skew{base: 1, round: 45})
		for _, s := range []skew{
			{base: 40},
			{base: 0, round: 89, audioLate: 27_000},
			{base: 3_000_017, audioLate: -18_000},
			{base: 1<<32 - 3500, round: 30}, // RTMP's clock wraps on the way
		} {
			backup, _ := segments(t, msgs, s)
			t.Run(fmt.Sprintf("%d/%+v", rate, s), func(t *testing.T) { same(t, main, backup, nil) })
		}
		if seg := main[number(2)]; seg == nil || !seg.Whole {
			t.Errorf("rate %d: a segment with everything in it does not say so: %+v", rate, seg)
		}
	}
}

func TestOriginsAgreeProperty(t *testing.T) {
	msgs := stream(0.4, 7, 25, 7)
	main, _ := segments(t, msgs, skew{round: 45})
	rapid.Check(t, func(r *rapid.T) {
		s := skew{
			base:      rapid.Int64Range(0, 1<<32-1).Draw(r, "base"),
			round:     rapid.Int64Range(0, 89).Draw(r, "round"),
			audioLate: rapid.Int64Range(-36_000, 36_000).Draw(r, "late"),
		}
		backup, _ := segments(t, msgs, s)
		same(r, main, backup, nil)
	})
}

type failer interface {
	Errorf(format string, args ...any)
}

// same compares two origins' segments, except those that may differ.
func same(t failer, a, b map[int64]*Segment, differ func(int64) bool) {
	if len(a) != len(b) && differ == nil {
		t.Errorf("%d segments and %d", len(a), len(b))
	}
	for n, x := range a {
		if differ != nil && differ(n) {
			continue
		}
		y := b[n]
		if y == nil || !bytes.Equal(x.Data, y.Data) {
			t.Errorf("segment %d differs", n)
		}
	}
}

func TestLossesStayWhereTheyAre(t *testing.T) {
	msgs := stream(0, 13, 25, 7)
	main, _ := segments(t, msgs, skew{})
	late := without(msgs, func(m msg) bool {
		at := since(m)
		return at < 1 || at >= 5 && at < 6
	})
	backup, seg := segments(t, late, skew{base: 17, round: 60})
	lossy := []int64{number(0), number(5)}
	same(t, main, backup, func(n int64) bool { return slices.Contains(lossy, n) })
	for n, s := range backup {
		if s.Whole == slices.Contains(lossy, n) {
			t.Errorf("segment %d: whole is %v", n, s.Whole)
		}
	}
	if seg.Stats.Partial != 2 {
		t.Errorf("%d partial segments counted, want 2", seg.Stats.Partial)
	}
	if s := backup[number(0)]; s.Start != (testStart+1)*media.TicksPerSecond || !s.Independent {
		t.Errorf("the first segment starts at %d, want its first IDR", s.Start)
	}
}

func TestConcatenationProbesClean(t *testing.T) {
	got, _ := segments(t, stream(0, 13, 25, 7), skew{})
	p := mpegts.NewProbe()
	for _, n := range slices.Sorted(maps.Keys(got)) {
		p.Write(got[n].Data)
	}
	if faults := p.Report().Faults(); len(faults) > 0 {
		t.Error(faults)
	}
	if r := p.Report(); r.Frames != 25*len(got)*2 {
		t.Errorf("%d frames in %d segments", r.Frames, len(got))
	}
}

func TestEpochWaitsForTheBoundary(t *testing.T) {
	msgs := append(stream(0, 5, 25, 7), stream(5, 13, 25, 8)...)
	got, seg := segments(t, msgs, skew{})
	for n, s := range got {
		if want := n == number(6); s.Discontinuity != want {
			t.Errorf("segment %d (%+d): discontinuity is %v", n, n-number(0), s.Discontinuity)
		}
		if want := uint32(7); n < number(6) && s.Epoch != want || n >= number(6) && s.Epoch != 8 {
			t.Errorf("segment %d has epoch %d", n, s.Epoch)
		}
	}
	if seg.Stats.Epoch != 25 {
		t.Errorf("%d pictures held back, want 25", seg.Stats.Epoch)
	}
	if s := got[number(8)]; s.Sequence != got[number(2)].Sequence+1 {
		t.Errorf("discontinuity sequence %d after %d", s.Sequence, got[number(2)].Sequence)
	}
}

func TestRepeatedUnitsChangeNothing(t *testing.T) {
	msgs := stream(0, 9, 25, 7)
	want, _ := segments(t, msgs, skew{})
	// A publisher that connects anew repeats its backlog.
	got := make(map[int64]*Segment)
	seg := NewSegmenter(func(s *Segment) { got[s.Number] = s })
	first := NewTimeline(0, 1, seg.Add)
	head := without(msgs, func(m msg) bool { return since(m) >= 4.7 })
	send(first.Video, first.Audio, head, skew{})
	second := NewTimeline(0, 1, seg.Add)
	again := without(msgs, func(m msg) bool { return since(m) < 2 })
	send(second.Video, second.Audio, again, skew{base: 500, round: 77})
	same(t, want, got, nil)
	if seg.Stats.Repeated == 0 {
		t.Error("nothing counted as repeated")
	}
	for n, s := range got {
		if !s.Whole || s.Discontinuity {
			t.Errorf("segment %d: whole %v, discontinuity %v", n, s.Whole, s.Discontinuity)
		}
	}
}

func TestMissingTrack(t *testing.T) {
	msgs := stream(0, 9, 25, 7)
	silent, _ := segments(t, without(msgs, func(m msg) bool { return m.audio && since(m) >= 3 }), skew{})
	if s := silent[number(2)]; s == nil || s.Whole {
		t.Errorf("without sound: %+v, want a segment that is not whole", s)
	}
	if silent[number(4)] == nil {
		t.Error("the segments end with the sound")
	}
	blind, _ := segments(t, without(msgs, func(m msg) bool { return !m.audio && since(m) >= 4 && since(m) < 6 }), skew{})
	if blind[number(4)] != nil || blind[number(6)] == nil {
		t.Error("two seconds without pictures should be a gap, and only that")
	}
}

func TestBrokenTimestampsHeal(t *testing.T) {
	msgs := stream(0, 21, 25, 7)
	got := make(map[int64]*Segment)
	seg := NewSegmenter(func(s *Segment) { got[s.Number] = s })
	line := NewTimeline(0, 1, seg.Add)
	for _, m := range msgs {
		ms := uint32((m.at - msgs[0].at) / ticksPerMS)
		switch {
		case m.audio:
			line.Audio(ms, m.data)
		default:
			line.Video(ms, 0, m.key, m.data)
		}
		if since(m) > 5 && since(m) < 5.05 {
			line.Audio(ms+1_000_000, m.data)
			line.Audio(ms-1_000_000, m.data)
		}
	}
	for n := number(2); n < number(18); n++ {
		if s := got[n]; s == nil || !s.Whole {
			t.Errorf("segment %+d is broken by one frame's timestamp", n-number(0))
		}
	}
}

func TestClockSetBack(t *testing.T) {
	got := make(map[int64]*Segment)
	seg := NewSegmenter(func(s *Segment) { got[s.Number] = s })
	line := NewTimeline(0, 1, seg.Add)
	send(line.Video, line.Audio, stream(1000, 1005, 25, 7), skew{})
	send(line.Video, line.Audio, stream(0, 5, 25, 7), skew{base: 5000})
	if seg.Stats.Restarts != 1 || got[number(2)] == nil {
		t.Errorf("%d restarts, want 1 and new segments", seg.Stats.Restarts)
	}
}

// plain is a stream without stamps, as ffmpeg or OBS sends it.
func plain(seconds, gop float64, line *Timeline) {
	const rate = 25
	for n := range int64(seconds * rate) {
		key := n%int64(gop*rate) == 0
		au := []byte{0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1, 0x41, byte(n), byte(n >> 8), 0x80}
		if key {
			au[10] = 0x65
		}
		line.Video(uint32(n*40), 0, key, au)
		for ms := n * 40; ms < (n+1)*40; ms++ {
			if ms*48%1024 < 48 {
				line.Audio(uint32(ms), []byte{0x21, byte(ms)})
			}
		}
	}
}

func TestPublisherWithoutStamps(t *testing.T) {
	for _, c := range []struct {
		gop         float64
		independent bool
		longest     float64
	}{{1, true, 2}, {2, true, 2}, {1.6, true, 3.2}, {10, false, 4}} {
		t.Run(fmt.Sprint(c.gop), func(t *testing.T) {
			var got []*Segment
			seg := NewSegmenter(func(s *Segment) { got = append(got, s) })
			start := int64(testStart*media.TicksPerSecond + 40_000)
			plain(30, c.gop, NewTimeline(start, 3, seg.Add))
			seg.Flush()
			var end int64
			for i, s := range got {
				if i > 0 && (s.Number != got[i-1].Number+1 || s.Start != end || s.Discontinuity) {
					t.Errorf("segment %d from %d to %d follows %d that ends at %d", s.Number, s.Start, s.End, got[i-1].Number, end)
				}
				if c.independent && !s.Independent {
					t.Errorf("segment %d starts without a keyframe", s.Number)
				}
				if d := float64(s.End-s.Start) / media.TicksPerSecond; d > c.longest+0.001 || d <= 0 {
					t.Errorf("segment %d lasts %v s, at most %v", s.Number, d, c.longest)
				}
				end = s.End
			}
			if len(got) == 0 || got[0].Start != start || end != start+30*media.TicksPerSecond {
				t.Errorf("%d segments from %d to %d do not cover the 30 s", len(got), got[0].Start-start, end-start)
			}
		})
	}
}

// TestNoise feeds units of any times: memory stays bounded, nothing panics.
func TestNoise(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	seg := NewSegmenter(func(*Segment) {})
	line := NewTimeline(testStart*media.TicksPerSecond, 1, seg.Add)
	for i := range 20_000 {
		ms := uint32(i * 20)
		if r.IntN(20) == 0 {
			ms = r.Uint32()
		}
		if r.IntN(2) == 0 {
			line.Audio(ms, []byte{1, 2})
		} else {
			line.Video(ms, int32(r.IntN(200)-100), r.IntN(10) == 0, picture(testStart*25+int64(i), 25, uint32(r.IntN(2)), false))
		}
		if len(seg.audio) > maxAudio || len(seg.open) > maxOpen+1 {
			t.Fatalf("%d audio frames, %d open segments", len(seg.audio), len(seg.open))
		}
	}
}
