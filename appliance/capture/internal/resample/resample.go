// Package resample brings a device's sound onto the 48 kHz grid of UTC. The
// device has a crystal of its own and gives each block of samples the time at
// which its first one was taken, give or take some milliseconds of jitter; what
// comes out are samples numbered by UTC, at a pitch that nobody hears changing.
//
// Drift is measured by a slow loop and taken back by interpolation, so there is
// nothing to hear. Samples that the device lost are replaced by as much silence,
// and those that it doubled are cut, with a fade of 10 ms on both sides; both
// are counted.
package resample

import (
	"math"

	"github.com/openvideobox/videobox/internal/media"
)

const (
	channels = media.Channels
	// fade is the length of a fade in samples, 10 ms. As many are always held
	// back, so that what comes before a gap can be faded out.
	fade = media.SampleRate / 100
	// jump is from what offset on the sound starts anew, in samples: a clock was
	// set, or somebody stood still.
	jump = 2 * media.SampleRate
)

// Stats counts what was done to the sound. Numbers are of samples a channel.
type Stats struct {
	Gaps     uint64  `json:"gaps"`      // times that samples were lost or doubled
	Inserted int64   `json:"inserted"`  // silence in place of lost samples
	Cut      int64   `json:"cut"`       // doubled samples left out
	DriftPPM float64 `json:"drift_ppm"` // of the device against UTC; positive: it is fast
	OffsetMS float64 `json:"offset_ms"` // of the sound against its times, filtered; positive: it is late
}

// Resampler is one device's sound. It is for one goroutine at a time.
type Resampler struct {
	running bool
	track   track
	stats   Stats

	buf []float32 // the newest device samples, interleaved, up to index track.end
	in  int       // samples still to be faded in; fade: from silence

	looked int64 // index up to which samples were looked at
	loud   int64 // index of the newest of them that isn't zero
	out    []int16
}

// New makes one that starts with its first block.
func New() *Resampler {
	makeKernel()
	return &Resampler{}
}

// Stats says what was done since New.
func (r *Resampler) Stats() Stats {
	s := r.stats
	if r.running {
		s.DriftPPM = -r.track.drift.speed * 1e6
		s.OffsetMS = r.track.drift.lower * 1e3
	}
	return s
}

// Write takes interleaved stereo samples, the first of them taken at t (UTC ns),
// and gives those that are ready: the first is number pos of the grid. When a
// sound starts, no sample before number earliest is given. What is returned is
// valid until the next call.
func (r *Resampler) Write(t int64, samples []int16, earliest int64) (pos int64, out []int16) {
	n := len(samples) / channels
	if n == 0 {
		return r.track.pos, nil
	}
	if !r.running || math.Abs(r.track.offset(t)) > jump {
		r.start(t, earliest)
	}
	limit, from, move := r.track.judge(r.track.offset(t), n)
	if move != 0 {
		r.move(from, move)
	}
	r.append(samples)
	return r.produce(min(limit, r.track.end) - half - fade)
}

// Drain gives what has been held back, faded out, and forgets the device: its
// sound has stopped.
func (r *Resampler) Drain() (pos int64, out []int16) {
	if !r.running {
		return r.track.pos, nil
	}
	end := r.track.end
	r.fadeOut(end)
	r.looked = math.MinInt64
	r.zeros(end, half)
	pos, out = r.produce(end)
	r.running = false
	return pos, out
}

// start begins at time t.
func (r *Resampler) start(t, earliest int64) {
	r.running, r.track, r.in = true, newTrack(t, earliest), fade
	r.buf, r.looked, r.loud = r.buf[:0], math.MinInt64, math.MinInt64
	for range channels * half {
		r.buf = append(r.buf, 0)
	}
}

// base is the index of buf[0].
func (r *Resampler) base() int64 { return r.track.end - int64(len(r.buf)/channels) }

