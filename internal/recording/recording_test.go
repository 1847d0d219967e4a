package recording

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func testConfig(m *memFS) Config {
	return Config{Dir: "/rec", Name: "box1", Segment: 10 * time.Second, FS: m, Log: quiet()}
}

func open(t *testing.T, c Config) *Recorder {
	t.Helper()
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func closeIt(t *testing.T, r *Recorder) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// feed writes in chunks that have nothing to do with packets.
func feed(t *testing.T, r *Recorder, ts []byte) {
	t.Helper()
	for i := 1; len(ts) > 0; i++ {
		n := min(len(ts), 1+i*977%4000)
		if _, err := r.Write(ts[:n]); err != nil {
			t.Fatal(err)
		}
		ts = ts[n:]
	}
}

func list(t *testing.T, m *memFS) []Entry {
	t.Helper()
	l, err := List(m, "/rec", "box1")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestCutsAtKeyframesWithoutASeam(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		r := open(t, testConfig(m))
		s.frame = 3 // joined within a GOP: recording starts at the next keyframe
		ts := s.seconds(35)
		feed(t, r, ts)
		closeIt(t, r)

		names, data := m.recorded()
		want := []string{"20261123100001", "20261123100011", "20261123100021", "20261123100031"}
		if len(names) != len(want) {
			t.Fatalf("files %v, want %d", names, len(want))
		}
		entries := list(t, m)
		for i, name := range names {
			if filepath.Base(name) != "box1-"+want[i]+".ts" {
				t.Errorf("file %d is %s, want %s", i, name, want[i])
			}
			startsAlone(t, name, data[i])
			e := entries[i]
			first := s.origin + 25 + int64(i)*250
			if e.StartFrame != uint64(first) || i < 3 && e.EndFrame != uint64(first+249) || e.ContinuityErrors != 0 || e.MissingFrames != 0 {
				t.Errorf("entry %d: %+v, want first frame %d", i, e, first)
			}
			if e.SHA256 != fmt.Sprintf("%x", sha256.Sum256(data[i])) || e.Bytes != int64(len(data[i])) || e.Open {
				t.Errorf("entry %d does not fit the file: %+v", i, e)
			}
		}
		if all := bytes.Join(data, nil); !bytes.Equal(all, ts[s.starts[0]:]) {
			t.Errorf("files hold %d bytes, the stream from its first keyframe on %d", len(all), len(ts)-s.starts[0])
		}
		if _, err := r.Write(ts); err != ErrClosed {
			t.Errorf("Write after Close: %v", err)
		}
		closeIt(t, r)
	})
}

// A stream whose tables don't stand directly before its keyframes gets copies
// of them, as duplicates that the standard allows.
func TestHeadsOfAForeignStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, plain := range []bool{false, true} {
			m, s := newMemFS(), newStreamer()
			s.late, s.plain = true, plain
			r := open(t, testConfig(m))
			for range 33 {
				feed(t, r, s.seconds(1))
				time.Sleep(time.Second)
			}
			closeIt(t, r)
			names, data := m.recorded()
			if len(names) != 4 {
				t.Fatalf("plain %v: files %v", plain, names)
			}
			for i := range data {
				startsAlone(t, names[i], data[i])
			}
			probe(t, "concatenated", bytes.Join(data, nil))
			if st := r.Status(); st.ContinuityErrors != 0 || st.LostBytes != 0 {
				t.Errorf("status %+v", st)
			}
		}
	})
}

func TestFlushesEveryHalfSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		r := open(t, testConfig(m))
		for range 10 * testRate {
			at := s.out.Len()
			s.add()
			feed(t, r, s.out.Bytes()[at:])
			time.Sleep(time.Second / testRate)
			if a := r.Status().FlushAgeMS; s.frame > 20 && (a < 0 || a > 540) {
				t.Fatalf("frame %d: the last flush is %v ms old", s.frame, a)
			}
		}
		if st := r.Status(); st.State != OK || st.Frame != uint64(s.origin+s.frame-1) {
			t.Errorf("status %+v", st)
		}
		closeIt(t, r)
		if m.syncs < 19 || m.syncs > 24 {
			t.Errorf("%d flushes in 10 s", m.syncs)
		}
	})
}

func TestNewEpochBeginsAFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		s.flags = 0 // the box's clock is not right yet
		r := open(t, testConfig(m))
		feed(t, r, s.seconds(3))
		s.epoch, s.flags, s.origin = 1, 1, s.origin+1000*testRate
		feed(t, r, s.seconds(3))
		closeIt(t, r)
		names, _ := m.recorded()
		if len(names) != 2 || !strings.HasPrefix(names[1], "/rec/box1/box1-boot"+bootID()+"-1.ts") || names[0] != "/rec/box1/box1-20261123101643.ts" {
			t.Errorf("files %v", names)
		}
		for _, e := range list(t, m) {
			if e.MissingFrames != 0 || len(e.Gaps) != 0 || e.Pictures != 75 {
				t.Errorf("a new epoch is no gap: %+v", e)
			}
		}
	})
}

func TestMissingFramesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		r := open(t, testConfig(m))
		feed(t, r, s.seconds(2))
		s.frame += 10 // within a segment
		feed(t, r, s.seconds(7))
		s.frame += 15 + 25*3 // across its end
		feed(t, r, s.seconds(3))
		if st := r.Status(); st.Gaps != 2 || st.MissingFrames != 100 || st.State != OK {
			t.Errorf("status %+v", st)
		}
		closeIt(t, r)
		var gaps []Gap
		for _, e := range list(t, m) {
			gaps = append(gaps, e.Gaps...)
		}
		o := uint64(s.origin)
		if len(gaps) != 2 || gaps[0].FirstFrame != o+50 || gaps[0].LastFrame != o+59 || gaps[1].FirstFrame != o+235 || gaps[1].LastFrame != o+324 {
			t.Errorf("gaps %+v", gaps)
		}
	})
}

func TestTwoStartsInOneSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemFS()
		for n := range 3 {
			s := newStreamer()
			s.epoch = uint32(n) // not what was recorded before
			s.seed = uint32(n)
			r := open(t, testConfig(m))
			feed(t, r, s.seconds(2))
			closeIt(t, r)
		}
		if names, _ := m.recorded(); len(names) != 3 {
			t.Errorf("files %v", names)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []Config{{Dir: "x"}, {Dir: "x", Name: "../y"}, {Name: "y"}, {Dir: "x", Name: "a/b"}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

func TestSilenceTurnsRed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		r := open(t, testConfig(m))
		if st := r.Status(); st.State != Starting {
			t.Errorf("at first: %+v", st)
		}
		time.Sleep(6 * time.Second)
		if st := r.Status(); st.State != Failed || st.Cause != "no stream yet after 6 s" {
			t.Errorf("without stream: %s, %s", st.State, st.Cause)
		}
		feed(t, r, s.seconds(1))
		if st := r.Status(); st.State != OK {
			t.Errorf("with stream: %s, %s", st.State, st.Cause)
		}
		time.Sleep(7 * time.Second)
		if st := r.Status(); st.State != Failed || st.Cause != "no stream for 7 s" {
			t.Errorf("afterwards: %s, %s", st.State, st.Cause)
		}
		closeIt(t, r)
	})
}
