package main

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"time"

	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/mpegts"
)

// source makes 25 pictures a second and sound, 8 Mbit/s in all. An IDR is four
// times the size of another picture.
type source struct {
	mux   *mpegts.Muxer
	noise []byte
	video int64 // next picture
	audio int64 // next frame of sound
}

const (
	sourceRate  = 25
	sourceSmall = 980_000 / (sourceRate + 3) // bytes of a picture; an IDR each second
)

func newSource(w io.Writer) *source {
	s := &source{mux: mpegts.NewMuxer(w, mpegts.Options{}), noise: make([]byte, 4*sourceSmall)}
	for i := range s.noise {
		s.noise[i] = byte(128 + rand.IntN(128)) // no start codes
	}
	return s
}

// at is when the next unit is due, in ticks.
func (s *source) at() int64 {
	return min(media.FrameTicks(s.video, sourceRate), media.AACTicks(s.audio))
}

func (s *source) write() error {
	at := s.at()
	if media.FrameTicks(s.video, sourceRate) != at {
		s.audio++
		return s.mux.WriteAudio(media.Unit{Track: media.Audio, PTS: at, DTS: at, Data: s.noise[:400]})
	}
	key := s.video%sourceRate == 0
	s.video++
	return s.mux.WriteVideo(media.Unit{PTS: at, DTS: at, Key: key, Data: picture(key, s.noise)})
}

// feed writes to w in time until ctx ends: units when they are due, as ffmpeg
// does from a device, or pieces of so many packets, as evenly as a network would.
func feed(ctx context.Context, w io.Writer, piece int) error {
	var queue bytes.Buffer
	s := newSource(&queue)
	for began := time.Now(); ; {
		from := s.at()
		if err := s.write(); err != nil {
			return err
		}
		size := queue.Len()
		if piece > 0 {
			size = piece * mpegts.PacketSize
			for s.at() < media.FrameTicks(s.video, sourceRate) { // the sound until the next picture
				if err := s.write(); err != nil {
					return err
				}
			}
		}
		due, length := media.TicksToTime(from), media.TicksToTime(s.at()-from)
		for pieces, i := (queue.Len()+size-1)/size, 0; i < pieces; i++ {
			at := time.Duration(due + length*int64(i)/int64(pieces))
			if !sleepUntil(ctx, began.Add(at)) {
				return nil
			}
			if _, err := w.Write(queue.Next(size)); err != nil {
				return err
			}
		}
	}
}

func sleepUntil(ctx context.Context, at time.Time) bool {
	wait := time.NewTimer(time.Until(at))
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// picture has the syntax that a muxer looks at, and noise.
func picture(key bool, noise []byte) []byte {
	au := []byte{0, 0, 0, 1, 9, 0xf0}
	if key {
		au = append(au, 0, 0, 0, 1, 0x67, 0x64, 0, 0x1f, 0, 0, 0, 1, 0x68, 0xee, 0, 0, 0, 1, 0x65)
		return append(au, noise...)
	}
	return append(append(au, 0, 0, 0, 1, 0x41), noise[:sourceSmall]...)
}
