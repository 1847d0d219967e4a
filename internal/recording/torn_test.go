package recording

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/openvideobox/videobox/internal/mpegts"
)

// TestStoppedWithinAPicture: what is recorded can end within a picture, which
// no player shows then. The index leaves it out, and the gap begins with it.
func TestStoppedWithinAPicture(t *testing.T) {
	for _, short := range []int{2, 4, 5} { // packets; the picture has six
		synctest.Test(t, func(t *testing.T) {
			m, s := newMemFS(), newStreamer()
			r := open(t, testConfig(m))
			ts := s.seconds(3)
			feed(t, r, ts[:len(ts)-short*mpegts.PacketSize])
			closeIt(t, r)
			torn := uint64(s.origin + 3*testRate - 1)
			if e := list(t, m)[0]; e.EndFrame != torn-1 || e.Pictures != 3*testRate-1 {
				t.Errorf("%d packets short of frame %d: %+v", short, torn, e)
			}
			r = open(t, testConfig(m)) // some of the stream is missing
			s.frame += 20
			feed(t, r, s.seconds(2))
			closeIt(t, r)
			e := list(t, m)[1]
			if len(e.Gaps) != 1 || e.Gaps[0].FirstFrame != torn || e.Gaps[0].LastFrame != e.StartFrame-1 {
				t.Errorf("%d packets short of frame %d: gap %+v, file from %d", short, torn, e.Gaps, e.StartFrame)
			}
		})
	}
}

// TestGapsOutliveAPowerCut: what was missing before a file is known even if the
// file never ended.
func TestGapsOutliveAPowerCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		r := open(t, testConfig(m))
		feed(t, r, s.seconds(2))
		closeIt(t, r)
		for range 2 { // the second finds a file that was cut off, too
			s.frame += 50
			r = open(t, testConfig(m))
			feed(t, r, s.seconds(3))
			time.Sleep(2 * DefaultFlush)
			cut := m.copy()
			closeIt(t, r)
			m = cut
		}
		r = open(t, testConfig(m))
		s.frame += 50
		feed(t, r, s.seconds(2))
		closeIt(t, r)
		entries := list(t, m)
		if len(entries) != 4 {
			t.Fatalf("%d files", len(entries))
		}
		for i, e := range entries[1:] {
			before := entries[i].EndFrame
			if len(e.Gaps) != 1 || e.Gaps[0].FirstFrame != before+1 || e.Gaps[0].LastFrame != e.StartFrame-1 || e.Gaps[0].Cause != "the recorder was not running" {
				t.Errorf("%s from frame %d, after %d: %+v", e.File, e.StartFrame, before, e.Gaps)
			}
		}
	})
}

// TestASlowDiskDoesNotCostTheIndex: a file that an earlier run began has to be
// read for its checksum. The time for that begins when the disk has everything.
func TestASlowDiskDoesNotCostTheIndex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		ts := s.seconds(6)
		r := open(t, testConfig(m))
		feed(t, r, ts[:s.starts[4]+100])
		m = kill(t, r, m)
		r = open(t, testConfig(m))
		feed(t, r, ts)
		time.AfterFunc(2*scanDeadline, stall(m, "sync"))
		closeIt(t, r)
		if l := list(t, m); len(l) != 1 || l[0].Open || l[0].Pictures != 6*testRate {
			t.Errorf("%+v", l)
		}
	})
}
