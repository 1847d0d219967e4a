package tee

import (
	"bytes"
	"testing"

	"github.com/openvideobox/videobox/internal/mpegts"
)

// keys feeds packets to an index and returns which of them start a keyframe.
func keys(x *index, stream []byte) (at []int) {
	var s mpegts.Scanner
	n := 0
	s.Scan(stream, func(p mpegts.Packet) {
		if x.packet(p) != nil {
			at = append(at, n)
		}
		n++
	})
	return at
}

func TestKeyframesWithoutIndicator(t *testing.T) {
	start := []byte{0, 0, 1}
	for _, c := range []struct {
		name string
		kind byte
		es   []byte
		want bool
	}{
		{"H.264 SPS", typeH264, []byte{0x67}, true},
		{"H.264 IDR slice", typeH264, []byte{0x65}, true},
		{"H.264 other slice", typeH264, []byte{0x41}, false},
		{"H.265 VPS", typeH265, []byte{32 << 1, 1}, true},
		{"H.265 IDR", typeH265, []byte{19 << 1, 1}, true},
		{"H.265 other slice", typeH265, []byte{1 << 1, 1}, false},
		{"MPEG-2 sequence", typeMPEG2, []byte{0xb3}, true},
		{"MPEG-2 picture", typeMPEG2, []byte{0}, false},
		{"AAC", 0x0f, []byte{0xff, 0xf1}, true},
	} {
		m := maker{kinds: []byte{c.kind}, bare: true}
		stream := append(m.tables(), m.pes(testVideo, true, true, append(start, c.es...), 2)...)
		if got := len(keys(&index{}, stream)) == 1; got != c.want {
			t.Errorf("%s: keyframe %v, want %v", c.name, got, c.want)
		}
	}
}

func TestVideoIsFoundBehindSound(t *testing.T) {
	m := maker{kinds: []byte{0x0f, typeH264}} // video on the second PID
	stream := m.tables()
	stream = append(stream, m.pes(testVideo, true, true, nil, 1)...)
	stream = append(stream, m.pes(testAudio, true, true, nil, 1)...)
	if got := keys(&index{}, stream); len(got) != 1 || got[0] != 3 {
		t.Errorf("keyframes at packets %v, want 3", got)
	}
}

// A PMT may take several packets, and others may lie between them.
func TestLongTable(t *testing.T) {
	var m maker
	pmt := []byte{0xe1, 0x00, 0xf0, 200}
	pmt = append(pmt, make([]byte, 200)...)
	pmt = append(pmt, typeH264, 0xe1, 0, 0xf0, 0)
	s := section(2, pmt)
	pat := m.packet(0, true, false, false, section(0, []byte{0, 1, 0xf0, 0}))
	first := m.packet(testPMT, true, false, false, s[:184])
	between := m.packet(testAudio, false, false, false, make([]byte, 184))
	second := m.packet(testPMT, false, false, false, s[184:])
	var x index
	keys(&x, bytes.Join([][]byte{pat, first, between, second}, nil))
	tables := x.packet(m.pes(testVideo, true, true, nil, 1))
	if want := bytes.Join([][]byte{pat, first, second}, nil); !bytes.Equal(tables, want) {
		t.Errorf("tables of %d bytes, want %d", len(tables), len(want))
	}
}

func TestBrokenTablesAreIgnored(t *testing.T) {
	var m maker
	good := m.tables()
	for name, spoil := range map[string]func([]byte){
		"CRC":          func(b []byte) { b[len(b)-1] ^= 1 },
		"table":        func(b []byte) { b[bytes.Index(b, []byte{0, 2, 0xb0})+1] = 3 },
		"transmission": func(b []byte) { b[mpegts.PacketSize+1] |= 0x80 },
	} {
		b := bytes.Clone(good)
		spoil(b)
		x := index{}
		keys(&x, b)
		if x.ready {
			t.Errorf("%s: believed", name)
		}
	}
}

// A program whose PMT moves is followed.
func TestNewProgram(t *testing.T) {
	var m maker
	x := index{}
	keys(&x, m.tables())
	keys(&x, m.packet(0, true, false, false, section(0, []byte{0, 0, 0xe0, 0x10, 0, 1, 0xf1, 0})))
	if x.ready || x.program != 0x1100 {
		t.Errorf("program %#x, ready %v; want 0x1100, not ready", x.program, x.ready)
	}
}
