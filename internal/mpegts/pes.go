package mpegts

import "github.com/openvideobox/videobox/internal/media"

// Stream ids of PES packets (table 2-22).
const (
	streamVideo = 0xe0
	streamAudio = 0xc0
)

// noPCR says that a packet carries none.
const noPCR = -1

// stream is the sending side of one PID.
type stream struct {
	pid           uint16
	id            byte // PES stream id
	counter       byte // of the next packet with payload
	discontinuity bool // the next packet carries the indicator
}

// unitEnd is the private data of the adaptation field (2.4.3.5, in the form of
// ETSI TS 101 154 annex D: tag, length, and for the tag of registered data a
// format identifier) in the last packet of a PES packet that doesn't say how
// long it is. Without it, a receiver knows the end of a large picture only
// when the next one begins, a frame later.
var unitEnd = []byte{0xdf, 4, 'V', 'B', 'O', 'X'}

// endSize is an adaptation field with unitEnd: its length, flags, and the
// private data behind their length.
var endSize = 3 + len(unitEnd)

// fields are what the adaptation field of a packet says.
type fields struct {
	key bool  // random_access_indicator
	pcr int64 // 27 MHz, or noPCR
	end bool  // unitEnd
}

// appendPES appends a PES packet to dst, cut into transport packets. Its
// payload is prefix, a few bytes, and then data. pcr goes into the first one.
// With last it takes more packets than it needs, of which the last ones hold
// a byte each, so that the counter is back at 0 behind it.
func (s *stream) appendPES(dst []byte, u media.Unit, prefix []byte, pcr int64, last bool) []byte {
	var buf [64]byte
	head := appendPESHeader(buf[:0], s.id, u.PTS, u.DTS, len(prefix)+len(u.Data))
	unbounded := head[4] == 0 && head[5] == 0
	head = append(head, prefix...)
	data, left := u.Data, len(head)+len(u.Data)
	f := fields{key: u.Key, pcr: pcr}
	packets := s.packets(left, f, unbounded)
	if last {
		packets += -(int(s.counter) + packets) & counterMask
	}
	for start := true; packets > 0; start = false {
		f.end = unbounded && packets == 1
		n := min(s.room(f), left-(packets-1))
		dst = s.appendHeader(dst, start, f, n)
		h := min(n, len(head))
		dst = append(dst, head[:h]...)
		dst = append(dst, data[:n-h]...)
		head, data = head[h:], data[n-h:]
		left -= n
		packets--
		f = fields{pcr: noPCR}
	}
	return dst
}

// packets is how many packets a PES packet of n bytes needs, of which the
// first has the fields f.
func (s *stream) packets(n int, f fields, unbounded bool) int {
	n -= s.room(f)
	if unbounded {
		n += endSize // there is more than one
	}
	if n <= 0 {
		return 1
	}
	return 1 + (n+maxPayload-1)/maxPayload
}

// room is how much payload fits into a packet.
func (s *stream) room(f fields) int {
	n := maxPayload
	switch {
	case f.pcr != noPCR:
		n -= 8
	case f.key || s.discontinuity:
		n -= 2
	}
	if f.end {
		n -= endSize
	}
	return n
}

// appendHeader appends the header and the adaptation field of a packet with n
// bytes of payload; whatever is left is stuffing.
func (s *stream) appendHeader(dst []byte, start bool, f fields, n int) []byte {
	b1, b3 := byte(s.pid>>8), byte(0)
	if start {
		b1 |= 0x40
	}
	counter := s.counter
	if n > 0 {
		b3 |= 0x10
		s.counter = (s.counter + 1) & counterMask
	} else {
		counter-- // a packet without payload repeats the counter (2.4.3.3)
	}
	if n < maxPayload {
		b3 |= 0x20
	}
	dst = append(dst, syncByte, b1, byte(s.pid), b3|counter&counterMask)
	if n < maxPayload {
		dst = appendAdaptation(dst, s.discontinuity, f, maxPayload-n)
		s.discontinuity = false
	}
	return dst
}

