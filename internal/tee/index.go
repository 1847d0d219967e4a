package tee

import (
	"encoding/binary"

	"github.com/openvideobox/videobox/internal/mpegts"
)

// maxTablePackets bounds how much of one table is kept. A section of a PMT is
// at most 1021 bytes (ISO/IEC 13818-1 2.4.4.9), six packets.
const maxTablePackets = 6

// Stream types of video (ISO/IEC 13818-1 table 2-34).
const (
	typeMPEG1 = 0x01
	typeMPEG2 = 0x02
	typeH264  = 0x1b
	typeH265  = 0x24
)

// index follows the tables of the first program and finds its keyframes.
type index struct {
	pat, pmt table
	program  uint16 // PID of the PMT, known when pat.whole is
	stream   uint16 // PID where keyframes are looked for
	kind     byte   // its stream type
	ready    bool
}

// packet returns the tables, as packets, if p is the first of a keyframe.
func (x *index) packet(p mpegts.Packet) (tables []byte) {
	switch pid := p.PID(); {
	case p.Error():
	case pid == mpegts.PIDPAT:
		if x.pat.packet(p) {
			x.readPAT()
		}
	case x.pat.whole != nil && pid == x.program:
		if x.pmt.packet(p) {
			x.readPMT()
		}
	case x.ready && pid == x.stream && x.keyframe(p):
		tables = make([]byte, 0, len(x.pat.whole)+len(x.pmt.whole))
		return append(append(tables, x.pat.whole...), x.pmt.whole...)
	}
	return nil
}

// readPAT finds the first program (2.4.4.3).
func (x *index) readPAT() {
	for e := x.pat.body(5); len(e) >= 4; e = e[4:] {
		if binary.BigEndian.Uint16(e) == 0 {
			continue // the network's PID, no program
		}
		if pid := binary.BigEndian.Uint16(e[2:]) & 0x1fff; pid != x.program {
			x.program, x.pmt, x.ready = pid, table{id: 2}, false
		}
		return
	}
}

// readPMT picks the video stream, or the first one of a program without
// (2.4.4.8).
func (x *index) readPMT() {
	b := x.pmt.body(5)
	if len(b) < 4 {
		return
	}
	b = skip(b, 4+int(binary.BigEndian.Uint16(b[2:])&0xfff))
	x.stream, x.kind, x.ready = mpegts.PIDNull, 0, false
	for len(b) >= 5 {
		kind, pid := b[0], binary.BigEndian.Uint16(b[1:])&0x1fff
		video := kind == typeH264 || kind == typeH265 || kind == typeMPEG2 || kind == typeMPEG1
		if video || !x.ready {
			x.stream, x.kind, x.ready = pid, kind, true
		}
		if video {
			return
		}
		b = skip(b, 5+int(binary.BigEndian.Uint16(b[3:])&0xfff))
	}
}

func skip(b []byte, n int) []byte { return b[min(n, len(b)):] }

// keyframe tells whether decoding can start at p. Where a muxer doesn't set
// the random access indicator, the first packet of the picture must show it.
func (x *index) keyframe(p mpegts.Packet) bool {
	if !p.PayloadStart() {
		return false
	}
	if p.RandomAccess() {
		return true
	}
	es := pesPayload(p.Payload())
	switch x.kind {
	case typeH264:
		return startCode(es, func(b byte) bool { t := b & 0x1f; return t == 5 || t == 7 })
	case typeH265:
		return startCode(es, func(b byte) bool { t := b >> 1 & 0x3f; return t >= 16 && t <= 21 || t >= 32 && t <= 33 })
	case typeMPEG1, typeMPEG2:
		return startCode(es, func(b byte) bool { return b == 0xb3 })
	}
	return true // sound alone: any frame will do
}

// pesPayload cuts the header off a PES packet of video or sound (2.4.3.6).
func pesPayload(b []byte) []byte {
	if len(b) < 9 || b[0] != 0 || b[1] != 0 || b[2] != 1 {
		return nil
	}
	return skip(b, 9+int(b[8]))
}

// startCode tells whether a byte after 00 00 01 satisfies want.
func startCode(b []byte, want func(byte) bool) bool {
	for i := 0; i+3 < len(b); i++ {
		if b[i] == 0 && b[i+1] == 0 && b[i+2] == 1 && want(b[i+3]) {
			return true
		}
	}
	return false
}

// table collects the packets of one section and checks it.
type table struct {
	id      byte
	part    []byte // packets so far
	section []byte // bytes so far
	whole   []byte // packets of the last one that was complete
	good    []byte // its section
}

// packet returns true when p completes a section that is as it should be.
func (t *table) packet(p mpegts.Packet) bool {
	b := p.Payload()
	if p.PayloadStart() {
		t.part, t.section = t.part[:0], t.section[:0]
		if len(b) == 0 || int(b[0])+1 > len(b) {
			return false
		}
		b = b[1+int(b[0]):]
	} else if len(t.part) == 0 {
		return false // the middle of one whose start was missed
	}
	t.part = append(t.part, p...)
	t.section = append(t.section, b...)
	if len(t.section) < 3 {
		return false
	}
	size := 3 + int(binary.BigEndian.Uint16(t.section[1:])&0xfff)
	if len(t.section) < size {
		if len(t.part) >= maxTablePackets*mpegts.PacketSize {
			t.part = t.part[:0]
		}
		return false
	}
	t.section = t.section[:size]
	ok := t.section[0] == t.id && size >= 12 && crc32(t.section) == 0
	if ok {
		t.whole = append(t.whole[:0], t.part...)
		t.good = append(t.good[:0], t.section...)
	}
	t.part = t.part[:0]
	return ok
}

// body is the section between header and CRC (2.4.4.1); extension is the
// number of bytes after the length that belong to the header.
func (t *table) body(extension int) []byte {
	return t.good[3+extension : len(t.good)-4]
}

// crc32 is the CRC of sections (annex A); over a whole section it is 0.
func crc32(b []byte) uint32 {
	c := uint32(0xffffffff)
	for _, v := range b {
		c ^= uint32(v) << 24
		for range 8 {
			if c&0x80000000 != 0 {
				c = c<<1 ^ 0x04c11db7
			} else {
				c <<= 1
			}
		}
	}
	return c
}
