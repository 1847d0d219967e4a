package level

import "math"

// weighting is the K-weighting of one channel: the head's shelf, then the RLB
// high-pass, as transposed direct form II (BS.1770-4 annex 1, tables 1 and 2,
// which are for 48 kHz).
type weighting struct{ s1, s2, h1, h2 float64 }

const (
	shelfB0, shelfB1, shelfB2 = 1.53512485958697, -2.69169618940638, 1.19839281085285
	shelfA1, shelfA2          = -1.69065929318241, 0.73248077421585
	highA1, highA2            = -1.99004745483398, 0.99007225036621
)

func (w *weighting) next(x float64) float64 {
	y := shelfB0*x + w.s1
	w.s1 = shelfB1*x - shelfA1*y + w.s2
	w.s2 = shelfB2*x - shelfA2*y
	z := y + w.h1
	w.h1 = -2*y - highA1*z + w.h2
	w.h2 = y - highA2*z
	return z
}

// settle puts what is left after long silence to zero: denormal numbers cost
// some processors a hundred times the time.
func (w *weighting) settle() {
	const tiny = 1e-15
	if math.Abs(w.s1)+math.Abs(w.s2)+math.Abs(w.h1)+math.Abs(w.h2) < tiny {
		*w = weighting{}
	}
}

// histogram holds the gating blocks of the integrated loudness by their
// loudness, in bins of 0.01 LU from the absolute gate on: days of blocks in a
// bounded place. The bins' energies are exact, so only the blocks in the bin
// that the relative gate cuts are counted as a whole.
type histogram struct {
	count  [bins]uint64
	energy [bins]float64
}

const (
	absoluteGate = -70.0 // LUFS (BS.1770-4 annex 1)
	relativeGate = -10.0 // LU below the mean of what passed the absolute gate
	binWidth     = 0.01
	bins         = 8000 // up to +10 LUFS
)

func (h *histogram) add(power float64) {
	l := loudness(power)
	if l <= absoluteGate {
		return
	}
	i := min(int((l-absoluteGate)/binWidth), bins-1)
	h.count[i]++
	h.energy[i] += power
}

// integrated is the mean power of the blocks that pass both gates, or zero.
func (h *histogram) integrated() float64 {
	all := h.from(0)
	if all == 0 {
		return 0
	}
	return h.from(max(int((loudness(all)+relativeGate-absoluteGate)/binWidth), 0))
}

func (h *histogram) from(first int) float64 {
	var count uint64
	energy := 0.0
	for i := first; i < bins; i++ {
		count += h.count[i]
		energy += h.energy[i]
	}
	if count == 0 {
		return 0
	}
	return energy / float64(count)
}