// appendAdaptation appends an adaptation field of size bytes, its length
// included (2.4.3.4).
func appendAdaptation(dst []byte, discontinuity bool, f fields, size int) []byte {
	end := len(dst) + size
	dst = append(dst, byte(size-1))
	if size == 1 {
		return dst
	}
	var flags byte
	if discontinuity {
		flags |= 0x80
	}
	if f.key {
		flags |= 0x40
	}
	if f.pcr != noPCR {
		flags |= 0x10
	}
	if f.end {
		flags |= 0x02
	}
	dst = append(dst, flags)
	if f.pcr != noPCR {
		base, ext := f.pcr/pcrPerTick, f.pcr%pcrPerTick
		dst = append(dst, byte(base>>25), byte(base>>17), byte(base>>9), byte(base>>1),
			byte(base<<7)|0x7e|byte(ext>>8), byte(ext))
	}
	if f.end {
		dst = append(dst, byte(len(unitEnd)))
		dst = append(dst, unitEnd...)
	}
	for len(dst) < end {
		dst = append(dst, 0xff)
	}
	return dst
}

// appendPESHeader appends the header of a PES packet with n bytes of payload
// (2.4.3.6). A length that does not fit is sent as 0, which only video may.
func appendPESHeader(dst []byte, id byte, pts, dts int64, n int) []byte {
	flags, extra := byte(0x80), byte(5)
	if dts != pts {
		flags, extra = 0xc0, 10
	}
	length := n + 3 + int(extra)
	if length > 0xffff {
		length = 0
	}
	// '10', data_alignment_indicator: an access unit starts here.
	dst = append(dst, 0, 0, 1, id, byte(length>>8), byte(length), 0x84, flags, extra)
	dst = appendTimestamp(dst, flags>>6, pts)
	if dts != pts {
		dst = appendTimestamp(dst, 1, dts)
	}
	return dst
}

// appendTimestamp appends a PTS or DTS behind its 4-bit prefix, in 3, 15 and
// 15 bits with a marker after each.
func appendTimestamp(dst []byte, prefix byte, ticks int64) []byte {
	t := media.Wire(ticks)
	return append(dst, prefix<<4|byte(t>>30)<<1|1,
		byte(t>>22), byte(t>>15)<<1|1,
		byte(t>>7), byte(t)<<1|1)
}

// parseTimestamp reads what appendTimestamp wrote; b has 5 bytes.
func parseTimestamp(b []byte) int64 {
	return int64(b[0]>>1&7)<<30 | int64(b[1])<<22 | int64(b[2]>>1)<<15 | int64(b[3])<<7 | int64(b[4]>>1)
}

// pesHeader is what the header of a PES packet says.
type pesHeader struct {
	id       byte
	length   int // of the whole PES packet with header; 0 if unbounded
	hasPTS   bool
	pts, dts int64
	payload  []byte // the part of the payload that b held
}

// parsePES reads the header of a PES packet. b may be cut anywhere behind it.
func parsePES(b []byte) (h pesHeader, ok bool) {
	if len(b) < 9 || b[0] != 0 || b[1] != 0 || b[2] != 1 || b[6]&0xc0 != 0x80 {
		return h, false
	}
	h.id = b[3]
	if n := int(b[4])<<8 | int(b[5]); n > 0 {
		h.length = n + 6
	}
	end := 9 + int(b[8])
	if end > len(b) {
		return h, false
	}
	if b[7]&0x80 != 0 && end >= 14 {
		h.hasPTS = true
		h.pts = parseTimestamp(b[9:14])
		h.dts = h.pts
		if b[7]&0x40 != 0 && end >= 19 {
			h.dts = parseTimestamp(b[14:19])
		}
	}
	h.payload = b[end:]
	return h, true
}
