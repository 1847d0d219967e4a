package recording

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/mpegts"
)

// frames are the numbers of the stamped pictures in a stream.
func frames(ts []byte) (n []uint64) {
	var s mpegts.Scanner
	s.Scan(ts, func(p mpegts.Packet) {
		if p.PID() != testVideo || !p.PayloadStart() {
			return
		}
		if st, ok := h264.FindStamp(p.Payload()[14:]); ok {
			n = append(n, st.Frame)
		}
	})
	return n
}

// accounted checks that every frame of the stream is either in a file, once
// and in order, or in a gap of the index, and returns how many are missing.
func accounted(t *testing.T, m *memFS, first, last uint64) (missing uint64) {
	t.Helper()
	_, data := m.recorded()
	have := map[uint64]bool{}
	newest := uint64(0)
	for _, d := range data {
		for _, n := range frames(d) {
			if n <= newest {
				t.Errorf("frame %d comes after %d", n, newest)
			}
			newest = n
			have[n] = true
		}
	}
	gap := map[uint64]bool{}
	for _, e := range list(t, m) {
		if e.Open {
			t.Errorf("%s is not indexed", e.File)
		}
		for _, g := range e.Gaps {
			for n := g.FirstFrame; n <= g.LastFrame; n++ {
				gap[n] = true
			}
		}
	}
	for n := first; n <= last; n++ {
		if !have[n] && !gap[n] {
			t.Errorf("frame %d is neither in a file nor in a gap", n)
			return missing
		}
		if !have[n] {
			missing++
		}
	}
	return missing
}

// play feeds the stream at its own speed.
func play(t *testing.T, r *Recorder, s *streamer, frames int, each func()) {
	t.Helper()
	for range frames {
		at := s.out.Len()
		s.add()
		before := time.Now()
		feed(t, r, s.out.Bytes()[at:])
		if d := time.Since(before); d > 0 {
			t.Fatalf("Write waited %v", d)
		}
		time.Sleep(time.Second / testRate)
		if each != nil {
			each()
		}
	}
}

// stall makes every operation of the named kinds wait until release is closed.
func stall(m *memFS, ops string) (release func()) {
	c := make(chan struct{})
	m.fault(func(op, _ string) error {
		if strings.Contains(ops, op) {
			<-c
		}
		return nil
	})
	return func() { m.fault(nil); close(c) }
}

func TestShortStallCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		r := open(t, testConfig(m))
		play(t, r, s, 50, nil)
		release := stall(m, "write sync")
		play(t, r, s, 5*testRate, nil)
		if st := r.Status(); st.QueuedBytes == 0 || st.LostBytes != 0 {
			t.Errorf("during the stall: %+v", st)
		}
		release()
		play(t, r, s, 50, nil)
		if st := r.Status(); st.State != OK || st.Gaps != 0 {
			t.Errorf("after the stall: %+v", st)
		}
		closeIt(t, r)
		if n := accounted(t, m, uint64(s.origin), uint64(s.origin+s.frame-1)); n != 0 {
			t.Errorf("%d frames are missing", n)
		}
	})
}

func TestLongStallIsABoundedCountedGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, ops := range []string{"write", "sync", "statfs", "close", "syncdir"} {
			m, s := newMemFS(), newStreamer()
			c := testConfig(m)
			c.Queue = 100 * mpegts.PacketSize * 6 // about 4 s
			r := open(t, c)
			play(t, r, s, 40, nil)
			release := stall(m, ops)
			red := false
			play(t, r, s, 20*testRate, func() {
				st := r.Status()
				if st.QueuedBytes > c.Queue {
					t.Fatalf("%d bytes are queued, limit %d", st.QueuedBytes, c.Queue)
				}
				red = red || st.State == Failed && strings.Contains(st.Cause, "the disk took no data")
			})
			if !red {
				t.Errorf("%s: never red: %+v", ops, r.Status())
			}
			release()
			play(t, r, s, 3*testRate, nil)
			if st := r.Status(); st.State != Degraded || st.Gaps != 1 || st.LastGap == nil || st.LostBytes == 0 {
				t.Errorf("%s: after the stall: %+v", ops, st)
			}
			closeIt(t, r)
			n := accounted(t, m, uint64(s.origin), uint64(s.origin+s.frame-1))
			least := uint64(14 * testRate)
			if ops == "close" {
				least -= 8 * testRate // which is when the file ends
			}
			if n < least || n > 20*testRate {
				t.Errorf("%s: %d frames are missing of a stall of %d with 4 s of queue", ops, n, 20*testRate)
			}
			names, data := m.recorded()
			for i := range data {
				startsAlone(t, names[i], data[i])
				probe(t, names[i], data[i])
			}
		}
	})
}

