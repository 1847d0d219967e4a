// Package ntp asks NTP servers for the time, as a client of RFC 5905 does that
// keeps no association: one question, one answer, everything in it checked.
// Times of the own side are a monotonic clock's, so that an answer stays true
// when UTC is set. Tested against a server of our own and hostile packets.
package ntp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Size is a packet's, without extensions and authentication.
const Size = 48

// Modes of a packet (RFC 5905, figure 10).
const (
	client = 3
	server = 4
)

// Packet is the header of RFC 5905, figure 8. Times are NTP's: 32 bits of
// seconds since 1900 and 32 of a fraction.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|LI | VN  |Mode |    Stratum    |     Poll      |   Precision   |
//	+---------------+---------------+---------------+---------------+
//	|            root delay, root dispersion: u16.16 s each         |
//	|   reference id; times: reference, origin, receive, transmit   |
//	+---------------------------------------------------------------+
type Packet struct {
	Leap, Version, Mode, Stratum uint8
	Poll, Precision              int8 // log2 s
	RootDelay, RootDispersion    time.Duration
	RefID                        [4]byte
	Reference, Origin            uint64
	Receive, Transmit            uint64
}

// ErrPacket means that what came is no NTP answer that could be used.
var ErrPacket = errors.New("ntp: bad packet")

// Append appends the packet's 48 bytes.
func (p Packet) Append(b []byte) []byte {
	b = append(b, p.Leap<<6|p.Version&7<<3|p.Mode&7, p.Stratum, byte(p.Poll), byte(p.Precision))
	b = binary.BigEndian.AppendUint32(b, toShort(p.RootDelay))
	b = binary.BigEndian.AppendUint32(b, toShort(p.RootDispersion))
	b = append(b, p.RefID[:]...)
	for _, t := range []uint64{p.Reference, p.Origin, p.Receive, p.Transmit} {
		b = binary.BigEndian.AppendUint64(b, t)
	}
	return b
}

// Parse reads a packet. What follows the header is left alone.
func Parse(b []byte) (Packet, error) {
	if len(b) < Size {
		return Packet{}, fmt.Errorf("%w: %d bytes, at least %d", ErrPacket, len(b), Size)
	}
	p := Packet{
		Leap: b[0] >> 6, Version: b[0] >> 3 & 7, Mode: b[0] & 7,
		Stratum: b[1], Poll: int8(b[2]), Precision: int8(b[3]),
		RootDelay:      fromShort(binary.BigEndian.Uint32(b[4:])),
		RootDispersion: fromShort(binary.BigEndian.Uint32(b[8:])),
		RefID:          [4]byte(b[12:16]),
		Reference:      binary.BigEndian.Uint64(b[16:]), Origin: binary.BigEndian.Uint64(b[24:]),
		Receive: binary.BigEndian.Uint64(b[32:]), Transmit: binary.BigEndian.Uint64(b[40:]),
	}
	return p, nil
}

// RFC 5905, figure 3: the short format, 16 bits of seconds and 16 of a fraction.
func toShort(d time.Duration) uint32 {
	return uint32(min(max(int64(d), 0), 65535*int64(time.Second)) << 16 / int64(time.Second))
}

func fromShort(v uint32) time.Duration { return time.Duration(int64(v) * int64(time.Second) >> 16) }

const (
	// since1900 is 1970 in seconds since 1900.
	since1900 = 2_208_988_800
	// pivot is 2024 in those. NTP's seconds wrap in 2036, and nobody tells a
	// time before this program was written: what seems so is of the next era.
	pivot = 3_913_056_000
)

// Time is UTC in ns since 1970 of an NTP time, from 2024 to 2160.
func Time(t uint64) int64 {
	seconds := int64(t >> 32)
	if seconds < pivot {
		seconds += 1 << 32
	}
	return (seconds-since1900)*int64(time.Second) + int64(t&0xffffffff*uint64(time.Second)>>32)
}

// Stamp is the NTP time of UTC in ns since 1970, rounded up to what NTP can
// tell, so that Time gives the same ns again.
func Stamp(utc int64) uint64 {
	seconds, ns := utc/int64(time.Second), uint64(utc%int64(time.Second))
	return uint64(seconds+since1900)<<32 | (ns<<32+uint64(time.Second)-1)/uint64(time.Second)
}
