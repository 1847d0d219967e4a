package h264

import (
	"bytes"
	"testing"
)

// FuzzAccessUnit feeds any bytes to everything that parses an access unit from
// outside. What is rewritten must read back.
func FuzzAccessUnit(f *testing.F) {
	sps := []byte{0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x83, 0x19, 0x60}
	pps, idr := []byte{0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0}, []byte{0x65, 0x88, 0x84, 0x00, 0x33, 0xff, 0xfe, 0xf6, 0xae}
	f.Add(InsertStamp(nil, Append(nil, sps, pps, idr), Stamp{Frame: 5, Program: 1 << 60}), uint32(1))
	f.Add(Append(nil, sps, []byte{0x68, 0xce, 0x38, 0x80}, idr, idr), uint32(65535))
	f.Add(Append(nil, []byte{typeSEI, 5, 46, 0, 0, 3, 0, 0, 3, 0x80}, idr), uint32(0))
	f.Fuzz(func(t *testing.T, au []byte, id uint32) {
		nals := Split(nil, au)
		if again := Split(nil, Append(nil, nals...)); len(again) != len(nals) {
			t.Fatalf("%d NAL units, then %d", len(nals), len(again))
		}
		for _, nal := range nals {
			if s, err := ParseSPS(nal); err == nil && (s.Width <= 0 || s.Height <= 0) {
				t.Fatalf("pictures of %dx%d", s.Width, s.Height)
			}
		}
		want := Stamp{Frame: uint64(id), Program: int64(len(au))}
		stamped := InsertStamp(nil, au, want)
		if got, ok := FindStamp(stamped); !ok && hasNoSEI(nals) || ok && hasNoSEI(nals) && got != want {
			t.Fatalf("stamp %+v %v, want %+v", got, ok, want)
		}
		if IsIDR(stamped) != IsIDR(au) {
			t.Fatal("a stamp changed the picture's type")
		}
		out, err := SetIDRPicID(nil, au, id%(MaxIDRPicID+1))
		if err != nil {
			return
		}
		if got, err := IDRPicID(out); err != nil || got != id%(MaxIDRPicID+1) {
			t.Fatalf("idr_pic_id %d (%v), want %d", got, err, id%(MaxIDRPicID+1))
		}
		if bytes.Count(out, startCode) != len(nals) {
			t.Fatalf("%d start codes, want %d", bytes.Count(out, startCode), len(nals))
		}
	})
}

func hasNoSEI(nals [][]byte) bool {
	for _, nal := range nals {
		if nalType(nal) == typeSEI {
			return false
		}
	}
	return true
}