func TestFailingDisk(t *testing.T) {
	for _, tt := range []struct {
		name, op string
		err      error
		cause    string
	}{
		{"write error", "write", unix.EIO, "input/output error"},
		{"flush error", "sync", unix.EIO, "input/output error"},
		{"read-only", "write create", unix.EROFS, "read-only file system"},
		{"no directory", "mkdir write", unix.EACCES, "permission denied"},
		{"full", "write", unix.ENOSPC, "disk full: write /rec/box1/box1-20261123100000.ts: no space left on device"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, s := newMemFS(), newStreamer()
				r := open(t, testConfig(m))
				play(t, r, s, 60, nil)
				m.fault(func(op, name string) error {
					if strings.Contains(tt.op, op) && strings.HasSuffix(name, ".ts") || op == "mkdir" && strings.Contains(tt.op, op) {
						return tt.err
					}
					return nil
				})
				play(t, r, s, 1, nil) // the failed write is the first after this
				play(t, r, s, 25, nil)
				first := r.Status()
				if first.State != Failed || !strings.Contains(first.Cause, tt.cause) {
					t.Errorf("with the fault: %s, %q", first.State, first.Cause)
				}
				play(t, r, s, 12*testRate, nil)
				m.fault(nil)
				play(t, r, s, 8*testRate, nil)
				if st := r.Status(); st.State != Degraded || st.Gaps != 1 && tt.op != "sync" {
					t.Errorf("when it is over: %+v", st)
				}
				closeIt(t, r)
				n := accounted(t, m, uint64(s.origin), uint64(s.origin+s.frame-1))
				if n > 19*testRate || n < 12*testRate && tt.op != "sync" { // what a flush lost is unknown
					t.Errorf("%d frames are missing", n)
				}
			})
		})
	}
}

func TestDiskFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		m.resize(400_000)
		c := testConfig(m)
		c.Queue = 50_000
		r := open(t, c)
		play(t, r, s, 30*testRate, nil)
		st := r.Status()
		if st.State != Failed || !strings.HasPrefix(st.Cause, "disk full: ") {
			t.Fatalf("%s, %q", st.State, st.Cause)
		}
		segments := st.Segments
		play(t, r, s, 20*testRate, nil)
		if st := r.Status(); st.Segments != segments || st.State != Failed {
			t.Errorf("a full disk is tried again without room: %d files, then %d", segments, st.Segments)
		}
		m.resize(4_000_000)
		play(t, r, s, 10*testRate, nil)
		if st := r.Status(); st.State != Degraded || st.Gaps != 1 {
			t.Errorf("with room again: %+v", st)
		}
		closeIt(t, r)
		accounted(t, m, uint64(s.origin), uint64(s.origin+s.frame-1))
		names, data := m.recorded()
		for i := range data {
			startsAlone(t, names[i], data[i])
		}
	})
}

func TestKeepsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		m.resize(1_000_000)
		c := testConfig(m)
		c.Queue, c.Policy.KeepFree = 50_000, 600_000
		r := open(t, c)
		play(t, r, s, 30*testRate, nil)
		st := r.Status()
		if st.State != Failed || st.Cause != "disk full: 560 kB free, 585 kB are to be kept" && !strings.HasSuffix(st.Cause, "585 kB are to be kept") {
			t.Fatalf("%s, %q", st.State, st.Cause)
		}
		if free := m.capacity - m.used(); free < 500_000 {
			t.Errorf("%d bytes are free", free)
		}
		m.resize(4_000_000)
		play(t, r, s, 10*testRate, nil)
		closeIt(t, r)
		accounted(t, m, uint64(s.origin), uint64(s.origin+s.frame-1))
	})
}

func TestCloseDoesNotWaitForADeadDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		r := open(t, testConfig(m))
		play(t, r, s, 60, nil)
		release := stall(m, "write")
		play(t, r, s, 10, nil)
		start := time.Now()
		if err := r.Close(); err == nil || !strings.Contains(err.Error(), "has not answered") {
			t.Errorf("Close: %v", err)
		}
		if d := time.Since(start); d != closeDeadline {
			t.Errorf("Close took %v", d)
		}
		release()
		synctest.Wait()
	})
}

func TestGarbageIsNoReasonToStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		r := open(t, testConfig(m))
		feed(t, r, s.seconds(2))
		feed(t, r, bytes.Repeat([]byte("noise"), 1000))
		feed(t, r, s.seconds(2))
		if st := r.Status(); st.GarbageBytes == 0 {
			t.Errorf("status %+v", st)
		}
		closeIt(t, r)
		_, data := m.recorded()
		if len(data) != 1 || len(frames(data[0])) < 95 {
			t.Errorf("%d files, %d frames", len(data), len(frames(data[0])))
		}
	})
}
