package recording

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// simulation is a box that records 8 Mbit/s for 48 hours: the disk, the policy
// and who acknowledges are real, of the stream there is only its size.
type simulation struct {
	fs      *memFS
	w       *writer
	now     time.Time
	minutes int
	current string
	closed  []string // oldest first, that are there
	ended   map[string]time.Time
	acked   map[string]bool
	stopped bool // there is no room and nothing may go
}

const (
	// The simulated writer looks every five minutes instead of every two seconds,
	// and reserves what comes meanwhile.
	step       = 5
	perStep    = step * 60_000_000 // 8 Mbit/s
	segmentMin = 10
)

func newSimulation(capacity int64, p Policy) *simulation {
	m := newMemFS()
	m.resize(capacity)
	cfg := Config{Dir: "/rec", Name: "box1", FS: m, Policy: p, Queue: perStep/2 + 1<<20, Log: quiet()}
	return &simulation{fs: m, w: newWriter(cfg, "/rec/box1", nil), now: testStart, ended: map[string]time.Time{}, acked: map[string]bool{}}
}

// pass records five minutes, or stops.
func (s *simulation) pass(t *rapid.T) (fault string) {
	if s.current != "" && s.minutes%segmentMin == 0 {
		s.close(t)
	}
	before, freeBefore := append([]string(nil), s.closed...), s.free()
	s.w.name = s.current
	free := s.w.tidy(freeBefore, s.now)
	if fault := s.deletions(before, freeBefore); fault != "" {
		return fault
	}
	s.stopped = free < s.w.cfg.Policy.KeepFree+perStep
	if s.stopped {
		if s.current != "" {
			s.close(t)
		}
		if s.mayGo() && s.short(free) {
			return fmt.Sprintf("stopped with %d free, though something may go", free)
		}
	} else {
		s.record()
	}
	s.now = s.now.Add(step * time.Minute)
	s.minutes += step
	if s.free() < s.w.cfg.Policy.KeepFree {
		return fmt.Sprintf("%d bytes are free, %d were to be kept", s.free(), s.w.cfg.Policy.KeepFree)
	}
	return ""
}

func (s *simulation) short(free uint64) bool { return free < s.w.cfg.Policy.KeepFree+s.w.reserve() }

// mayGo says whether the policy has anything left to delete.
func (s *simulation) mayGo() bool {
	for _, name := range s.closed {
		if s.acked[name] || s.w.cfg.Policy.Overwrite {
			return true
		}
	}
	return false
}

// deletions compares what is gone with what the policy promises.
func (s *simulation) deletions(before []string, freeBefore uint64) string {
	p, want := s.w.cfg.Policy, s.w.reserve()
	free := freeBefore
	gone := map[string]bool{}
	for _, name := range before {
		if _, there := s.fs.files[filepath.Join("/rec/box1", name)]; !there {
			gone[name] = true
		}
	}
	var kept []string
	olderAcked, anyAcked := false, false // that stay
	for _, name := range before {
		anyAcked = anyAcked || s.acked[name] && !gone[name]
	}
	for _, name := range before {
		aged := p.Retention > 0 && s.now.Sub(s.ended[name]) > p.Retention
		switch {
		case !gone[name]:
			olderAcked = olderAcked || s.acked[name]
			kept = append(kept, name)
			continue
		case !s.acked[name] && !p.Overwrite:
			return name + " is gone, and nobody had acknowledged it"
		case !s.acked[name] && anyAcked:
			return name + " is gone without acknowledgement, while an acknowledged one is there"
		case olderAcked:
			return name + " is gone, while an older one that was acknowledged is there"
		case free >= p.KeepFree+want && !(s.acked[name] && aged):
			return fmt.Sprintf("%s is gone with %d bytes free", name, free)
		}
		free += perStep // at least: segments are that long but for the last
	}
	s.closed = kept
	return ""
}

func (s *simulation) free() uint64 { free, _, _ := s.fs.Space("/rec"); return free }

func (s *simulation) record() {
	if s.current == "" {
		s.current = "box1-" + s.now.Format(stampLayout) + ".ts"
		s.fs.files[filepath.Join("/rec/box1", s.current)] = &memFile{changed: s.now}
	}
	s.fs.files[filepath.Join("/rec/box1", s.current)].pretend += perStep
}

