package mpegts

import (
	"errors"
	"fmt"
	"io"

	ts "github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
)

// Handler takes what Demux finds. A unit's Data belongs to the handler. PTS
// and DTS are the 33-bit values of the wire. Video is Annex B with 4-byte
// start codes and begins with an access unit delimiter; audio is one raw
// AAC-LC frame, 48 kHz stereo.
type Handler interface {
	Video(u media.Unit)
	Audio(u media.Unit)
}

// ErrorHandler is a Handler that also hears of each stream that is not
// delivered, and why, once.
type ErrorHandler interface {
	Handler
	Error(err error)
}

// Demux reads a transport stream until its end, or until reading fails, and
// then returns nil or that error. It starts anywhere, waits for the tables,
// follows them when they change, and takes the first H.264 and the first AAC
// stream of the first program. Garbage and lost packets cost the access units
// that they hit, never more. When the stream ended without a unit, the error
// says what was missing.
//
// An access unit is delivered as soon as its last packet has been read when
// its PES packet says how long it is; one of more than 64 KB, which can't say
// so, when the stream's next one begins.
func Demux(r io.Reader, h Handler) error {
	f := newFront(r, h)
	d := &demuxer{front: f, h: h}
	err := d.run()
	if f.err != nil {
		err = f.err // as it was, and not what the reader made of it
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err == nil && !d.delivered {
		return f.missing()
	}
	return err
}

type demuxer struct {
	front     *front
	h         Handler
	primed    bool
	delivered bool
}

// run drives mediacommon's reader. It sees a program of constant tables (see
// front), so there is nothing that its Initialize could fail on.
func (d *demuxer) run() error {
	r := &ts.Reader{R: d.front}
	if err := r.Initialize(); err != nil {
		return fmt.Errorf("mpegts: reading the tables: %w", err)
	}
	for _, t := range r.Tracks() {
		switch t.Codec.(type) {
		case *codecs.H264:
			r.OnDataH264(t, d.video)
		case *codecs.MPEG4Audio:
			r.OnDataMPEG4Audio(t, d.audio)
		}
	}
	for {
		if err := r.Read(); err != nil {
			return err
		}
	}
}

func (d *demuxer) video(pts, dts int64, au [][]byte) error {
	n := len(anyDelimiter)
	for _, nal := range au {
		n += 4 + len(nal)
	}
	u := media.Unit{Track: media.Video, PTS: pts, DTS: dts}
	u.Data = append(make([]byte, 0, n), anyDelimiter...)
	u.Data = h264.Append(u.Data, au...)
	u.Key = h264.IsIDR(u.Data)
	d.delivered = true
	d.h.Video(u)
	return nil
}

func (d *demuxer) audio(pts int64, aus [][]byte) error {
	if !d.primed {
		d.primed = true // the frame that front made up
		return nil
	}
	for i, au := range aus {
		at := media.Wire(pts + int64(i)*media.TicksPerAAC)
		d.delivered = true
		d.h.Audio(media.Unit{Track: media.Audio, PTS: at, DTS: at, Data: au})
	}
	return nil
}
