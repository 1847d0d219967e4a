package rtmp

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/bluenviron/gortmplib/pkg/message"
)

// Sink takes what a publisher sends. Timestamps are RTMP's, in ms, and wrap at
// 32 bits. The sink keeps the data.
type Sink interface {
	Video(dts uint32, cts int32, key bool, au []byte) // Annex B, with AUD; keyframes with SPS and PPS
	Audio(ts uint32, frame []byte)                    // raw AAC-LC, 48 kHz stereo
	Close()
}

type messageReader interface {
	Read() (message.Message, error)
}

// session turns RTMP messages into access units.
type session struct {
	conn     messageReader
	sink     Sink
	sps, pps []byte
	sound    bool // audio configuration was there
}

// run reads until the publisher leaves (nil) or breaks something.
func (s *session) run() error {
	for {
		msg, err := s.conn.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		end, err := s.handle(msg)
		if end || err != nil {
			return err
		}
	}
}

func (s *session) handle(msg message.Message) (end bool, err error) {
	switch m := msg.(type) {
	case *message.Video:
		return false, s.video(m)
	case *message.VideoExSequenceStart:
		if !isAVC(m.FourCC) {
			return false, errVideo
		}
		s.sps, s.pps, err = parameterSets(m.AVCConfig)
	case *message.VideoExCodedFrames:
		if !isAVC(m.FourCC) {
			return false, errVideo
		}
		err = s.picture(m.DTS, composition(m.PTSDelta.Milliseconds()), m.Payload)
	case *message.VideoExFramesX:
		if !isAVC(m.FourCC) {
			return false, errVideo
		}
		err = s.picture(m.DTS, 0, m.Payload)
	case *message.Audio:
		return false, s.audio(m)
	case *message.CommandAMF0:
		switch m.Name {
		case "deleteStream", "FCUnpublish", "closeStream":
			return true, nil
		}
	}
	return false, err
}

func (s *session) video(m *message.Video) (err error) {
	if m.Codec != message.CodecH264 {
		return errVideo
	}
	switch m.Type {
	case message.VideoTypeConfig:
		s.sps, s.pps, err = parameterSets(m.AVCConfig)
	case message.VideoTypeAU:
		err = s.picture(m.DTS, composition(m.PTSDelta.Milliseconds()), m.AU)
	}
	return err
}

// picture hands on an access unit. Whether it is a keyframe is read from its
// NAL units: publishers' flags differ.
func (s *session) picture(dts time.Duration, cts int32, avcc []byte) error {
	key := hasIDR(avcc)
	au, err := annexB(avcc, s.sps, s.pps, key)
	if err != nil {
		return err
	}
	s.sink.Video(uint32(dts.Milliseconds()), cts, key, au)
	return nil
}

// hasIDR looks for an IDR slice (nal_unit_type 5) by the lengths.
func hasIDR(avcc []byte) bool {
	for len(avcc) > 4 {
		if avcc[4]&0x1f == 5 {
			return true
		}
		n := int64(avcc[0])<<24 | int64(avcc[1])<<16 | int64(avcc[2])<<8 | int64(avcc[3])
		if n+4 >= int64(len(avcc)) {
			return false
		}
		avcc = avcc[4+n:]
	}
	return false
}

func (s *session) audio(m *message.Audio) error {
	if m.Codec != message.CodecMPEG4Audio {
		return errAudio
	}
	if m.AACType == message.AudioAACTypeConfig {
		if m.AACConfig == nil {
			return nil // ffmpeg may send an empty one first
		}
		s.sound = true
		return checkAudio(m.AACConfig)
	}
	switch {
	case !s.sound:
		return errors.New("sound before its configuration")
	case len(m.AU) == 0 || len(m.AU) > maxFrame:
		return fmt.Errorf("AAC frame of %d bytes: want 1 to %d", len(m.AU), maxFrame)
	}
	s.sink.Audio(uint32(m.DTS.Milliseconds()), m.AU)
	return nil
}
