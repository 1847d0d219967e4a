package source

import (
	"sync"

	"github.com/openvideobox/videobox/internal/media"
)

// soundSize is how many samples a channel a source's ring holds: what may come
// before it is due.
const soundSize = 2 * media.SampleRate

// How far, in samples, decoded sound may seem to be from where the sound before
// it ended and still be taken as its continuation: a gap of one sample is a
// click. Stamped times are exact but for the decoder's ms, times guessed from
// arrival move with it.
const (
	stampedSlack = media.SampleRate / 500
	guessedSlack = media.SampleRate / 50
)

// sound is a source's decoded sound on the 48 kHz grid of UTC. The decoder
// writes, the engine reads each sample once.
type sound struct {
	mu    sync.Mutex
	ring  [soundSize * media.Channels]int16
	read  int64 // sample that is read next
	end   int64 // behind the newest sample written
	stats SoundStats
}

// SoundStats counts samples a channel.
type SoundStats struct {
	Written uint64
	Late    uint64 // came when silence had been sent in their place
	Early   uint64 // too far ahead to be kept
	Missing uint64 // silence sent while there was sound before
}

// write puts interleaved samples at position pos, or where the ones before
// ended when that is nearer than slack.
func (s *sound) write(pos int64, pcm []int16, slack int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := pos - s.end; d > -slack && d < slack {
		pos = s.end
	}
	n := int64(len(pcm) / media.Channels)
	if late := min(s.read-pos, n); late > 0 {
		s.stats.Late += uint64(late)
		pcm, pos, n = pcm[late*media.Channels:], pos+late, n-late
	}
	if n == 0 {
		return
	}
	s.end = pos + n
	if early := min(pos+n-s.read-soundSize, n); early > 0 {
		s.stats.Early += uint64(early)
		n -= early
	}
	s.stats.Written += uint64(n)
	at := int(pos%soundSize) * media.Channels
	rest := copy(s.ring[at:], pcm[:n*media.Channels])
	copy(s.ring[:], pcm[rest:n*media.Channels])
}

// at reads the samples from pos on into dst, silence where there are none, and
// says whether any were missing.
func (s *sound) at(pos int64, dst []int16) (whole bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := int64(len(dst) / media.Channels)
	if pos < s.read || pos-s.read >= soundSize {
		clear(s.ring[:]) // the engine's time jumped
		s.read = pos
	}
	for s.read < pos { // samples that the engine skipped
		k := min(pos-s.read, soundSize-s.read%soundSize)
		clear(s.span(s.read, k))
		s.read += k
	}
	for n > 0 {
		k := min(n, soundSize-s.read%soundSize)
		span := s.span(s.read, k)
		dst = dst[copy(dst, span):]
		clear(span)
		s.read, n = s.read+k, n-k
	}
	missing := s.read - max(s.end, pos)
	if missing > 0 && s.stats.Written > 0 {
		s.stats.Missing += uint64(missing)
	}
	return missing <= 0
}

// span is the ring's part of n samples from pos on, which don't wrap.
func (s *sound) span(pos, n int64) []int16 {
	at := pos % soundSize
	return s.ring[at*media.Channels : (at+n)*media.Channels]
}

func (s *sound) snapshot() SoundStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}
