package mpegts

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/openvideobox/videobox/internal/media"
)

// segments cuts units into segments as the HLS segmenter does.
func segments(us []media.Unit) (out [][]media.Unit) {
	first := us[0].PTS / SegmentTicks
	for _, u := range us {
		n := int(u.PTS/SegmentTicks - first)
		for len(out) <= n {
			out = append(out, nil)
		}
		out[n] = append(out[n], u)
	}
	return out
}

func only(t media.Track) func(media.Unit) bool {
	return func(u media.Unit) bool { return u.Track == t }
}

func filter(us []media.Unit, keep func(media.Unit) bool) (out []media.Unit) {
	for _, u := range us {
		if keep(u) {
			out = append(out, u)
		}
	}
	return out
}

// counts is how many packets with payload each PID has.
func counts(ts []byte) map[uint16]int {
	n := map[uint16]int{}
	for _, p := range packetsOf(ts) {
		if p.HasPayload() {
			n[p.PID()]++
		}
	}
	return n
}

func TestSegmentsFollowEachOther(t *testing.T) {
	for _, rate := range []int{25, 30, 50, 60} {
		for _, from := range []int64{start, wrapStart - wrapStart%SegmentTicks} {
			us := units(from, 6000, rate)
			var all []byte
			var segs [][]byte
			for _, s := range segments(us) {
				seg := AppendSegment(nil, s)
				checkSegment(t, seg)
				segs = append(segs, seg)
				all = append(all, seg...)
			}
			r := clean(t, all)
			if len(segs) != 3 || r.Frames != 6*rate {
				t.Errorf("%d segments with %d frames", len(segs), r.Frames)
			}
			var c, want collector
			if err := Demux(bytes.NewReader(all), &c); err != nil {
				t.Fatal(err)
			}
			want.units = us
			checkUnits(t, c.track(media.Video), want.track(media.Video))
			checkUnits(t, c.track(media.Audio), want.track(media.Audio))
			// A missing segment, and one of another origin in its place.
			if r := probe(append(bytes.Clone(segs[0]), segs[2]...)); r.Continuity > 0 {
				t.Error("with a segment missing:", r.Faults())
			}
		}
	}
}

// checkSegment checks what holds for every segment.
func checkSegment(t testing.TB, seg []byte) {
	t.Helper()
	ps := packetsOf(seg)
	if len(ps) < 2 || ps[0].PID() != PIDPAT || ps[1].PID() != PIDPMT {
		t.Fatal("a segment must start with PAT and PMT")
	}
	seen := map[uint16]bool{}
	for _, p := range ps {
		if !seen[p.PID()] && p.HasPayload() && p.Counter() != 0 {
			t.Errorf("PID 0x%04x starts with counter %d", p.PID(), p.Counter())
		}
		seen[p.PID()] = seen[p.PID()] || p.HasPayload()
	}
	for pid, n := range counts(seg) {
		if n%counterCycle != 0 {
			t.Errorf("PID 0x%04x has %d packets, want a multiple of %d", pid, n, counterCycle)
		}
	}
	if n := counts(seg); n[PIDPAT] != n[PIDPMT] {
		t.Errorf("%d PATs and %d PMTs", n[PIDPAT], n[PIDPMT])
	}
}

func TestSegmentIsDeterministic(t *testing.T) {
	us := segments(units(start, 2000, 25))[0]
	want := AppendSegment(nil, us)
	for seed := range uint64(5) {
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(us), func(i, j int) { us[i], us[j] = us[j], us[i] })
		if !bytes.Equal(AppendSegment(nil, us), want) {
			t.Fatal("the order in which units come changes the segment")
		}
	}
	if got := AppendSegment([]byte("x"), us); string(got[:1]) != "x" || !bytes.Equal(got[1:], want) {
		t.Error("dst is not kept")
	}
}

