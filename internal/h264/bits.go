package h264

import (
	"math/bits"

	mcbits "github.com/bluenviron/mediacommon/v2/pkg/bits"
)

// bitReader reads the descriptors of 7.2 from an RBSP. The first failure
// sticks, and everything reads as 0 from there on.
type bitReader struct {
	b   []byte
	pos int // in bits
	err error
}

// u reads n bits.
func (r *bitReader) u(n int) uint32 {
	if r.err != nil || n == 0 {
		return 0
	}
	v, err := mcbits.ReadBits(r.b, &r.pos, n)
	r.err = err
	return uint32(v)
}

func (r *bitReader) flag() bool { return r.u(1) != 0 }

// ue reads an unsigned Exp-Golomb code (9.1).
func (r *bitReader) ue() uint32 {
	if r.err != nil {
		return 0
	}
	v, err := mcbits.ReadGolombUnsigned(r.b, &r.pos)
	r.err = err
	return v
}

// se reads a signed Exp-Golomb code, whose value nobody here needs.
func (r *bitReader) se() { r.ue() }

// bitWriter appends bits to b.
type bitWriter struct {
	b    []byte
	free int // bits of the last byte that are still to be written
}

func (w *bitWriter) u(v uint64, n int) {
	for n > 0 {
		if w.free == 0 {
			w.b = append(w.b, 0)
			w.free = 8
		}
		k := min(n, w.free)
		w.free -= k
		n -= k
		w.b[len(w.b)-1] |= byte(v>>n) & (1<<k - 1) << w.free
	}
}

func (w *bitWriter) ue(v uint32) {
	x := uint64(v) + 1
	w.u(x, 2*bits.Len64(x)-1)
}

// copyBits appends the bits [from, to) of b.
func (w *bitWriter) copyBits(b []byte, from, to int) {
	for from < to {
		n := min(8-from&7, to-from)
		v := b[from>>3] >> (8 - from&7 - n) & (1<<n - 1)
		w.u(uint64(v), n)
		from += n
	}
}

// align fills the last byte with ones or zeros.
func (w *bitWriter) align(bit byte) {
	if bit != 0 {
		w.u(1<<w.free-1, w.free)
	}
	w.free = 0
}
