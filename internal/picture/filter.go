package picture

import "encoding/binary"

// filter is how a line of `from` samples becomes one of `to`: output i is the
// sum of taps samples from start[i] on by weights that add up to one.
type filter struct {
	from, to, taps int
	start          []int32
	weight         []uint16 // taps for each output
	pairs          []pair   // the same for two taps, else nil
}

// pair is a filter of two taps: the weight of the second, the first has the rest.
type pair struct {
	start  uint32
	second int32
}

// one is the weights' sum. 8 bits let blend keep four products in a register.
const one = 256

// newFilter computes area averaging (each output covers from/to inputs), or
// linear interpolation between the centres of samples when to is larger.
func newFilter(from, to int) *filter {
	f := &filter{from: from, to: to}
	first := make([]int, to)
	lines := make([][]uint16, to)
	for i := range to {
		if to > from {
			first[i], lines[i] = linear(i, from, to)
		} else {
			first[i], lines[i] = area(i, from, to)
		}
		f.taps = max(f.taps, len(lines[i]))
	}
	f.start = make([]int32, to)
	f.weight = make([]uint16, to*f.taps)
	for i, w := range lines {
		// Shorter lines get leading zeros where trailing ones would read
		// behind the last sample.
		start := min(first[i], from-f.taps)
		f.start[i] = int32(start)
		copy(f.weight[i*f.taps+first[i]-start:], w)
	}
	if f.taps == 2 {
		f.pairs = make([]pair, to)
		for i := range f.pairs {
			f.pairs[i] = pair{uint32(f.start[i]), int32(f.weight[2*i+1])}
		}
	}
	return f
}

// area is the samples that [i*from/to, (i+1)*from/to) covers, by how much of
// each. Rounding the running sum instead of each weight keeps the sum exact.
func area(i, from, to int) (int, []uint16) {
	// In units of 1/to of a sample everything is whole.
	begin, end := i*from, (i+1)*from
	first, last := begin/to, (end-1)/to
	w := make([]uint16, last-first+1)
	sum := 0
	for k := range w {
		covered := min((first+k+1)*to, end) - begin
		next := (covered*one + from/2) / from
		w[k] = uint16(next - sum)
		sum = next
	}
	return first, w
}

// linear is the two samples around the centre of output i.
func linear(i, from, to int) (int, []uint16) {
	// Position of the centre in 1/(2*to) of a sample, from the first centre.
	at := (2*i+1)*from - to
	if at <= 0 {
		return 0, []uint16{one}
	}
	k := at / (2 * to)
	if k >= from-1 {
		return from - 1, []uint16{one}
	}
	second := (at%(2*to)*one + to) / (2 * to)
	return k, []uint16{uint16(one - second), uint16(second)}
}

const lanes = 0x00ff00ff00ff00ff

// blend computes line y of the filter applied to src's rows, into row. It
// returns src's own row where there is nothing to compute.
func (f *filter) blend(row []byte, src plane, y int) []byte {
	start, w := int(f.start[y]), f.weight[y*f.taps:][:f.taps]
	for len(w) > 1 && w[0] == 0 {
		start, w = start+1, w[1:]
	}
	for len(w) > 1 && w[len(w)-1] == 0 {
		w = w[:len(w)-1]
	}
	switch len(w) {
	case 1:
		return src.row(start)
	case 2:
		blend2(row, src.row(start), src.row(start+1), uint64(w[0]), uint64(w[1]))
	default:
		blendN(row, src, start, w)
	}
	return row
}

// blend2 mixes two rows, eight pixels at a time: even and odd pixels lie in the
// 16-bit lanes of two registers, where a product of 255*256 fits.
func blend2(dst, a, b []byte, wa, wb uint64) {
	a, b = a[:len(dst)], b[:len(dst)]
	x := 0
	for ; x+8 <= len(dst); x += 8 {
		p, q := binary.LittleEndian.Uint64(a[x:]), binary.LittleEndian.Uint64(b[x:])
		even := (p&lanes)*wa + (q&lanes)*wb + 0x0080008000800080
		odd := (p>>8&lanes)*wa + (q>>8&lanes)*wb + 0x0080008000800080
		binary.LittleEndian.PutUint64(dst[x:], even>>8&lanes|odd&^uint64(lanes))
	}
	for ; x < len(dst); x++ {
		dst[x] = byte((uint64(a[x])*wa + uint64(b[x])*wb + 128) >> 8)
	}
}

// blendN mixes any number of rows.
func blendN(dst []byte, src plane, start int, w []uint16) {
	pix := src.pix[start*src.stride:]
	x := 0
	for ; x+8 <= len(dst); x += 8 {
		var even, odd uint64 = 0x0080008000800080, 0x0080008000800080
		at := x
		for _, k := range w {
			p := binary.LittleEndian.Uint64(pix[at:])
			even += (p & lanes) * uint64(k)
			odd += (p >> 8 & lanes) * uint64(k)
			at += src.stride
		}
		binary.LittleEndian.PutUint64(dst[x:], even>>8&lanes|odd&^uint64(lanes))
	}
	for ; x < len(dst); x++ {
		sum, at := uint32(128), x
		for _, k := range w {
			sum += uint32(pix[at]) * uint32(k)
			at += src.stride
		}
		dst[x] = byte(sum >> 8)
	}
}

// resize applies the filter along a row.
func (f *filter) resize(dst, src []byte) {
	src = src[:f.from]
	switch {
	case f.from == f.to:
		copy(dst, src)
	case f.from == 4*f.to:
		quarter(dst, src)
	case f.taps == 2:
		f.resize2(dst, src)
	case f.taps == 3:
		f.resize3(dst, src)
	default:
		f.resizeN(dst, src)
	}
}

func (f *filter) resize2(dst, src []byte) {
	pairs := f.pairs[:len(dst)]
	for i := range dst {
		k := pairs[i]
		p := src[k.start:]
		p = p[:2]
		a, b := int32(p[0]), int32(p[1])
		dst[i] = byte((a<<8 + (b-a)*k.second + 128) >> 8)
	}
}

func (f *filter) resize3(dst, src []byte) {
	start, w := f.start[:len(dst)], f.weight[:3*len(dst)]
	for i := range dst {
		p := src[start[i]:][:3]
		k := w[3*i:][:3]
		dst[i] = byte((uint32(p[0])*uint32(k[0]) + uint32(p[1])*uint32(k[1]) + uint32(p[2])*uint32(k[2]) + 128) >> 8)
	}
}

func (f *filter) resizeN(dst, src []byte) {
	w := f.weight
	for i := range dst {
		sum := uint32(128)
		p := src[f.start[i]:][:f.taps]
		for k, v := range w[:f.taps] {
			sum += uint32(p[k]) * uint32(v)
		}
		dst[i] = byte(sum >> 8)
		w = w[f.taps:]
	}
}

// quarter averages groups of four: the common picture-in-picture and preview
// size, 1280 to 320.
func quarter(dst, src []byte) {
	x := 0
	for ; 4*x+8 <= len(src) && x+2 <= len(dst); x += 2 {
		p := binary.LittleEndian.Uint64(src[4*x:])
		pairs := p&lanes + p>>8&lanes + 0x0001000100010001
		sum := pairs + pairs>>16 // lanes 0 and 2 hold the sums of four
		dst[x], dst[x+1] = byte(sum>>2), byte(sum>>34)
	}
	for ; x < len(dst); x++ {
		p := src[4*x:][:4]
		dst[x] = byte((uint32(p[0]) + uint32(p[1]) + uint32(p[2]) + uint32(p[3]) + 2) >> 2)
	}
}
