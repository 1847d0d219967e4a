package cache

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/restream-host/internal/hls"
)

var t0 = time.Unix(1_800_000_000, 0)

// offered is a playlist from number first on: "." whole, "g" gap, "p" half a
// segment, "d" whole after a discontinuity.
func offered(first int64, what string) *hls.Playlist {
	p := &hls.Playlist{Target: 2, Sequence: first, Independent: true}
	for i, c := range what {
		n := first + int64(i)
		e := hls.Entry{Number: n, Duration: hls.Duration, Time: hls.StartOf(n)}
		switch c {
		case 'g':
			e = hls.GapEntry(n)
		case 'p':
			e.Duration = time.Second
			e.Time = e.Time.Add(time.Second)
		case 'd':
			e.Discontinuity = true
		}
		p.Entries = append(p.Entries, e)
	}
	return p
}

// show is our list in the same letters, with each segment's origin: "0.1.1p".
func show(m *merge) string {
	var b strings.Builder
	for _, l := range m.list {
		c := "."
		switch {
		case l.Gap:
			b.WriteString("g")
			continue
		case l.Duration < whole:
			c = "p"
		case l.Discontinuity:
			c = "d"
		}
		fmt.Fprintf(&b, "%d%s", l.origin, c)
	}
	return b.String()
}

// step is what happens at a time: an origin gives a list, or nothing.
type step struct {
	at     float64 // s
	origin int
	list   *hls.Playlist // nil: it is lost
	want   string        // our list afterwards; "": not looked at
}

func TestMerge(t *testing.T) {
	for name, steps := range map[string][]step{
		"main alone": {
			{0, 0, offered(10, "..."), "0.0.0."},
			{2, 0, offered(10, "...."), "0.0.0.0."},
		},
		"main first": {
			{0, 0, offered(10, "..."), ""},
			{0.1, 1, offered(10, "..."), "0.0.0."},
			{2, 1, offered(10, "...."), "0.0.0."}, // main may still come
			{2.1, 0, offered(10, "...."), "0.0.0.0."},
		},
		"main is late": {
			{0, 0, offered(10, "..."), ""},
			{2, 1, offered(10, "...."), "0.0.0."},
			{3.1, 1, offered(10, "...."), "0.0.0.1."},
			{3.2, 0, offered(10, "...."), "0.0.0.1."},
		},
		"main is lost": {
			{0, 0, offered(10, "..."), ""},
			{0, 1, offered(10, "..."), "0.0.0."},
			{1, 0, nil, ""},
			{2, 1, offered(10, "...."), "0.0.0.1."},
			{3, 0, offered(13, "p"), "0.0.0.1."}, // back again, with the end of 13
			{4, 0, offered(13, "p."), "0.0.0.1.0."},
		},
		"main stands still": {
			{0, 0, offered(10, "..."), ""},
			{2, 1, offered(10, "...."), ""},
			{6.1, 0, offered(10, "..."), ""},
			{6.2, 1, offered(10, "....."), "0.0.0.1.1."},
		},
		"gap in main": {
			{0, 1, offered(9, "."), "1."},
			{0, 0, offered(10, "..g."), "1.0.0."}, // the backup may still have it
			{0.1, 1, offered(9, "....."), "1.0.0.1.0."},
		},
		"gap in both": {
			{0, 1, offered(10, ".."), ""},
			{0, 0, offered(10, "..g."), "1.1."},
			{0.1, 1, offered(10, "..g."), "1.1.g0."},
		},
		"gap, filled later": {
			{0, 1, offered(9, "."), ""},
			{0, 0, offered(10, "..g."), "1.0.0."},
			{1.1, 0, offered(10, "..g."), "1.0.0.g0."},
			{1.5, 1, offered(11, "..."), "1.0.0.1.0."},
		},
		"gap, nobody else": {
			{0, 0, offered(10, "..g."), "0.0.g0."},
		},
		"part in main": {
			{0, 1, offered(9, "."), ""},
			{0, 0, offered(10, "..p"), "1.0.0."},
			{0.2, 1, offered(9, "...."), "1.0.0.1."},
		},
		"part is better than gap": {
			{0, 0, offered(10, ".g"), ""},
			{0.2, 1, offered(10, ".p."), "0.1p"},
			{1.3, 1, offered(10, ".p."), "0.1p1."},
		},
		"only the backup knows of the discontinuity": {
			{0, 0, offered(10, ".."), ""},
			{0, 1, offered(10, ".."), "0.0."},
			{2, 1, offered(10, "..d"), "0.0."},
			{2.1, 0, offered(12, "."), "0.0.0d"},
		},
		"longer history": {
			{0, 0, offered(20, "."), "0."},
			{0.1, 1, offered(10, "..........."), "0."},
		},
		"after a long silence": {
			{0, 0, offered(10, "..."), "0.0.0."},
			{200, 0, offered(200, ".."), "0.0."},
		},
		"after a short silence": {
			{0, 0, offered(10, "..."), "0.0.0."},
			{10, 0, offered(15, "."), "0.0.0.gg0."},
		},
		"clock set back": {
			{0, 0, offered(1000, "..."), "0.0.0."},
			{4, 0, offered(10, "."), "0.0.0."},
			{7, 0, offered(10, ".."), "0.0."},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMerge(2)
			for i, s := range steps {
				now := t0.Add(time.Duration(s.at * 1e9))
				if s.list == nil {
					m.lost(s.origin)
				} else {
					m.offer(s.origin, s.list, now)
				}
				m.update(now)
				if got := show(m); s.want != "" && got != s.want {
					t.Errorf("step %d at %v: %s, want %s", i, s.at, got, s.want)
				}
			}
		})
	}
}

// TestMergeStays: what is listed stays, the window slides, numbers and
// discontinuities are counted on.
func TestMergeStays(t *testing.T) {
	m := newMerge(2)
	m.offer(0, offered(100, "..d."), t0)
	m.update(t0)
	for i := range int64(60) {
		now := t0.Add(time.Duration(2*i) * time.Second)
		first := max(100, 104+i-hls.Listed)
		m.offer(int(i%2), offered(first, strings.Repeat(".", int(104+i-first))), now)
		m.update(now)
	}
	p := m.playlist()
	if len(p.Entries) != hls.Listed || p.NewestSegment() != 162 && p.NewestSegment() != 161 || p.DiscontinuitySequence != 1 {
		t.Errorf("%d entries up to %d, discontinuity sequence %d", len(p.Entries), p.NewestSegment(), p.DiscontinuitySequence)
	}
	if _, err := hls.Parse(p.Append(nil)); err != nil {
		t.Error(err)
	}
	if !m.live(t0.Add(120*time.Second)) || m.live(t0.Add(130*time.Second)) {
		t.Error("live must end when the list no longer grows")
	}
}
