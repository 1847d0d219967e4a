package worker

import (
	"sync"

	"github.com/openvideobox/videobox/internal/level"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/program"
)

// off is how far samples may be from where their time puts them before they are
// moved: 20 ms, half of what A/V offset may be. Below it they are taken as
// following one another, because a device's time stamps jitter and its samples
// don't.
const off = media.SampleRate / 50

// late is how long the sound may be away before silence stands in for it: 300
// ms, less than the half second by which the PCR lies behind.
const late = media.SampleRate * 3 / 10

// sound puts samples on the grid of UTC and encodes them.
type sound struct {
	mu      sync.Mutex
	enc     *program.AudioEncoder
	emit    func(program.Sound) error
	next    int64 // number of the sample expected next; 0: none has come
	muted   bool
	stereo  []int16
	samples uint64
	shifts  int64 // samples inserted or cut, by moving
	cut     int64
	meter   *level.Meter // of what is sent
}

func newSound(bitrate int, emit func(program.Sound) error) *sound {
	return &sound{enc: program.NewAudioEncoder(bitrate), emit: emit, meter: level.New(0)}
}

// write takes samples at 48 kHz, stereo or mono.
func (s *sound) write(in media.Samples) error {
	if in.Rate != media.SampleRate || in.Channels < 1 || in.Len() == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.samples += uint64(in.Len())
	data := s.toStereo(in)
	pos := nearest(in.Time)
	if s.next == 0 {
		s.next = pos
	}
	if d := pos - s.next; d > off || d < -off {
		s.count(d, in.Len())
	} else {
		pos = s.next
	}
	return s.push(pos, data)
}

// count notes that samples are moved by d: filled before, or cut from n.
func (s *sound) count(d int64, n int) {
	if d > 0 {
		s.shifts += d
	} else {
		s.cut += min(-d, int64(n))
	}
}

func (s *sound) push(pos int64, data []int16) error {
	end := pos + int64(len(data)/media.Channels)
	if s.muted {
		clear(data)
	}
	s.meter.Write(data)
	if err := s.enc.Write(pos, data, s.emit); err != nil {
		return err
	}
	// Backwards by seconds is a clock that was set: the encoder starts anew too.
	if end > s.next || s.next-end > 2*media.SampleRate {
		s.next = end
	}
	return nil
}

// toStereo copies the samples; what comes in stays the source's.
func (s *sound) toStereo(in media.Samples) []int16 {
	n := in.Len()
	if cap(s.stereo) < n*media.Channels {
		s.stereo = make([]int16, n*media.Channels)
	}
	out := s.stereo[:n*media.Channels]
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
	if n := due - s.next; n >= media.SamplesPerAAC {
		n = min(n, media.SampleRate) // after a standstill the encoder starts anew
		s.shifts += n
		if cap(s.stereo) < int(n)*media.Channels {
			s.stereo = make([]int16, n*media.Channels)
		}
		silence := s.stereo[:n*media.Channels]
		clear(silence)
		return s.push(due-n, silence)
	}
	return nil
}

func (s *sound) mute(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.muted = on
}

func (s *sound) levels() level.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.meter.Values()
}

func (s *sound) counters() (samples uint64, inserted, cut int64, muted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.samples, s.shifts, s.cut, s.muted
}

// nearest is the number of the sample at t; media.SampleAt rounds down, which
// would lose a sample of a time that was itself rounded down.
func nearest(t int64) int64 { return media.SampleAt(t + 500_000_000/media.SampleRate) }
