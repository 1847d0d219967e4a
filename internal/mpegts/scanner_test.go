package mpegts

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// scan gives the packets of a stream that comes in pieces.
func scan(ts []byte, size func() int) (s Scanner, out []byte) {
	for len(ts) > 0 {
		n := min(size(), len(ts))
		s.Scan(ts[:n], func(p Packet) { out = append(out, p...) })
		ts = ts[n:]
	}
	return s, out
}

func TestScannerSkipsGarbage(t *testing.T) {
	ts := cleanStream(t, 200, 25)
	ts = ts[:40*PacketSize]
	cut := func(at, n int) []byte {
		return append(bytes.Clone(ts[:at*PacketSize+100]), ts[at*PacketSize+100+n:]...)
	}
	insert := func(at int, b []byte) []byte { return append(append(bytes.Clone(ts[:at]), b...), ts[at:]...) }
	noise := bytes.Repeat([]byte{9}, 1000)
	for name, c := range map[string]struct {
		in      []byte
		packets uint64
		losses  uint64
		skipped uint64
	}{
		"clean":                    {ts, 40, 0, 0},
		"starts in a packet":       {ts[10:], 39, 1, 178},
		"garbage in front":         {insert(0, noise), 40, 1, 1000},
		"garbage between":          {insert(7*PacketSize, noise), 40, 1, 1000},
		"garbage within":           {insert(7*PacketSize+50, noise), 40, 1, 1000},
		"bytes lost":               {cut(7, 20), 39, 1, 168},
		"sync byte wrong":          {append(append(bytes.Clone(ts[:7*PacketSize]), 0x46), ts[7*PacketSize+1:]...), 39, 1, 188},
		"false sync in garbage":    {insert(7*PacketSize, append(bytes.Clone(noise), bytes.Repeat([]byte{9, 0x47, 9}, 20)...)), 40, 1, 1060},
		"nothing but garbage":      {noise, 0, 1, 1000},
		"incomplete at the end":    {ts[:39*PacketSize+5], 39, 0, 0},
		"one packet, then garbage": {append(bytes.Clone(ts[:PacketSize]), noise...), 1, 1, 1000},
	} {
		for _, size := range []int{1, 7, 187, 188, 189, 376, 1316, 1 << 20} {
			s, out := scan(c.in, func() int { return size })
			if s.Packets != c.packets || s.SyncLosses != c.losses || s.Skipped != c.skipped || len(out) != int(c.packets)*PacketSize {
				t.Errorf("%s in pieces of %d: %d packets, %d losses, %d skipped, want %d, %d, %d", name, size,
					s.Packets, s.SyncLosses, s.Skipped, c.packets, c.losses, c.skipped)
			}
		}
	}
}

// TestScannerIsIndependentOfPieces: any bytes cut in any way give the same.
func TestScannerIsIndependentOfPieces(t *testing.T) {
	clean := cleanStream(t, 120, 25)
	rapid.Check(t, func(t *rapid.T) {
		var ts []byte
		for range rapid.IntRange(1, 10).Draw(t, "parts") {
			n := rapid.IntRange(0, 10).Draw(t, "packets")
			at := rapid.IntRange(0, len(clean)-n*PacketSize).Draw(t, "at")
			if rapid.Bool().Draw(t, "aligned") {
				at -= at % PacketSize
			}
			ts = append(ts, clean[at:at+n*PacketSize]...)
			ts = append(ts, rapid.SliceOfN(rapid.SampledFrom([]byte{0x47, 0, 1}), 0, 400).Draw(t, "garbage")...)
		}
		one, want := scan(ts, func() int { return len(ts) })
		s, got := scan(ts, func() int { return rapid.IntRange(1, 800).Draw(t, "size") })
		if !bytes.Equal(got, want) || s.Skipped != one.Skipped || s.SyncLosses != one.SyncLosses {
			t.Fatalf("%d bytes, %d skipped, %d losses, want %d, %d, %d", len(got), s.Skipped, s.SyncLosses, len(want), one.Skipped, one.SyncLosses)
		}
		if len(got)+int(s.Skipped)+len(s.buf) != len(ts) {
			t.Fatalf("%d delivered, %d skipped, %d left of %d bytes", len(got), s.Skipped, len(s.buf), len(ts))
		}
	})
}

func BenchmarkScanner(b *testing.B) {
	ts := cleanStream(b, 1000, 25)
	var s Scanner
	n := 0
	b.SetBytes(int64(len(ts)))
	b.ReportAllocs()
	for b.Loop() {
		s.Scan(ts, func(p Packet) {
			if _, ok := p.PCR(); ok {
				n++
			}
		})
	}
}
