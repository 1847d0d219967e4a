package mpegts

import "bytes"

// Table ids (table 2-31).
const (
	tablePAT = 0x00
	tablePMT = 0x02
)

// Stream types (table 2-34) that are named to people.
const (
	typeH264 = 0x1b
	typeADTS = 0x0f
)

var streamTypes = map[byte]string{
	0x01: "MPEG-1 video", 0x02: "MPEG-2 video", 0x03: "MPEG-1 audio", 0x04: "MPEG-2 audio",
	0x06: "private data", typeADTS: "AAC", 0x10: "MPEG-4 video", 0x11: "AAC in LATM (HE-AAC)",
	0x15: "metadata", typeH264: "H.264", 0x1c: "raw AAC", 0x24: "H.265", 0x33: "H.266",
	0x81: "AC-3", 0x82: "DTS", 0x86: "SCTE-35", 0x87: "E-AC-3",
}

// maxSection is the largest section of a PAT or PMT, in bytes (2.4.4.5).
const maxSection = 1024

// sections puts the sections of one PID together.
type sections struct {
	buf     []byte
	started bool
	BadCRC  int
}

// add takes a packet and calls fn with the body of each whole section that
// passes its CRC: from table_id on, without the CRC.
func (s *sections) add(p Packet, fn func(section []byte)) {
	b := p.Payload()
	if len(b) == 0 || p.Error() || p.Scrambled() {
		return
	}
	if p.PayloadStart() {
		n := 1 + int(b[0]) // pointer_field
		if n > len(b) {
			s.started = false
			return
		}
		if s.started {
			s.buf = append(s.buf, b[1:n]...)
			s.cut(fn)
		}
		s.buf, s.started, b = s.buf[:0], true, b[n:]
	}
	if !s.started {
		return
	}
	s.buf = append(s.buf, b...)
	s.cut(fn)
}

// cut takes whole sections off the buffer.
func (s *sections) cut(fn func([]byte)) {
	b := s.buf
	for len(b) >= 3 && b[0] != 0xff {
		n := 3 + int(b[1]&0xf)<<8 + int(b[2])
		if n > maxSection {
			s.started = false
			return
		}
		if len(b) < n {
			s.buf = s.buf[:copy(s.buf, b)]
			return
		}
		if n < 12 || crc32(b[:n]) != 0 {
			s.BadCRC++
		} else {
			fn(b[:n-4])
		}
		b = b[n:]
	}
	if len(b) > 0 && b[0] == 0xff {
		s.started = false // stuffing up to the end of the packet
	}
	s.buf = s.buf[:copy(s.buf, b)]
}

// crc32 is the CRC of annex A: 0 over a whole section.
func crc32(b []byte) uint32 {
	c := ^uint32(0)
	for _, v := range b {
		c = c<<8 ^ crcTable[byte(c>>24)^v]
	}
	return c
}

var crcTable = func() (t [256]uint32) {
	for i := range t {
		c := uint32(i) << 24
		for range 8 {
			c = c<<1 ^ 0x04c11db7*(c>>31)
		}
		t[i] = c
	}
	return t
}()

// parsePAT gives the PMT's PID of the first program.
func parsePAT(s []byte) (pmt uint16, ok bool) {
	if s[0] != tablePAT || s[5]&1 == 0 {
		return 0, false
	}
	for b := s[8:]; len(b) >= 4; b = b[4:] {
		if b[0]|b[1] != 0 { // program 0 is the network
			return uint16(b[2]&0x1f)<<8 | uint16(b[3]), true
		}
	}
	return 0, false
}

// program is what a PMT says.
type program struct {
	pcr     uint16
	streams []elementary
}

type elementary struct {
	kind byte // stream_type
	pid  uint16
}

func parsePMT(s []byte) (p program, ok bool) {
	if s[0] != tablePMT || s[5]&1 == 0 || len(s) < 12 {
		return p, false
	}
	p.pcr = uint16(s[8]&0x1f)<<8 | uint16(s[9])
	b := s[12:]
	if n := int(s[10]&0xf)<<8 | int(s[11]); n <= len(b) {
		b = b[n:]
	} else {
		return p, false
	}
	for len(b) >= 5 {
		p.streams = append(p.streams, elementary{b[0], uint16(b[1]&0x1f)<<8 | uint16(b[2])})
		n := 5 + int(b[3]&0xf)<<8 + int(b[4])
		if n > len(b) {
			return p, false
		}
		b = b[n:]
	}
	return p, true
}

// find is the PID of the first stream of a kind.
func (p program) find(kind byte) (uint16, bool) {
	for _, e := range p.streams {
		if e.kind == kind {
			return e.pid, true
		}
	}
	return 0, false
}

// tableReader follows the tables of a stream to its first program. A PMT that
// says the same again is reported once.
type tableReader struct {
	pat, pmt sections
	pmtPID   uint16
	havePAT  bool
	last     []byte // the section that holds
}

// add takes any packet. changed is called with each new program.
func (t *tableReader) add(p Packet, changed func(program)) {
	switch pid := p.PID(); {
	case pid == PIDPAT:
		t.pat.add(p, func(s []byte) {
			if pmt, ok := parsePAT(s); ok && (pmt != t.pmtPID || !t.havePAT) {
				t.pmtPID, t.havePAT = pmt, true
				t.pmt = sections{BadCRC: t.pmt.BadCRC}
			}
		})
	case t.havePAT && pid == t.pmtPID:
		t.pmt.add(p, func(s []byte) {
			if bytes.Equal(s, t.last) {
				return
			}
			if prog, ok := parsePMT(s); ok {
				t.last = append(t.last[:0], s...)
				changed(prog)
			}
		})
	}
}