// move puts n samples of silence before index, or cuts -n from there on.
func (r *Resampler) move(index, n int64) {
	r.looked = math.MinInt64 // indices change
	r.stats.Gaps++
	r.fadeOut(index)
	if n > 0 {
		r.stats.Inserted += n
		r.zeros(index, int(n))
		r.fadeIn(index + n)
		return
	}
	r.stats.Cut -= n
	held := min(-n, r.track.end-index)
	i := (index - r.base()) * channels
	r.buf = append(r.buf[:i], r.buf[i+held*channels:]...)
	r.track.end -= held
	r.track.skip += -n - held
	r.fadeIn(index)
}

// zeros inserts n samples of silence before index.
func (r *Resampler) zeros(index int64, n int) {
	i, more := int(index-r.base())*channels, n*channels
	for range more {
		r.buf = append(r.buf, 0)
	}
	copy(r.buf[i+more:], r.buf[i:len(r.buf)-more])
	clear(r.buf[i : i+more])
	r.track.end += int64(n)
}

// fadeOut fades out the samples before index.
func (r *Resampler) fadeOut(index int64) {
	for k := range min(int64(fade), index-r.base()) {
		r.scale(index-1-k, ramp[k])
	}
}

// fadeIn fades in the samples from index on, and those to come.
func (r *Resampler) fadeIn(index int64) {
	r.in = fade
	for ; r.in > 0 && index < r.track.end; index++ {
		r.scale(index, ramp[fade-r.in])
		r.in--
	}
}

func (r *Resampler) scale(index int64, gain float32) {
	i := (index - r.base()) * channels
	for c := range int64(channels) {
		r.buf[i+c] *= gain
	}
}

// ramp goes from 0 to 1 over a fade, with a slope that starts and ends with 0.
var ramp = func() (t [fade]float32) {
	for i := range t {
		t[i] = float32(0.5 - 0.5*math.Cos(math.Pi*(float64(i)+0.5)/fade))
	}
	return t
}()

// append takes samples behind those there are.
func (r *Resampler) append(samples []int16) {
	r.forget()
	samples = samples[:len(samples)/channels*channels]
	samples = samples[r.track.add(int64(len(samples)/channels))*channels:]
	for i := 0; i < len(samples); i += channels {
		gain := float32(1)
		if r.in > 0 {
			gain = ramp[fade-r.in]
			r.in--
		}
		r.buf = append(r.buf, gain*float32(samples[i]), gain*float32(samples[i+1]))
	}
}

// forget drops samples that are no longer needed.
func (r *Resampler) forget() {
	if old := r.track.at - (half - 1) - r.base(); old > 0 {
		rest := copy(r.buf, r.buf[old*channels:])
		r.buf = r.buf[:rest]
	}
}

// produce gives the samples of the grid that lie before index limit.
func (r *Resampler) produce(limit int64) (pos int64, out []int16) {
	k, base := &r.track, r.base()
	pos, r.out = k.pos, r.out[:0]
	for k.at < limit {
		i := (k.at - (half - 1) - base) * channels
		if r.quiet(k.at, base) {
			r.out = append(r.out, 0, 0)
			k.next()
			continue
		}
		left, right := interpolate((*[channels * taps]float32)(r.buf[i:]), k.fraction)
		r.out = append(r.out, round(left), round(right))
		k.next()
	}
	return pos, r.out
}

// quiet says that there is nothing but zeros around index at: digital silence, of
// which a source without sound has a lot, need not be interpolated.
func (r *Resampler) quiet(at, base int64) bool {
	first, last := at-(half-1), at+half
	for r.looked = max(r.looked, first); r.looked <= last; r.looked++ {
		if i := (r.looked - base) * channels; r.buf[i] != 0 || r.buf[i+1] != 0 {
			r.loud = r.looked
		}
	}
	return r.loud < first
}

func round(v float32) int16 {
	if v >= 0 {
		return int16(min(v+0.5, 32767))
	}
	return int16(max(v-0.5, -32768))
}
