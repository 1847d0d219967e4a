package h264

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func stampGen() *rapid.Generator[Stamp] {
	// Bytes of 0 to 3 are what emulation prevention is about.
	word := rapid.Custom(func(t *rapid.T) uint64 {
		if rapid.Bool().Draw(t, "any") {
			return rapid.Uint64().Draw(t, "v")
		}
		var v uint64
		for range 8 {
			v = v<<8 | uint64(rapid.IntRange(0, 3).Draw(t, "b"))
		}
		return v
	})
	return rapid.Custom(func(t *rapid.T) Stamp {
		return Stamp{
			Flags:   Flags(rapid.Byte().Draw(t, "flags")),
			Epoch:   uint32(word.Draw(t, "epoch")),
			Frame:   word.Draw(t, "frame"),
			Program: int64(word.Draw(t, "program")),
			Capture: int64(word.Draw(t, "capture")),
		}
	})
}

func TestStampRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := stampGen().Draw(t, "stamp")
		sei := AppendStamp(nil, want)
		if bytes.Contains(sei[3:], startCode[:2]) && bytes.Contains(sei[4:], startCode) {
			t.Fatalf("start code inside % x", sei)
		}
		if nals := Split(nil, sei); len(nals) != 1 || !bytes.Equal(nals[0], sei[4:]) {
			t.Fatalf("% x is not one NAL unit", sei)
		}
		if got, ok := FindStamp(sei); !ok || got != want {
			t.Fatalf("found %+v %v, want %+v", got, ok, want)
		}
		slice := []byte{0x41, 1, 2, 3}
		au := InsertStamp(nil, Append(nil, slice), want)
		if got, ok := FindStamp(au); !ok || got != want {
			t.Fatalf("in a unit: %+v %v", got, ok)
		}
	})
}

func TestFindStampAmongOthers(t *testing.T) {
	want := Stamp{Flags: Live | Slate, Epoch: 3, Frame: 4, Program: 5, Capture: 6}
	whole := AppendStamp(nil, want)[4:]
	message := whole[1 : len(whole)-1]
	long := append([]byte{4, 0xff, 10}, bytes.Repeat([]byte{9}, 265)...) // of 255+10 bytes
	both := append(append(append([]byte{typeSEI}, long...), message...), 0x80)
	otherUUID := bytes.Clone(whole)
	otherUUID[5]++
	newer := bytes.Clone(whole)
	newer[3+16] = 2
	slice := []byte{0x65, 0x88}
	for name, c := range map[string]struct {
		au   []byte
		want bool
	}{
		"behind another message":  {Append(nil, both, slice), true},
		"behind another NAL unit": {Append(nil, []byte{typeSEI, 4, 1, 7, 0x80}, whole, slice), true},
		"another UUID":            {Append(nil, otherUUID, slice), false},
		"another version":         {Append(nil, newer, slice), false},
		"after the slice":         {Append(nil, slice, whole), false},
		"cut short":               {Append(nil, whole[:20]), false},
		"size beyond the end":     {Append(nil, []byte{typeSEI, 5, 200, 1, 0x80}, slice), false},
		"none":                    {Append(nil, slice), false},
		"nothing":                 {nil, false},
	} {
		got, ok := FindStamp(c.au)
		if ok != c.want || ok && got != want {
			t.Errorf("%s: %+v %v", name, got, ok)
		}
	}
}

func TestInsertStamp(t *testing.T) {
	aud, sps, pps := []byte{0x09, 0x10}, []byte{0x67, 1}, []byte{0x68, 2}
	other, one, two := []byte{0x06, 1, 1, 7, 0x80}, []byte{0x65, 3}, []byte{0x65, 4}
	s, older := Stamp{Frame: 1}, Stamp{Frame: 9, Epoch: 2}
	sei, old := AppendStamp(nil, s)[4:], AppendStamp(nil, older)[4:]
	added := anyPicture[4:]
	for name, c := range map[string]struct{ in, want [][]byte }{
		"keyframe":       {[][]byte{aud, sps, pps, other, one, two}, [][]byte{aud, sps, pps, other, sei, one, two}},
		"no delimiter":   {[][]byte{sps, pps, one}, [][]byte{added, sps, pps, sei, one}},
		"slice only":     {[][]byte{one}, [][]byte{added, sei, one}},
		"stamped before": {[][]byte{aud, old, other, one}, [][]byte{aud, other, sei, one}},
	} {
		got := Split(nil, InsertStamp([]byte{}, Append(nil, c.in...), s))
		if !slices.EqualFunc(got, c.want, bytes.Equal) {
			t.Errorf("%s: % x, want % x", name, got, c.want)
		}
	}
}

func TestSplit(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		want [][]byte
	}{
		"long and short codes": {[]byte{0, 0, 0, 1, 9, 16, 0, 0, 1, 0x65, 7}, [][]byte{{9, 16}, {0x65, 7}}},
		"trailing zeros":       {[]byte{0, 0, 1, 9, 16, 0, 0, 0, 0, 0, 1, 0x65, 7, 0, 0}, [][]byte{{9, 16}, {0x65, 7}}},
		"junk in front":        {[]byte{5, 5, 0, 0, 1, 9, 16}, [][]byte{{9, 16}}},
		"empty ones":           {[]byte{0, 0, 1, 0, 0, 1, 9, 16, 0, 0, 1}, [][]byte{{9, 16}}},
		"no start code":        {[]byte{1, 2, 3}, nil},
		"nothing":              {nil, nil},
	} {
		if got := Split(nil, c.in); !slices.EqualFunc(got, c.want, bytes.Equal) {
			t.Errorf("%s: % x, want % x", name, got, c.want)
		}
	}
}

func TestIsIDR(t *testing.T) {
	sps, pps, idr, p := []byte{0x67, 1}, []byte{0x68, 2}, []byte{0x65, 3}, []byte{0x41, 4}
	if !IsIDR(Append(nil, sps, pps, idr)) || IsIDR(Append(nil, p)) || IsIDR(Append(nil, sps, pps)) || IsIDR(nil) {
		t.Error("IsIDR")
	}
	if s, q := ParameterSets(Append(nil, []byte{9, 16}, sps, pps, idr)); !bytes.Equal(s, sps) || !bytes.Equal(q, pps) {
		t.Errorf("ParameterSets: % x, % x", s, q)
	}
	if s, q := ParameterSets(Append(nil, p, sps)); s != nil || q != nil {
		t.Errorf("ParameterSets behind the slice: % x, % x", s, q)
	}
}

func TestNoAllocation(t *testing.T) {
	au := InsertStamp(nil, Append(nil, []byte{0x67, 1}, []byte{0x68, 2}, bytes.Repeat([]byte{0x65}, 5000)), Stamp{Frame: 7})
	buf := make([]byte, 0, 10000)
	if n := testing.AllocsPerRun(100, func() {
		if s, ok := FindStamp(au); !ok || s.Frame != 7 || !IsIDR(au) {
			t.Error("not found")
		}
		ParameterSets(au)
		buf = InsertStamp(buf[:0], au, Stamp{})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFindStamp(b *testing.B) {
	au := InsertStamp(nil, Append(nil, []byte{0x67, 1}, []byte{0x68, 2}, bytes.Repeat([]byte{0x65}, 50000)), Stamp{Frame: 7})
	b.ReportAllocs()
	for b.Loop() {
		FindStamp(au)
	}
}
