package recording

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestMovedDisks: what was recorded on a disk that is gone is no loss, what
// nobody recorded is one, and the index tells them apart.
func TestMovedDisks(t *testing.T) {
	for _, c := range []struct {
		name          string
		back          int64 // frames of the stream that come again
		before, known bool  // there is an older file here; the disk is known of
		gaps          []string
		lost          uint64
	}{
		{"all of it is there twice", 50, true, true, []string{"recorded in /disk/box1 meanwhile"}, 0},
		{"some is lost", -30, true, true, []string{"recorded in /disk/box1 meanwhile", "the disk was pulled"}, 1},
		{"some is lost, and nothing was here", -30, false, true, []string{"the disk was pulled"}, 1},
		{"nothing is lost, and nothing was here", 50, false, true, nil, 0},
		{"record was away", -30, true, false, []string{"the recorder was not running"}, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			here, disk, s := newMemFS(), newMemFS(), newStreamer()
			if c.before {
				r := open(t, testConfig(here))
				feed(t, r, s.seconds(2))
				closeIt(t, r)
			}
			r := open(t, testConfig(disk))
			feed(t, r, s.seconds(6))
			time.Sleep(2 * DefaultFlush)
			e, ok := r.Flushed()
			if want := uint64(s.origin + s.frame - 1); !ok || e.Frame != want {
				t.Fatalf("%s: flushed up to %d, %v, want %d", c.name, e.Frame, ok, want)
			}
			closeIt(t, r)
			cfg := testConfig(here)
			if c.known {
				e.Dir, e.Cause = "/disk/box1", "the disk was pulled"
				cfg.Elsewhere = &e
			}
			s.frame -= c.back
			r = open(t, cfg)
			feed(t, r, s.seconds(3))
			if st := r.Status(); st.Gaps != c.lost && c.before {
				t.Errorf("%s: %d gaps, want %d", c.name, st.Gaps, c.lost)
			}
			closeIt(t, r)
			entries := list(t, here)
			last := entries[len(entries)-1]
			var causes []string
			next := uint64(0)
			for i, g := range last.Gaps {
				causes = append(causes, g.Cause)
				if i > 0 && g.FirstFrame != next {
					t.Errorf("%s: gap %d starts with %d, want %d", c.name, i, g.FirstFrame, next)
				}
				next = g.LastFrame + 1
			}
			if strings.Join(causes, "; ") != strings.Join(c.gaps, "; ") || len(causes) > 0 && next != last.StartFrame {
				t.Errorf("%s: gaps %+v before frame %d, want %q", c.name, last.Gaps, last.StartFrame, c.gaps)
			}
			if c.before && last.Gaps[0].FirstFrame != entries[0].EndFrame+1 {
				t.Errorf("%s: %+v after frame %d", c.name, last.Gaps[0], entries[0].EndFrame)
			}
		})
	}
}
