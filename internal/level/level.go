// Package level measures sound and picture: loudness by ITU-R BS.1770-4 and
// EBU R 128 (EBU Tech 3341), true peak, silence, clipping and a dead channel;
// black and frozen pictures.
//
// Sound is 48 kHz stereo. Loudness is counted in steps of 100 ms, as EBU Tech
// 3341 asks of a live meter. Tested against ffmpeg's ebur128 filter, within
// 0.1 LU, on tones, noise, speech-like bursts and gated silence.
package level

import (
	"math"
	"time"

	"github.com/openvideobox/videobox/internal/media"
)

const (
	channels = media.Channels
	step     = media.SampleRate / 10 // samples of a step: 100 ms

	momentarySteps = 4  // 400 ms
	shortTermSteps = 30 // 3 s

	// Floor stands for nothing at all, where the logarithm has no value. It is
	// below what 16 bits can hold, and JSON can carry it.
	Floor = -120.0

	// SilenceLevel (dBFS, RMS of 100 ms) is what counts as silence in a channel.
	SilenceLevel = -60.0
	// clipRun is how many samples in a row at full scale are clipping. Music
	// at full scale has one or two.
	clipRun = 4
	// clipHold is for how many steps a clip stays shown.
	clipHold = 20
)

// DefaultAfter is how long sound must be missing before it is called so: pauses
// of speakers are shorter.
const DefaultAfter = 10 * time.Second

// Meter measures a stream of samples. It is for one goroutine at a time.
type Meter struct {
	after uint64 // steps of silence or deadness until it is reported

	weight [channels]weighting
	peak   [channels]truePeak
	clips  [channels]clipper

	energy  [channels]float64 // K-weighted, of the step being filled
	power   [channels]float64 // unweighted
	filled  int               // samples of it
	history [shortTermSteps]float64
	rms     [momentarySteps][channels]float64
	steps   uint64 // whole steps so far
	gate    histogram
	gaps    gaps
}

// Values is what a Meter shows. Levels are not below Floor.
type Values struct {
	Momentary  float64 `json:"momentary_lufs"`  // of the last 400 ms
	ShortTerm  float64 `json:"short_term_lufs"` // of the last 3 s
	Integrated float64 `json:"integrated_lufs"` // gated, since the start or Reset

	RMS         [channels]float64 `json:"rms_dbfs"`           // of the last 400 ms; a full-scale sine is at -3
	TruePeak    [channels]float64 `json:"true_peak_dbtp"`     // of the last 3 s
	MaxTruePeak [channels]float64 `json:"max_true_peak_dbtp"` // since the start or Reset

	Clips    [channels]uint64 `json:"clips"`    // runs of full-scale samples so far
	Clipping bool             `json:"clipping"` // in the last 2 s

	Silent    bool          `json:"silent"`       // both channels, for long enough
	SilentFor time.Duration `json:"silent_ns"`    // both channels, up to now
	Dead      Channel       `json:"dead_channel"` // silent for long enough while the other was not
}

// Channel names one of the two channels.
type Channel string

// The channels that Values.Dead can name.
const (
	None  Channel = ""
	Left  Channel = "left"
	Right Channel = "right"
)

// New makes a meter that reports silence and dead channels after the given
// time; zero or less is DefaultAfter.
func New(after time.Duration) *Meter {
	if after <= 0 {
		after = DefaultAfter
	}
	return &Meter{after: max(uint64(after/(100*time.Millisecond)), 1)}
}

// Reset starts the integrated loudness, the maximum peak and the count of clips
// anew. The other values go on.
func (m *Meter) Reset() {
	m.gate = histogram{}
	for i := range channels {
		m.peak[i].max = 0
		m.clips[i].count = 0
	}
}

// Write measures interleaved stereo samples, any number of them.
func (m *Meter) Write(pcm []int16) {
	for len(pcm) >= channels {
		n := min(len(pcm)/channels, step-m.filled)
		for c := range channels {
			m.channel(c, pcm[c:n*channels])
		}
		pcm = pcm[n*channels:]
		if m.filled += n; m.filled == step {
			m.endStep()
		}
	}
}

// channel measures every second sample of pcm, which starts with the channel's
// first and lies within one step.
func (m *Meter) channel(c int, pcm []int16) {
	w, p, k := m.weight[c], &m.peak[c], &m.clips[c]
	if w == (weighting{}) && isZero(pcm) { // digital silence for so long that nothing is left of what was before
		k.run = 0
		return
	}
	energy, power := 0.0, 0.0
	for i := 0; i < len(pcm); i += channels {
		v := pcm[i]
		k.sample(v)
		x := float64(v) * (1.0 / 32768)
		power += x * x
		y := w.next(x)
		energy += y * y
		p.sample(float32(x))
	}
	m.weight[c] = w
	m.energy[c] += energy
	m.power[c] += power
}

// isZero looks at every second sample.
func isZero(pcm []int16) bool {
	for i := 0; i < len(pcm); i += channels {
		if pcm[i] != 0 {
			return false
		}
	}
	return true
}

// endStep closes a step of 100 ms.
func (m *Meter) endStep() {
	sum := 0.0
	for c := range channels {
		sum += m.energy[c] / step
		m.rms[m.steps%momentarySteps][c] = m.power[c] / step
		m.peak[c].endStep()
		m.clips[c].endStep()
	}
	m.history[m.steps%shortTermSteps] = sum
	m.gaps.step(decibel(m.power[0]/step) < SilenceLevel, decibel(m.power[1]/step) < SilenceLevel)
	m.steps++
	m.energy, m.power, m.filled = [channels]float64{}, [channels]float64{}, 0
	if m.steps >= momentarySteps {
		m.gate.add(m.mean(momentarySteps))
	}
	for c := range channels {
		m.weight[c].settle()
	}
}

// mean is the K-weighted power of the last n steps, zero before there are n.
func (m *Meter) mean(n uint64) float64 {
	if m.steps < n {
		return 0
	}
	sum := 0.0
	for i := m.steps - n; i < m.steps; i++ {
		sum += m.history[i%shortTermSteps]
	}
	return sum / float64(n)
}

// Values is what has been measured up to the last whole 100 ms.
func (m *Meter) Values() Values {
	v := Values{
		Momentary:  loudness(m.mean(momentarySteps)),
		ShortTerm:  loudness(m.mean(shortTermSteps)),
		Integrated: loudness(m.gate.integrated()),
		SilentFor:  time.Duration(m.gaps.silent) * 100 * time.Millisecond,
		Silent:     m.gaps.silent >= m.after,
	}
	for c := range channels {
		sum := 0.0
		for _, step := range m.rms {
			sum += step[c]
		}
		v.RMS[c] = decibel(sum / momentarySteps)
		recent, most := m.peak[c].recent()
		v.TruePeak[c], v.MaxTruePeak[c] = decibel(recent*recent), decibel(most*most)
		v.Clips[c] = m.clips[c].count
		v.Clipping = v.Clipping || m.clips[c].hold > 0
		if m.gaps.dead[c] >= m.after {
			v.Dead = [channels]Channel{Left, Right}[c]
		}
	}
	return v
}

// loudness of a K-weighted power, in LUFS (BS.1770-4 annex 1, equation 2).
func loudness(power float64) float64 {
	if power <= 0 {
		return Floor
	}
	return max(-0.691+10*math.Log10(power), Floor)
}

// decibel of a power against full scale.
func decibel(power float64) float64 {
	if power <= 0 {
		return Floor
	}
	return max(10*math.Log10(power), Floor)
}
