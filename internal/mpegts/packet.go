// Package mpegts writes, reads and checks MPEG-2 transport streams (ISO/IEC
// 13818-1) of one program with H.264 and AAC.
//
// The tables that Muxer sends are built by go-astits; packetising is the
// package's own, since it must place the PCR and allocate nothing. Demux is
// mediacommon's reader behind the package's own resynchronising Scanner and
// table reader. Probe checks what arrives as ETSI TR 101 290 does, plus what
// the stamp in each access unit says. Tested on the streams of this muxer and
// of ffmpeg.
package mpegts

// PacketSize is that of a transport packet, in bytes.
const PacketSize = 188

// PIDs of every stream that Muxer writes.
const (
	PIDPAT   = 0x0000
	PIDPMT   = 0x1000
	PIDVideo = 0x0100 // carries the PCR
	PIDAudio = 0x0101
	PIDNull  = 0x1fff
)

const (
	syncByte    = 0x47
	headerSize  = 4
	pcrPerTick  = 300 // 27 MHz units in one of 90 kHz
	pcrModulus  = int64(pcrPerTick) << 33
	maxPayload  = PacketSize - headerSize
	counterMask = 0xf
)

// Packet is one transport packet of 188 bytes:
//
//	sync 8 | error 1 | payload unit start 1 | priority 1 | PID 13 |
//	scrambling 2 | adaptation field 1 | payload 1 | continuity counter 4
//
// It points into the buffer of whoever made it. Every method is safe on
// damaged packets of the right length.
type Packet []byte

// PID is the packet identifier.
func (p Packet) PID() uint16 { return uint16(p[1]&0x1f)<<8 | uint16(p[2]) }

// Error is the transport error indicator: a receiver saw bits go wrong.
func (p Packet) Error() bool { return p[1]&0x80 != 0 }

// PayloadStart says whether a PES packet or a section starts in the payload.
func (p Packet) PayloadStart() bool { return p[1]&0x40 != 0 }

// Scrambled says whether the payload is encrypted.
func (p Packet) Scrambled() bool { return p[3]&0xc0 != 0 }

// Counter is the continuity counter.
func (p Packet) Counter() byte { return p[3] & counterMask }

// HasPayload says whether the counter has moved on for this packet.
func (p Packet) HasPayload() bool { return p[3]&0x10 != 0 }

// adaptation is the adaptation field from its flags on, empty when it is
// missing, of length 0, or longer than the packet.
func (p Packet) adaptation() []byte {
	if p[3]&0x20 == 0 || p[4] == 0 || int(p[4]) > maxPayload-1 {
		return nil
	}
	return p[5 : 5+int(p[4])]
}

func (p Packet) flag(bit byte) bool {
	a := p.adaptation()
	return len(a) > 0 && a[0]&bit != 0
}

// Discontinuity is the indicator that the clock or the counter starts anew.
func (p Packet) Discontinuity() bool { return p.flag(0x80) }

// RandomAccess says that a decoder can start here: a keyframe.
func (p Packet) RandomAccess() bool { return p.flag(0x40) }

// PCR is the program clock reference in units of 27 MHz, modulo 2^33*300.
func (p Packet) PCR() (int64, bool) {
	a := p.adaptation()
	if len(a) < 7 || a[0]&0x10 == 0 {
		return 0, false
	}
	base := int64(a[1])<<25 | int64(a[2])<<17 | int64(a[3])<<9 | int64(a[4])<<1 | int64(a[5])>>7
	ext := int64(a[5]&1)<<8 | int64(a[6])
	return base*pcrPerTick + ext, true
}

// UnitEnd says that an access unit ends in this packet, which Muxer says of
// those that are too long for a PES packet with a length.
func (p Packet) UnitEnd() bool {
	a := p.adaptation()
	if len(a) == 0 || a[0]&0x1e != 0x02 {
		return false // with a PCR, an OPCR or a splice point it can't be the last
	}
	return len(a) > 1+len(unitEnd) && int(a[1]) == len(unitEnd) && string(a[2:2+len(unitEnd)]) == string(unitEnd)
}

// Payload is what follows the header and the adaptation field; empty when
// there is none.
func (p Packet) Payload() []byte {
	if !p.HasPayload() {
		return nil
	}
	if p[3]&0x20 == 0 {
		return p[headerSize:PacketSize]
	}
	if start := headerSize + 1 + int(p[4]); start < PacketSize {
		return p[start:PacketSize]
	}
	return nil
}

// IsStuffing says whether this is a null packet.
func (p Packet) IsStuffing() bool { return p.PID() == PIDNull }
