package program

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/openvideobox/videobox/internal/codec/aac"
	"github.com/openvideobox/videobox/internal/media"
)

// Slate is one encoded second of a still picture, and a frame of silence. Its
// first picture is an IDR, the others follow from it in order, so that any
// number of them from the first on decodes.
type Slate struct {
	Pictures [][]byte // Annex B; as many as frames a second
	Silence  []byte   // a raw AAC frame
}

// EncodeSlate encodes f in the shape of c.
func EncodeSlate(c Config, f *media.Frame) (*Slate, error) {
	enc, err := NewVideoEncoder(c)
	if err != nil {
		return nil, err
	}
	defer enc.Close()
	s := &Slate{}
	for n := range int64(c.Rate) {
		data, _, err := enc.Encode(f, n, false)
		if err != nil {
			return nil, fmt.Errorf("encode slate: %w", err)
		}
		s.Pictures = append(s.Pictures, append([]byte(nil), data...))
	}
	s.Silence = aac.Silence()
	return s, nil
}

// The binary form of a slate: magic, then each picture and at last the silence,
// all preceded by their length as u32, big-endian.
const slateMagic = "VBSLATE1"

const maxSlate = 64 << 20 // no slate of any size and bitrate comes near

// MarshalBinary gives the form that capture's slate child writes to its parent.
func (s *Slate) MarshalBinary() ([]byte, error) {
	b := append([]byte(nil), slateMagic...)
	for _, p := range append(append([][]byte(nil), s.Pictures...), s.Silence) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b, nil
}

// UnmarshalBinary is the reverse of MarshalBinary. It keeps parts of b.
func (s *Slate) UnmarshalBinary(b []byte) error {
	if len(b) < len(slateMagic) || string(b[:len(slateMagic)]) != slateMagic {
		return errors.New("slate: does not start with " + slateMagic)
	}
	if len(b) > maxSlate {
		return fmt.Errorf("slate: %d bytes, at most %d", len(b), maxSlate)
	}
	var parts [][]byte
	for b = b[len(slateMagic):]; len(b) > 0; {
		if len(b) < 4 {
			return fmt.Errorf("slate: %d bytes where a length should be", len(b))
		}
		n := binary.BigEndian.Uint32(b)
		b = b[4:]
		if n == 0 || uint64(n) > uint64(len(b)) {
			return fmt.Errorf("slate: part of %d bytes, %d are left", n, len(b))
		}
		parts = append(parts, b[:n:n])
		b = b[n:]
	}
	if len(parts) < 2 {
		return fmt.Errorf("slate: %d parts, at least a picture and the silence", len(parts))
	}
	s.Pictures, s.Silence = parts[:len(parts)-1], parts[len(parts)-1]
	return nil
}
