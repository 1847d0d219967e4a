package worker

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/openvideobox/videobox/appliance/capture/internal/link"
	"github.com/openvideobox/videobox/appliance/capture/internal/resample"
	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/internal/level"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/program"
)

// late is how long the sound may be away before silence stands in for it: 300
// ms, less than the half second by which the PCR lies behind.
const late = media.SampleRate * 3 / 10

// sound puts samples on the grid of UTC and encodes them. That takes long, so
// the picture never waits for who does it: what it needs is outside of the lock.
type sound struct {
	device atomic.Pointer[soundDevice]
	offset atomic.Int64 // ns by which the sound is put later
	muted  atomic.Bool
	upto   atomic.Int64 // next, for those without the lock

	mu       sync.Mutex // held while encoding
	enc      *program.AudioEncoder
	emit     func(program.Sound) error
	resample *resample.Resampler
	next     int64   // number of the sample expected next; 0: none has come
	gain     float32 // goes to 0 or 1 as it is muted or not
	stereo   []int16
	samples  uint64
	silence  int64        // samples put where none came
	meter    *level.Meter // of what is sent
}

// soundDevice is how the device is.
type soundDevice struct{ state, cause string }

func newSound(bitrate int, emit func(program.Sound) error) *sound {
	s := &sound{
		enc: program.NewAudioEncoder(bitrate), emit: emit,
		resample: resample.New(), meter: level.New(0),
	}
	s.muted.Store(true) // until there is a picture
	s.device.Store(&soundDevice{})
	return s
}

// later puts the sound later from now on.
func (s *sound) later(offset time.Duration) { s.offset.Store(int64(offset)) }

// tell notes how the device is.
func (s *sound) tell(state drivers.State, cause string) {
	s.device.Store(&soundDevice{state.String(), cause})
}

// write takes samples at 48 kHz, stereo or mono.
func (s *sound) write(in media.Samples) error {
	if in.Rate != media.SampleRate || in.Channels < 1 || in.Len() == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.samples += uint64(in.Len())
	t, earliest := in.Time+s.offset.Load(), s.next
	// Backwards by seconds is a clock that was set: the encoder starts anew too.
	if s.next-media.SampleAt(t) > 2*media.SampleRate {
		earliest = 0
	}
	return s.push(s.resample.Write(t, s.toStereo(in), earliest))
}

func (s *sound) push(pos int64, data []int16) error {
	if len(data) == 0 {
		return nil
	}
	s.fade(data)
	s.meter.Write(data)
	if err := s.enc.Write(pos, data, s.emit); err != nil {
		return err
	}
	s.reached(pos + int64(len(data)/media.Channels))
	return nil
}

func (s *sound) reached(next int64) {
	s.next = next
	s.upto.Store(next)
}

// fade brings the sound to silence or back within 10 ms: at once would click.
func (s *sound) fade(data []int16) {
	want, step := float32(1), float32(100.0/media.SampleRate)
	if s.muted.Load() {
		want, step = 0, -step
	}
	for len(data) > 0 && s.gain != want {
		s.gain = min(max(s.gain+step, 0), 1)
		for c := range media.Channels {
			data[c] = int16(float32(data[c]) * s.gain)
		}
		data = data[media.Channels:]
	}
	if s.gain == 0 {
		clear(data)
	}
}

// toStereo copies the samples; what comes in stays the source's.
func (s *sound) toStereo(in media.Samples) []int16 {
	n := in.Len()
	out := s.room(n)
	if in.Channels == media.Channels {
		copy(out, in.Data)
		return out
	}
	for i := range n {
		left := in.Data[i*in.Channels]
		right := left
		if in.Channels > 1 {
			right = in.Data[i*in.Channels+1]
		}
		out[2*i], out[2*i+1] = left, right
	}
	return out
}

// lacks says whether silence has to stand in for sound that hasn't come. It
// never waits.
func (s *sound) lacks(now int64) bool {
	return media.SampleAt(now)-late-s.upto.Load() >= media.SamplesPerAAC
}

// fill puts silence where no sound has come until now.
func (s *sound) fill(now int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	due := media.SampleAt(now) - late
	if s.next == 0 {
		s.reached(due)
	}
	if due-s.next < media.SamplesPerAAC {
		return nil
	}
	if err := s.push(s.resample.Drain()); err != nil { // the device has stopped
		return err
	}
	n := min(due-s.next, media.SampleRate) // after a standstill the encoder starts anew
	if n <= 0 {
		return nil
	}
	s.silence += n
	silence := s.room(int(n))
	clear(silence)
	return s.push(due-n, silence)
}

// room is a buffer for n stereo samples.
func (s *sound) room(n int) []int16 {
	if cap(s.stereo) < n*media.Channels {
		s.stereo = make([]int16, n*media.Channels)
	}
	return s.stereo[:n*media.Channels]
}

// restart forgets at what time the sound is: the clock was set.
func (s *sound) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resample.Drain()
	s.enc.Reset()
	s.reached(0)
}

// report fills in what there is to say about the sound. While it is being
// encoded, numbers stay as they were in the last report.
func (s *sound) report(r *link.Report) {
	d := s.device.Load()
	r.SoundState, r.SoundCause = d.state, d.cause
	r.Muted, r.SoundOffsetMS = s.muted.Load(), float64(s.offset.Load())/1e6
	if !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	st := s.resample.Stats()
	r.SamplesIn, r.Inserted, r.Cut, r.Sound = s.samples, st.Inserted+s.silence, st.Cut, st
	r.Levels = s.meter.Values()
}
