package recording

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/internal/h264"
)

func TestSpansAndLoudnessAreInTheIndex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		r := open(t, testConfig(m))
		play(t, r, s, 5*testRate, nil)
		s.flags |= h264.Slate // from 5 s to 12 s, over the border of files at 10 s
		play(t, r, s, 7*testRate, nil)
		s.flags &^= h264.Slate
		play(t, r, s, 1, nil)
		for i := range 8 {
			r.Observe(Observation{Momentary: []float64{-20, -30}[i%2], TruePeak: -3 - float64(i), Black: i >= 4 && i < 6, Silent: i == 7})
			play(t, r, s, testRate/2, nil)
		}
		r.Observe(Observation{Momentary: math.Inf(-1), TruePeak: math.Inf(-1)})
		play(t, r, s, testRate, nil)
		closeIt(t, r)
		l := list(t, m)
		if len(l) != 2 {
			t.Fatalf("%d files", len(l))
		}
		at := func(sec float64) time.Time { return testStart.Add(time.Duration(sec * 1e9)) }
		wantSpans(t, l[0], Span{NoSignal, at(5), at(9.96)})
		if l[0].Loudness != nil {
			t.Errorf("loudness of what nobody measured: %+v", l[0].Loudness)
		}
		const half = 12.0 / testRate // observations count for the frame that comes next
		wantSpans(t, l[1], Span{NoSignal, at(10), at(11.96)},
			Span{Black, at(12.04 + 4*half), at(12.04 + 6*half - 0.04)}, Span{Silent, at(12.04 + 7*half), at(12.04 + 8*half - 0.04)})
		mean := 10 * math.Log10((0.01+0.001)/2)
		if got := l[1].Loudness; got == nil || math.Abs(got.Mean-mean) > 1e-9 || got.Max != -20 || got.TruePeak != -3 || got.Samples != 8 {
			t.Errorf("loudness %+v, want mean %.2f", got, mean)
		}
	})
}

// wantSpans allows a frame more or less at either end.
func wantSpans(t *testing.T, e Entry, want ...Span) {
	t.Helper()
	ok := len(e.Spans) == len(want)
	for i := range min(len(want), len(e.Spans)) {
		got := e.Spans[i]
		ok = ok && got.Kind == want[i].Kind && got.Start.Sub(want[i].Start).Abs() <= 40*time.Millisecond && got.End.Sub(want[i].End).Abs() <= 40*time.Millisecond
	}
	if !ok {
		t.Errorf("%s: spans %v, want %v", e.File, e.Spans, want)
	}
}

func TestOffIsAGapWithItsCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		r := open(t, testConfig(m))
		play(t, r, s, 3*testRate, nil)
		r.SetOn(false)
		play(t, r, s, 4*testRate+7, nil)
		st := r.Status()
		if !st.Off || st.State != Degraded || st.Cause != causeOff || st.File != "" || st.LostBytes != 0 {
			t.Errorf("while off: %+v", st)
		}
		r.SetOn(true)
		play(t, r, s, 3*testRate, nil)
		closeIt(t, r)
		missing := accounted(t, m, uint64(s.origin), uint64(s.origin+s.frame-1))
		if missing < 4*testRate || missing > 6*testRate {
			t.Errorf("%d frames are missing of four seconds and a bit", missing)
		}
		l := list(t, m)
		if len(l) != 2 || len(l[1].Gaps) != 1 || l[1].Gaps[0].Cause != causeOff {
			t.Errorf("index: %+v", l)
		}
		if _, data := m.recorded(); len(data) == 2 {
			startsAlone(t, "after", data[1])
		}
	})
}

func TestOffFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		r := open(t, testConfig(m))
		r.SetOn(false)
		play(t, r, s, 2*testRate, nil)
		if names, _ := m.recorded(); len(names) != 0 {
			t.Errorf("recorded %v while off", names)
		}
		r.SetOn(true)
		play(t, r, s, 2*testRate, nil)
		closeIt(t, r)
		if l := list(t, m); len(l) != 1 || len(l[0].Gaps) != 0 {
			t.Errorf("%+v, want one file and no gap", l)
		}
	})
}

func TestReadBackFindsAnotherByte(t *testing.T) {
	for _, broken := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m, s := newMemFS(), newStreamer()
			c := testConfig(m)
			c.ReadBack = true
			r := open(t, c)
			play(t, r, s, 10*testRate, nil)
			if broken {
				m.mu.Lock()
				for name, f := range m.files {
					if strings.HasSuffix(name, ".ts") {
						f.data[1000] ^= 1
					}
				}
				m.mu.Unlock()
			}
			play(t, r, s, 5*testRate, nil)
			st := r.Status()
			if st.ReadBack == nil || (st.ReadBack.Error != "") != broken || (st.State == Failed) != broken {
				t.Errorf("broken %v: %+v, state %s %q", broken, st.ReadBack, st.State, st.Cause)
			}
			closeIt(t, r)
			if l := list(t, m); l[0].Verified.IsZero() != broken {
				t.Errorf("broken %v: index %+v", broken, l[0])
			}
		})
	}
}

func TestAcknowledgeAndDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		r := open(t, testConfig(m))
		play(t, r, s, 25*testRate, nil)
		l := list(t, m)
		if len(l) != 3 || !l[2].Open {
			t.Fatalf("%+v", l)
		}
		files, err := Acknowledge(m, "/rec", "box1", []string{l[1].SHA256, "00", l[0].SHA256}, time.Now())
		if !errors.Is(err, ErrUnknownHash) || !strings.Contains(err.Error(), "00") || len(files) != 2 {
			t.Errorf("Acknowledge = %v, %v", files, err)
		}
		for file, want := range map[string]error{l[0].File: nil, "box1-20200101000000.ts": fs.ErrNotExist} {
			if err := Delete(m, "/rec", "box1", file, false); !errors.Is(err, want) || want == nil && err != nil {
				t.Errorf("delete %s: %v, want %v", file, err, want)
			}
		}
		if err := Delete(m, "/rec", "box1", l[2].File, true); err == nil {
			t.Error("the file in hand was deleted")
		}
		closeIt(t, r)
		// The file in hand is closed now, and nobody has a copy of it.
		if err := Delete(m, "/rec", "box1", l[2].File, false); !errors.Is(err, ErrNotAcknowledged) {
			t.Errorf("delete without acknowledgement: %v", err)
		}
		// A file that changed is another one.
		m.files["/rec/box1/"+l[1].File].data = append(m.files["/rec/box1/"+l[1].File].data, make([]byte, 188)...)
		if now := list(t, m); len(now) != 2 || !now[0].Acknowledged.IsZero() {
			t.Errorf("a changed file counts as acknowledged: %+v", now)
		}
		if err := Delete(m, "/rec", "box1", l[2].File, true); err != nil {
			t.Error(err)
		}
	})
}

func TestAcksSurviveATornLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		r := open(t, testConfig(m))
		play(t, r, s, 21*testRate, nil)
		l := list(t, m)
		Acknowledge(m, "/rec", "box1", []string{l[0].SHA256}, time.Now())
		acks := m.files["/rec/box1/"+AcksName("box1")]
		whole := len(acks.data)
		Acknowledge(m, "/rec", "box1", []string{l[1].SHA256}, time.Now())
		acks.data = acks.data[:whole+20]
		if l := list(t, m); l[0].Acknowledged.IsZero() || !l[1].Acknowledged.IsZero() {
			t.Errorf("with a torn line: %v, %v", l[0].Acknowledged, l[1].Acknowledged)
		}
		Acknowledge(m, "/rec", "box1", []string{l[1].SHA256}, time.Now())
		if l := list(t, m); l[1].Acknowledged.IsZero() {
			t.Error("the line after a torn one is lost")
		}
		closeIt(t, r)
	})
}

// TestTimesAreCorrectedOnceTheClockIsRight: two files of a boot clock, one of
// them by a recorder that was killed, then the first answer of a time server.
func TestTimesAreCorrectedOnceTheClockIsRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		began := time.Now()
		c := testConfig(m)
		c.BootTime = func() int64 { return 7e9 + int64(time.Since(began)) }
		s.flags &^= h264.Synced
		s.origin = 1000 * testRate // 1970
		r := open(t, c)
		play(t, r, s, 13*testRate, nil)
		closeIt(t, r)
		r = open(t, c)
		play(t, r, s, 3*testRate, nil)
		wrong := list(t, m)
		s.flags |= h264.Synced
		s.epoch++
		right := testStart.Unix()*testRate - s.frame // frame numbers go on at the right time
		s.origin = right
		play(t, r, s, 2*testRate, nil)
		closeIt(t, r)
		l := list(t, m)
		if len(wrong) < 2 || len(l) != len(wrong)+1 {
			t.Fatalf("%d files, then %d", len(wrong), len(l))
		}
		first := testStart.Add(-16 * time.Second)
		if l[0].Start.Sub(first).Abs() > 100*time.Millisecond || l[0].Renamed != "box1-"+l[0].Start.Format(stampLayout)+".ts" {
			t.Errorf("the first file starts at %v (%s), want %v", l[0].Start, l[0].Renamed, first)
		}
		for i := range l[1:] {
			if gap := l[i+1].Start.Sub(l[i].End); gap < 0 || gap > 200*time.Millisecond {
				t.Errorf("%v between %s and %s", gap, l[i].File, l[i+1].File)
			}
		}
		if names, _ := m.recorded(); len(names) != len(l) || !strings.Contains(names[1], "-boot") {
			t.Errorf("files were renamed on the disk: %v", names)
		}
	})
}

func TestCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		r := open(t, testConfig(m))
		play(t, r, s, 32*testRate, nil)
		closeIt(t, r)
		at := func(sec float64) time.Time { return testStart.Add(time.Duration(sec * 1e9)) }
		for _, c := range []struct {
			from, to        float64
			first, last     int64 // frames
			files, failures int
		}{
			{3.5, 5, 3 * testRate, 5*testRate - 1, 1, 0},
			{8.2, 21.4, 8 * testRate, 535 - 1, 3, 0}, // 21.4 s are 535 frames
			{-100, 1, 0, testRate - 1, 1, 0},
			{31, 1e6, 31 * testRate, 32*testRate - 1, 1, 0},
			{0, 100, 0, 32*testRate - 1, 4, 0},
		} {
			p, err := Cut(m, "/rec", "box1", at(c.from), at(c.to))
			if err != nil {
				t.Errorf("%v to %v: %v", c.from, c.to, err)
				continue
			}
			data, err := io.ReadAll(p)
			if err != nil || int64(len(data)) != p.Size || len(p.files) != c.files {
				t.Errorf("%v to %v: %v, %d bytes, said %d, %d files", c.from, c.to, err, len(data), p.Size, len(p.files))
			}
			p.Close()
			startsAlone(t, "piece", data)
			probe(t, "piece", data)
			got := frames(data)
			if int64(got[0])-s.origin != c.first || int64(got[len(got)-1])-s.origin != c.last || len(got) != int(c.last-c.first+1) {
				t.Errorf("%v to %v: frames %d to %d (%d), want %d to %d", c.from, c.to, int64(got[0])-s.origin, int64(got[len(got)-1])-s.origin, len(got), c.first, c.last)
			}
			if p.Start != at(float64(c.first)/testRate) || p.End.Sub(at(float64(c.last)/testRate)).Abs() > time.Millisecond {
				t.Errorf("%v to %v: says %v to %v", c.from, c.to, p.Start, p.End)
			}
		}
		if _, err := Cut(m, "/rec", "box1", at(100), at(101)); !errors.Is(err, ErrNothing) {
			t.Errorf("a time of which there is nothing: %v", err)
		}
		if _, err := Cut(m, "/rec", "box1", at(5), at(5)); err == nil || errors.Is(err, ErrNothing) {
			t.Errorf("no time at all: %v", err)
		}
	})
}

func TestPolicyKeepsARealRecorderGoing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		m.resize(2_000_000) // some 70 s
		c := testConfig(m)
		c.Queue = 50_000
		r := open(t, c)
		for range 20 {
			play(t, r, s, 10*testRate, nil)
			for _, e := range list(t, m) {
				if e.SHA256 != "" {
					Acknowledge(m, "/rec", "box1", []string{e.SHA256}, time.Now())
				}
			}
		}
		st := r.Status()
		if st.State != OK || st.Gaps != 0 || st.Deleted == 0 || st.ReleasableBytes == 0 {
			t.Errorf("%+v", st)
		}
		closeIt(t, r)
	})
}

func TestDeletingFailsAndRecordingGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		c := testConfig(m)
		c.Policy.Retention = time.Second
		r := open(t, c)
		play(t, r, s, 11*testRate, nil)
		Acknowledge(m, "/rec", "box1", []string{list(t, m)[0].SHA256}, time.Now())
		m.fault(func(op, _ string) error {
			if op == "remove" {
				return unix.EIO
			}
			return nil
		})
		play(t, r, s, 90*testRate, nil)
		if st := r.Status(); st.State != OK || st.Gaps != 0 {
			t.Errorf("%+v", st)
		}
		closeIt(t, r)
	})
}

func FuzzReadAcks(f *testing.F) {
	f.Add([]byte(`{"file":"box1-20261123100000.ts","sha256":"00","at":"2026-11-23T10:00:00Z"}` + "\n"))
	f.Add([]byte("\n{\n\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := newMemFS()
		m.files["/rec/box1/"+AcksName("box1")] = &memFile{data: bytes.Clone(data)}
		acks, err := loadAcks(m, "/rec/box1", "box1")
		if err != nil {
			t.Fatal(err)
		}
		for file := range acks {
			if !IsRecording(file) {
				t.Errorf("took %q", file)
			}
		}
	})
}
