package tee

import (
	"cmp"
	"encoding/binary"
	"testing"

	"github.com/openvideobox/videobox/internal/mpegts"
)

// PIDs of the streams that tests make.
const (
	testPMT   = 0x1000
	testVideo = 0x100
	testAudio = 0x101
)

// maker makes transport streams packet by packet.
type maker struct {
	counters map[uint16]byte
	kinds    []byte // stream types; nil: H.264 and AAC
	bare     bool   // without random access indicators
	frames   int64
	ms       int64 // a frame; 0: 40
}

// pcr is at 27 MHz.
func (m *maker) pcr() int64 { return m.frames * cmp.Or(m.ms, 40) * 27000 }

// packet fills up with an adaptation field.
func (m *maker) packet(pid uint16, start, key, pcr bool, payload []byte) []byte {
	if m.counters == nil {
		m.counters = make(map[uint16]byte)
	}
	p := make([]byte, 4, mpegts.PacketSize)
	p[0], p[1], p[2] = syncByte, byte(pid>>8), byte(pid)
	if start {
		p[1] |= 0x40
	}
	p[3] = 0x10 | m.counters[pid]
	m.counters[pid] = (m.counters[pid] + 1) & 15
	if room := mpegts.PacketSize - 4 - len(payload); room > 0 {
		p[3] |= 0x20
		field := make([]byte, room)
		field[0] = byte(room - 1)
		for i := 2; i < room; i++ {
			field[i] = 0xff
		}
		if key && !m.bare {
			field[1] |= 0x40
		}
		if pcr {
			field[1] |= 0x10
			base := m.pcr() / 300
			binary.BigEndian.PutUint32(field[2:], uint32(base>>1))
			field[6], field[7] = byte(base<<7)|0x7e, byte(m.pcr()%300)
		}
		p = append(p, field...)
	}
	return append(p, payload...)
}

func section(id byte, body []byte) []byte {
	s := []byte{0, id, 0xb0, byte(5 + len(body) + 4), 0, 1, 0xc1, 0, 0}
	s = append(s, body...)
	return binary.BigEndian.AppendUint32(s, crc32(s[1:]))
}

func (m *maker) tables() []byte {
	kinds := m.kinds
	if kinds == nil {
		kinds = []byte{typeH264, 0x0f}
	}
	pmt := []byte{0xe1, 0x00, 0xf0, 0}
	for i, k := range kinds {
		pmt = append(pmt, k, 0xe1, byte(i), 0xf0, 0)
	}
	pat := m.packet(0, true, false, false, section(0, []byte{0, 1, 0xf0, 0}))
	return append(pat, m.packet(testPMT, true, false, false, section(2, pmt))...)
}

// pes is a PES packet of that many packets on a PID.
func (m *maker) pes(pid uint16, key, pcr bool, es []byte, packets int) []byte {
	head := append([]byte{0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5, 0x21, 0, 1, 0, 1}, es...)
	out := m.packet(pid, true, key, pcr, head)
	for i := 1; i < packets; i++ {
		body := make([]byte, mpegts.PacketSize-4)
		binary.BigEndian.PutUint64(body, uint64(m.frames)<<16|uint64(i))
		out = append(out, m.packet(pid, false, false, false, body)...)
	}
	return out
}

// frame is a picture of that many packets, with the tables when it is a key,
// and the sound of its time.
func (m *maker) frame(key bool, packets int) []byte {
	var out []byte
	es := []byte{0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x41}
	if key {
		out = m.tables()
		es = []byte{0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1, 0x67, 0x64, 0, 0, 0, 1, 0x65}
	}
	out = append(out, m.pes(testVideo, key, true, es, packets)...)
	out = append(out, m.pes(testAudio, false, false, []byte{0xff, 0xf1}, 2)...)
	m.frames++
	return out
}

// gop is a keyframe and others, of 10 packets each.
func (m *maker) gop(frames int) []byte {
	var out []byte
	for i := range frames {
		out = append(out, m.frame(i == 0, 10)...)
	}
	return out
}

// checkStream wants what a reader must get: PAT, PMT, a keyframe's first
// packet, and no break in any counter.
func checkStream(t testing.TB, b []byte) {
	t.Helper()
	if len(b)%mpegts.PacketSize != 0 {
		t.Fatalf("%d bytes are no whole packets", len(b))
	}
	last := make(map[uint16]byte)
	for i := 0; i < len(b); i += mpegts.PacketSize {
		p := mpegts.Packet(b[i : i+mpegts.PacketSize])
		pid := p.PID()
		switch n := i / mpegts.PacketSize; {
		case p[0] != syncByte:
			t.Fatalf("packet %d has no sync byte", n)
		case n == 0 && pid != 0, n == 1 && pid != testPMT, n == 2 && (pid != testVideo || !p.PayloadStart()):
			t.Fatalf("packet %d has PID %#x; want PAT, PMT, keyframe", n, pid)
		}
		if c, ok := last[pid]; ok && p.Counter() != (c+1)&15 {
			t.Fatalf("packet %d, PID %#x: counter %d after %d", i/mpegts.PacketSize, pid, p.Counter(), c)
		}
		last[pid] = p.Counter()
	}
}

// frameOf is the frame number that the second packet of a picture carries.
func frameOf(b []byte) int64 {
	for ; len(b) >= mpegts.PacketSize; b = b[mpegts.PacketSize:] {
		if p := mpegts.Packet(b[:mpegts.PacketSize]); p.PID() == testVideo && !p.PayloadStart() {
			return int64(binary.BigEndian.Uint64(p[4:]) >> 16)
		}
	}
	return -1
}
