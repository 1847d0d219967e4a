package h264

import (
	"bytes"
	"encoding/binary"
)

// Flags say what a frame shows.
type Flags uint8

// Flags of a stamp.
const (
	Synced   Flags = 1 // the sender's clock was in sync with UTC
	Live     Flags = 2 // the picture is live input
	Repeated Flags = 4 // the picture is the one before again
	Slate    Flags = 8 // the picture says that there is no input, and why
)

// Stamp is the time and number of a frame. It travels in each access unit as
// an unregistered user-data SEI message (D.1.7, D.2.7): the UUID
// 5df2c6a3-7f1e-4f3f-9a63-6f1f2b8f0d10, version 1, then the fields below in
// order, big-endian.
type Stamp struct {
	Flags   Flags
	Epoch   uint32 // changes when the stream restarts in a way a decoder must know
	Frame   uint64 // number on the frame grid
	Program int64  // program time of this output frame, UTC ns
	Capture int64  // capture time of the oldest live input in it, UTC ns; 0 if none
}

const (
	userData     = 5 // payloadType user_data_unregistered
	stampVersion = 1
	stampSize    = 16 + 1 + 1 + 4 + 8 + 8 + 8
)

var stampUUID = [16]byte{0x5d, 0xf2, 0xc6, 0xa3, 0x7f, 0x1e, 0x4f, 0x3f, 0x9a, 0x63, 0x6f, 0x1f, 0x2b, 0x8f, 0x0d, 0x10}

// AppendStamp appends a whole SEI NAL unit with a 4-byte start code to dst.
func AppendStamp(dst []byte, s Stamp) []byte {
	var p [stampSize]byte
	copy(p[:], stampUUID[:])
	p[16] = stampVersion
	p[17] = byte(s.Flags)
	binary.BigEndian.PutUint32(p[18:], s.Epoch)
	binary.BigEndian.PutUint64(p[22:], s.Frame)
	binary.BigEndian.PutUint64(p[30:], uint64(s.Program))
	binary.BigEndian.PutUint64(p[38:], uint64(s.Capture))
	dst = append(dst, 0, 0, 0, 1, typeSEI, userData, stampSize)
	dst = appendEscaped(dst, p[:], 0)
	return append(dst, 0x80) // rbsp_trailing_bits
}

// FindStamp finds the stamp of an Annex B access unit. It does not allocate
// and looks no further than the first slice.
func FindStamp(au []byte) (Stamp, bool) {
	var nal []byte
	for b := open(au); b != nil && !isVCL(b); b = open(au) {
		nal, au = cut(b)
		if nalType(nal) != typeSEI {
			continue
		}
		if s, _, ok := parseSEI(nal); ok {
			return s, true
		}
	}
	return Stamp{}, false
}

// parseSEI finds a stamp among the messages of a SEI NAL unit; alone says
// that it is the only one.
func parseSEI(nal []byte) (s Stamp, alone, ok bool) {
	r := rbsp{b: nal, pos: 1}
	for n := 1; r.more(); n++ {
		kind, ok1 := seiNumber(&r)
		size, ok2 := seiNumber(&r)
		if !ok1 || !ok2 {
			break
		}
		if kind == userData && size == stampSize {
			if s, ok := parseStamp(r); ok {
				r.skip(size)
				return s, n == 1 && !r.more(), true
			}
		}
		if !r.skip(size) {
			break
		}
	}
	return Stamp{}, false, false
}

// seiNumber reads a payload type or size (7.3.2.3.1).
func seiNumber(r *rbsp) (int, bool) {
	for n := 0; n < 1<<20; {
		v, ok := r.next()
		if !ok {
			break
		}
		n += int(v)
		if v != 0xff {
			return n, true
		}
	}
	return 0, false
}

func parseStamp(r rbsp) (Stamp, bool) {
	var p [stampSize]byte
	for i := range p {
		v, ok := r.next()
		if !ok {
			return Stamp{}, false
		}
		p[i] = v
	}
	if !bytes.Equal(p[:16], stampUUID[:]) || p[16] != stampVersion {
		return Stamp{}, false
	}
	return Stamp{
		Flags:   Flags(p[17]),
		Epoch:   binary.BigEndian.Uint32(p[18:]),
		Frame:   binary.BigEndian.Uint64(p[22:]),
		Program: int64(binary.BigEndian.Uint64(p[30:])),
		Capture: int64(binary.BigEndian.Uint64(p[38:])),
	}, true
}

// InsertStamp appends the Annex B access unit au to dst with the stamp before
// its first slice. An access unit delimiter is put first where it is missing,
// and a stamp that was there is replaced. The stamp comes after any other SEI,
// since a buffering period must be the first (7.4.1.2.3).
func InsertStamp(dst, au []byte, s Stamp) []byte {
	if !HasDelimiter(au) {
		dst = append(dst, anyPicture...)
	}
	var nal []byte
	b := open(au)
	for ; b != nil && !isVCL(b); b = open(au) {
		nal, au = cut(b)
		if nalType(nal) == typeSEI {
			if _, alone, ok := parseSEI(nal); ok && alone {
				continue
			}
		}
		dst = Append(dst, nal)
	}
	dst = AppendStamp(dst, s)
	if b != nil {
		dst = Append(dst, b) // all slices, with the start codes between them
	}
	return dst
}
