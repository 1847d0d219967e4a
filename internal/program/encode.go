package program

import (
	"github.com/openvideobox/videobox/internal/codec/aac"
	"github.com/openvideobox/videobox/internal/codec/x264"
	"github.com/openvideobox/videobox/internal/media"
)

// VideoEncoder encodes frames of the grid, one in, one out. The first frame of
// each UTC second that it is given is an IDR.
type VideoEncoder struct {
	enc   *x264.Encoder
	rate  int
	fresh bool
	last  int64 // second of the frame encoded last
	count int64 // frames encoded
}

// NewVideoEncoder opens x264 for c.
func NewVideoEncoder(c Config) (*VideoEncoder, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	preset, threads := c.Preset, c.Threads
	if preset == "" {
		preset = "superfast"
	}
	if threads == 0 {
		threads = 1
	}
	enc, err := x264.New(x264.Config{
		Width: c.Width, Height: c.Height, Rate: c.Rate, Bitrate: c.Bitrate, MaxBitrate: c.MaxBitrate,
		Preset: preset, Threads: threads, BufferMS: 1000,
	})
	if err != nil {
		return nil, err
	}
	return &VideoEncoder{enc: enc, rate: c.Rate, fresh: true}, nil
}

// Encode encodes f as frame n of the grid. The picture is an IDR when key is
// set, on whole seconds or, where that frame was left out, for the next one, and
// for the first frame. The data is valid until the next call. n may jump when the clock is set, backward too, which x264's own time
// must not: frames are counted for it.
func (e *VideoEncoder) Encode(f *media.Frame, n int64, key bool) (data []byte, isKey bool, err error) {
	second := n / int64(e.rate)
	isKey = key || e.fresh || n%int64(e.rate) == 0 || second != e.last
	data, err = e.enc.Encode(f, media.FrameTicks(e.count, e.rate), isKey)
	if err == nil {
		e.fresh, e.last = false, second
		e.count++
	}
	return data, isKey, err
}

// SetBitrate changes the bitrate from the next frame on, in bit/s.
func (e *VideoEncoder) SetBitrate(bps int) error { return e.enc.SetBitrate(bps) }

// Close frees the encoder.
func (e *VideoEncoder) Close() { e.enc.Close() }

// jump is the gap in samples from which on the sound starts anew instead of
// being filled with silence: a clock was set, or a process was stopped.
const jump = 2 * media.SampleRate

// AudioEncoder encodes stereo samples into the AAC frames of the grid: what
// frame k decodes to is the samples from 1024 k on, the codec's delay taken off.
type AudioEncoder struct {
	bitrate int
	enc     *aac.Encoder
	block   [media.SamplesPerAAC * media.Channels]int16
	fill    int   // samples a channel in block
	next    int64 // number of the next sample expected
	index   int64 // AAC frame that the encoder gives out next
	started bool

	Inserted, Dropped int64 // samples filled with silence, and left out as overlapping
}

// NewAudioEncoder makes an encoder of the given bit/s. It starts with the
// first sample that it is given.
func NewAudioEncoder(bitrate int) *AudioEncoder { return &AudioEncoder{bitrate: bitrate} }

// Reset makes the next samples the first ones: the clock was set.
func (e *AudioEncoder) Reset() { e.started = false }

// Write takes interleaved samples, the first of them number pos since 1970 at
// 48 kHz, and calls emit for each frame that is ready. A gap becomes silence,
// an overlap is left out. The data given to emit is valid during the call.
func (e *AudioEncoder) Write(pos int64, samples []int16, emit func(Sound) error) error {
	if !e.started || pos-e.next > jump || e.next-pos > jump {
		if err := e.restart(pos); err != nil {
			return err
		}
	}
	if gap := pos - e.next; gap > 0 {
		e.Inserted += gap
		if err := e.push(nil, int(gap), emit); err != nil {
			return err
		}
	} else if gap < 0 {
		n := min(-gap, int64(len(samples)/media.Channels))
		e.Dropped += n
		samples = samples[n*media.Channels:]
	}
	return e.push(samples, len(samples)/media.Channels, emit)
}

// restart begins at the grid block that holds sample pos, its part before pos
// silent.
func (e *AudioEncoder) restart(pos int64) error {
	enc, err := aac.NewEncoder(e.bitrate)
	if err != nil {
		return err
	}
	e.enc, e.started = enc, true
	block := pos / media.SamplesPerAAC
	e.index = block - aac.Delay/media.SamplesPerAAC
	e.next = pos
	e.fill = int(pos % media.SamplesPerAAC)
	clear(e.block[:])
	return nil
}

// push appends n samples (silence when samples is nil), encoding full blocks.
func (e *AudioEncoder) push(samples []int16, n int, emit func(Sound) error) error {
	for n > 0 {
		k := min(n, media.SamplesPerAAC-e.fill)
		dst := e.block[e.fill*media.Channels : (e.fill+k)*media.Channels]
		if samples == nil {
			clear(dst)
		} else {
			samples = samples[copy(dst, samples):]
		}
		e.fill, e.next, n = e.fill+k, e.next+int64(k), n-k
		if e.fill < media.SamplesPerAAC {
			return nil
		}
		e.fill = 0
		if err := e.encode(emit); err != nil {
			return err
		}
	}
	return nil
}

func (e *AudioEncoder) encode(emit func(Sound) error) error {
	data, err := e.enc.Encode(e.block[:])
	if err != nil || len(data) == 0 {
		return err
	}
	s := Sound{Index: e.index, Data: data}
	e.index++
	return emit(s)
}