// TestSegmentWithGaps: what is missing is missing, but tables and PCR go on
// from the segment before to the segment behind.
func TestSegmentWithGaps(t *testing.T) {
	us := segments(units(start, 6000, 25))
	number := func(u media.Unit) int64 { return (u.PTS - start) % SegmentTicks / 3600 }
	video := func(keep func(n int64) bool) func(media.Unit) bool {
		return func(u media.Unit) bool { return u.Track == media.Audio || keep(number(u)) }
	}
	for name, c := range map[string]struct {
		keep   func(media.Unit) bool
		faults []string
	}{
		"audio only":          {only(media.Audio), []string{"video PTS jumps: 1", "missing frames: 50"}},
		"video only":          {only(media.Video), []string{"audio PTS jumps: 1"}},
		"first frame missing": {video(func(n int64) bool { return n > 0 }), []string{"video PTS jumps: 1", "missing frames: 1", "IDR interval"}},
		"from the first IDR":  {video(func(n int64) bool { return n >= 25 }), []string{"video PTS jumps: 1", "missing frames: 25"}},
		"last frames missing": {video(func(n int64) bool { return n < 40 }), []string{"video PTS jumps: 1", "missing frames: 10"}},
		"half of it missing":  {video(func(n int64) bool { return n%2 == 0 }), []string{"video PTS jumps: 25", "missing frames: 25"}},
		"one frame":           {func(u media.Unit) bool { return u.Track == media.Video && number(u) == 0 }, []string{"video PTS jumps: 1", "audio PTS jumps: 1", "missing frames: 49"}},
	} {
		seg := AppendSegment(nil, filter(us[1], c.keep))
		checkSegment(t, seg)
		all := append(AppendSegment(nil, us[0]), seg...)
		faults := probe(AppendSegment(all, us[2])).Faults()
		for _, f := range faults {
			if !startsWithAny(f, c.faults) {
				t.Errorf("%s: %s", name, f)
			}
		}
	}
	if got := AppendSegment([]byte("x"), nil); string(got) != "x" {
		t.Error("something comes from nothing")
	}
}

func startsWithAny(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// TestAnySegment makes segments of any units.
func TestAnySegment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var us []media.Unit
		for range rapid.IntRange(1, 20).Draw(t, "units") {
			at := start + rapid.Int64Range(0, SegmentTicks-1).Draw(t, "at")
			size := rapid.OneOf(rapid.IntRange(1, 400), rapid.IntRange(1, 80000)).Draw(t, "size")
			if rapid.Bool().Draw(t, "audio") {
				us = append(us, media.Unit{Track: media.Audio, PTS: at, DTS: at, Data: bytes.Repeat([]byte{1}, size%5000+1)})
				continue
			}
			data := append([]byte{0, 0, 0, 1, 0x41}, bytes.Repeat([]byte{1}, size)...)
			us = append(us, media.Unit{Track: media.Video, PTS: at, DTS: at, Data: data, Key: rapid.Bool().Draw(t, "key")})
		}
		seg := AppendSegment(nil, us)
		ps := packetsOf(seg)
		if ps[0].PID() != PIDPAT || ps[1].PID() != PIDPMT {
			t.Fatal("a segment must start with PAT and PMT")
		}
		for pid, n := range counts(seg) {
			if n%counterCycle != 0 {
				t.Fatalf("PID 0x%04x has %d packets", pid, n)
			}
		}
		r := probe(seg)
		if r.Continuity > 0 || r.SyncLosses > 0 || r.PCRJumps > 0 || r.PCRMax > DefaultLimits.PCR || r.PATMax > DefaultLimits.Tables {
			t.Fatal(r.Faults())
		}
		var c collector
		if err := Demux(bytes.NewReader(seg), &c); err != nil || len(c.units) != len(us) {
			t.Fatalf("%d units, want %d: %v", len(c.units), len(us), err)
		}
	})
}

func BenchmarkAppendSegment(b *testing.B) {
	us := segments(units(start, 2000, 25))[0]
	dst := AppendSegment(nil, us)
	b.SetBytes(int64(len(dst)))
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendSegment(dst[:0], us)
	}
}
