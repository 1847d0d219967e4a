// Package h264 reads and writes the parts of H.264 bitstream syntax
// (ITU-T H.264, 08/2021) that a program which does not decode needs: NAL units
// of the byte stream format (annex B), parameter sets, the user-data SEI that
// carries time through the chain, and the idr_pic_id of slice headers.
//
// It is tested on x264's output (CABAC and CAVLC, one and several slices) and
// against ffmpeg's decoder.
package h264

import "bytes"

// NAL unit types (table 7-1) that this package tells apart.
const (
	typeSlice = 1
	typeIDR   = 5
	typeSEI   = 6
	typeSPS   = 7
	typePPS   = 8
	typeAUD   = 9
)

// anyPicture is an access unit delimiter that allows every slice type
// (primary_pic_type 7), with its start code.
var anyPicture = []byte{0, 0, 0, 1, typeAUD, 0xf0}

var startCode = []byte{0, 0, 1}

// nalType is nal_unit_type of a NAL unit without start code.
func nalType(nal []byte) byte {
	if len(nal) == 0 {
		return 0
	}
	return nal[0] & 0x1f
}

// isVCL says whether the NAL unit holds coded slice data (types 1 to 5).
func isVCL(nal []byte) bool { t := nalType(nal); return t >= typeSlice && t <= typeIDR }

// open skips to the first NAL unit of an Annex B buffer and past its start
// code; nil when there is none. The NAL unit's end is not looked for, so that
// seeing a large slice's type costs nothing.
func open(b []byte) []byte {
	for {
		i := bytes.Index(b, startCode)
		if i < 0 {
			return nil
		}
		b = b[i+3:]
		if len(b) > 0 && b[0] != 0 {
			return b
		}
	}
}

// cut ends the NAL unit that b begins with: without trailing zeros, and what
// follows it, which begins with a start code.
func cut(b []byte) (nal, rest []byte) {
	end := bytes.Index(b, startCode)
	if end < 0 {
		end = len(b)
	}
	return trimZeros(b[:end]), b[end:]
}

func trimZeros(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return b
}

// Split appends the NAL units of an Annex B buffer to dst, without start codes
// and trailing zeros. They point into au.
func Split(dst [][]byte, au []byte) [][]byte {
	var nal []byte
	for b := open(au); b != nil; b = open(au) {
		nal, au = cut(b)
		dst = append(dst, nal)
	}
	return dst
}

// Append appends NAL units to dst in Annex B, with 4-byte start codes.
func Append(dst []byte, nals ...[]byte) []byte {
	for _, n := range nals {
		dst = append(dst, 0, 0, 0, 1)
		dst = append(dst, n...)
	}
	return dst
}

// IsIDR says whether the first slice of an Annex B access unit belongs to an
// IDR picture.
func IsIDR(au []byte) bool {
	for b := open(au); b != nil; b = open(au) {
		if isVCL(b) {
			return nalType(b) == typeIDR
		}
		_, au = cut(b)
	}
	return false
}

// HasDelimiter says whether an Annex B access unit begins with an access unit
// delimiter.
func HasDelimiter(au []byte) bool {
	return nalType(open(au[:min(len(au), 16)])) == typeAUD
}

// ParameterSets finds the first sequence and picture parameter set of an
// Annex B access unit, nil where there is none. They point into au.
func ParameterSets(au []byte) (sps, pps []byte) {
	var nal []byte
	for b := open(au); b != nil && !isVCL(b); b = open(au) {
		nal, au = cut(b)
		switch t := nalType(nal); {
		case t == typeSPS && sps == nil:
			sps = nal
		case t == typePPS && pps == nil:
			pps = nal
		}
	}
	return sps, pps
}