// close indexes the file in hand, as the indexer does.
func (s *simulation) close(t *rapid.T) {
	f := s.fs.files[filepath.Join("/rec/box1", s.current)]
	at, _ := time.Parse("box1-"+stampLayout+".ts", s.current)
	e := Entry{File: s.current, Start: at, End: s.now, Bytes: f.pretend, SHA256: sumOf(s.current)}
	if err := s.w.index.append(e); err != nil {
		t.Fatal(err)
	}
	s.ended[s.current] = s.now // earlier than the others where the disk was full
	s.closed, s.current = append(s.closed, s.current), ""
}

func sumOf(name string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(name))) }

func (s *simulation) acknowledge(t *rapid.T, name string) {
	if _, err := Acknowledge(s.fs, "/rec", "box1", []string{sumOf(name)}, s.now); err != nil {
		t.Fatal(err)
	}
	s.acked[name] = true
}

// run plays 48 hours with someone who acknowledges now and then.
func (s *simulation) run(t *rapid.T) string {
	habit := rapid.IntRange(0, 3).Draw(t, "how often somebody copies")
	for s.minutes < 48*60 {
		if s.minutes%30 == 0 && len(s.closed) > 0 && rapid.IntRange(0, 3).Draw(t, "copies") < habit {
			from := rapid.IntRange(0, len(s.closed)-1).Draw(t, "from")
			n := rapid.IntRange(1, 6).Draw(t, "files")
			for _, name := range s.closed[from:min(from+n, len(s.closed))] {
				s.acknowledge(t, name)
			}
		}
		if fault := s.pass(t); fault != "" {
			return fmt.Sprintf("minute %d: %s", s.minutes, fault)
		}
	}
	return ""
}

func anyPolicy(t *rapid.T) Policy {
	return Policy{
		KeepFree:  uint64(rapid.IntRange(0, 4).Draw(t, "keep free")) * 256 << 20,
		Overwrite: rapid.Bool().Draw(t, "overwrite"),
		Retention: time.Duration(rapid.SampledFrom([]int{0, 0, 3, 24}).Draw(t, "retention")) * time.Hour,
	}
}

// TestDrillTwoDaysOnASmallDisk plays 25 boxes, in make drill 1000.
func TestDrillTwoDaysOnASmallDisk(t *testing.T) {
	runs := "25"
	if os.Getenv("DRILL") != "" {
		runs = "1000"
	}
	if err := flag.Set("rapid.checks", runs); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		capacity := int64(rapid.IntRange(4, 40).Draw(t, "GB")) << 30
		if fault := newSimulation(capacity, anyPolicy(t)).run(t); fault != "" {
			t.Fatal(fault)
		}
	})
}

// TestTheSimulationFindsBrokenPolicies: each promise, broken on purpose.
func TestTheSimulationFindsBrokenPolicies(t *testing.T) {
	for name, c := range map[string]struct {
		policy Policy
		choose func(p Policy, files []candidate, free, want uint64, now time.Time) string
		fault  string
	}{
		"takes what nobody has acknowledged": {Policy{}, func(p Policy, files []candidate, free, want uint64, now time.Time) string {
			p.Overwrite = true
			return p.choose(files, free, want, now)
		}, "nobody had acknowledged it"},
		"takes the newest": {Policy{}, func(p Policy, files []candidate, free, want uint64, now time.Time) string {
			for i := len(files) - 1; i >= 0 && free < p.KeepFree+want; i-- {
				if files[i].acked {
					return files[i].name
				}
			}
			return ""
		}, "an older one that was acknowledged"},
		"takes the oldest, though another is acknowledged": {Policy{Overwrite: true}, func(p Policy, files []candidate, free, want uint64, now time.Time) string {
			if free < p.KeepFree+want && len(files) > 0 {
				return files[0].name
			}
			return ""
		}, "while an acknowledged one is there"},
		"takes without need": {Policy{}, func(p Policy, files []candidate, free, want uint64, now time.Time) string {
			return p.choose(files, 0, 1<<62, now)
		}, "bytes free"},
		"takes nothing": {Policy{}, func(Policy, []candidate, uint64, uint64, time.Time) string { return "" }, "though something may go"},
	} {
		t.Run(name, func(t *testing.T) {
			found := ""
			rapid.Check(t, func(t *rapid.T) {
				if found != "" {
					return
				}
				s := newSimulation(6<<30, c.policy)
				s.w.choose = func(files []candidate, free, want uint64, now time.Time) string {
					return c.choose(c.policy, files, free, want, now)
				}
				found = s.run(t)
			})
			if !strings.Contains(found, c.fault) {
				t.Errorf("found %q, want %q", found, c.fault)
			}
		})
	}
}
