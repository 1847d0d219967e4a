package worker

import (
	"sync"
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

// sound puts samples on the grid of UTC and encodes them.
type sound struct {
	mu       sync.Mutex
	enc      *program.AudioEncoder
	emit     func(program.Sound) error
	state    string // of the device, and its cause
	cause    string
	offset   int64 // ns by which the sound is put later
	resample *resample.Resampler
	next     int64 // number of the sample expected next; 0: none has come
	muted    bool
	gain     float32 // goes to 0 or 1 as it is muted or not
	stereo   []int16
	samples  uint64
	silence  int64        // samples put where none came
	meter    *level.Meter // of what is sent
}

func newSound(bitrate int, emit func(program.Sound) error) *sound {
	return &sound{
		enc: program.NewAudioEncoder(bitrate), emit: emit,
		resample: resample.New(), gain: 1, meter: level.New(0),
	}
}

// later puts the sound later from now on.
func (s *sound) later(offset time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offset = int64(offset)
}

// tell notes how the device is.
func (s *sound) tell(state drivers.State, cause string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.cause = state.String(), cause
}

// write takes samples at 48 kHz, stereo or mono.
func (s *sound) write(in media.Samples) error {
	if in.Rate != media.SampleRate || in.Channels < 1 || in.Len() == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.samples += uint64(in.Len())
	t, earliest := in.Time+s.offset, s.next
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
	s.next = pos + int64(len(data)/media.Channels)
	return nil
}

// fade brings the sound to silence or back within 10 ms: at once would click.
func (s *sound) fade(data []int16) {
	want, step := float32(1), float32(100.0/media.SampleRate)
	if s.muted {
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

// fill puts silence where no sound has come until now.
func (s *sound) fill(now int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	due := media.SampleAt(now) - late
	if s.next == 0 {
		s.next = due
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
	s.next = 0
}

func (s *sound) mute(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.muted = on
}

// report fills in what there is to say about the sound.
func (s *sound) report(r *link.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.resample.Stats()
	r.SamplesIn, r.Inserted, r.Cut, r.Muted = s.samples, st.Inserted+s.silence, st.Cut, s.muted
	r.SoundState, r.SoundCause = s.state, s.cause
	r.Sound, r.SoundOffsetMS = st, float64(s.offset)/1e6
	r.Levels = s.meter.Values()
}
