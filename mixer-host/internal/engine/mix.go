package engine

import "github.com/openvideobox/videobox/internal/media"

// limiterStep is the length in samples of a piece over which the limiter's gain
// goes in a straight line: 1 ms.
const limiterStep = media.SampleRate / 1000

const (
	ceiling = 32767 * 0.98 // where the limiter keeps peaks: -0.2 dB
	// release is how much gain comes back in a step: all of it in 250 ms.
	release = 1.0 / 250
	// ramp is how far a volume moves in a step: from 0 to 1 in 10 ms, so that
	// it doesn't click.
	ramp = 0.1
)

// mixer adds the sources' sound. A limiter keeps the sum from clipping.
type mixer struct {
	gain []float32 // of each source, as it is now
	sum  []float32 // interleaved
	peak []float32 // of each step
	now  float32   // the limiter's gain at the end of the step before
}

func newMixer(sources int) *mixer { return &mixer{gain: make([]float32, sources), now: 1} }

// mix adds the sounds in, each by its volume, into dst. All have dst's length.
func (m *mixer) mix(dst []int16, in [][]int16, volume []float32) {
	if cap(m.sum) < len(dst) {
		m.sum = make([]float32, len(dst))
	}
	m.sum = m.sum[:len(dst)]
	clear(m.sum)
	for i, pcm := range in {
		m.add(pcm, &m.gain[i], volume[i])
	}
	m.limit(dst)
}

// add adds pcm, with the gain moving towards its target step by step.
func (m *mixer) add(pcm []int16, gain *float32, target float32) {
	for at := 0; at < len(pcm); at += limiterStep * media.Channels {
		to := min(at+limiterStep*media.Channels, len(pcm))
		*gain += max(-ramp, min(ramp, target-*gain))
		if *gain == 0 {
			continue
		}
		sum, g := m.sum[at:to], *gain
		for k, v := range pcm[at:to] {
			sum[k] += float32(v) * g
		}
	}
}

// limit writes the sum to dst. The gain goes down before a peak, over the step
// in front of it, and comes back slowly. The first step of a call has nothing
// in front of it: what is above full scale there is cut.
func (m *mixer) limit(dst []int16) {
	const width = limiterStep * media.Channels
	m.peak = m.peak[:0]
	for at := 0; at < len(dst); at += width {
		m.peak = append(m.peak, peakOf(m.sum[at:min(at+width, len(dst))]))
	}
	for i, p := range m.peak {
		target := min(1, m.now+release, allowed(p))
		if i+1 < len(m.peak) {
			target = min(target, allowed(m.peak[i+1]))
		}
		from := min(m.now, allowed(p))
		piece := m.sum[i*width : min((i+1)*width, len(dst))]
		out := dst[i*width:][:len(piece)]
		step := (target - from) / float32(len(piece))
		for k, v := range piece {
			out[k] = saturate(v * (from + step*float32(k)))
		}
		m.now = target
	}
}

func peakOf(p []float32) (peak float32) {
	for _, v := range p {
		peak = max(peak, v, -v)
	}
	return peak
}

// allowed is the gain that keeps a peak below the ceiling.
func allowed(peak float32) float32 {
	if peak <= ceiling {
		return 1
	}
	return ceiling / peak
}

func saturate(v float32) int16 {
	switch {
	case v > 32767:
		return 32767
	case v < -32768:
		return -32768
	case v < 0:
		return int16(v - 0.5)
	}
	return int16(v + 0.5)
}
