// Package aac encodes AAC-LC (ISO/IEC 14496-3 subpart 4), 48 kHz stereo, on
// tphakala/go-aac's fast coder. Units are raw frames without ADTS header.
//
// Tested against ffmpeg 5.1's decoder: where an impulse comes out, and that
// Silence is silent.
package aac

import (
	"bytes"
	"fmt"
	"sync"

	goaac "github.com/tphakala/go-aac"

	"github.com/openvideobox/videobox/internal/media"
)

// Block is the number of samples a channel that one Encode takes and one frame
// carries.
const Block = media.SamplesPerAAC

// Delay is by how many samples a channel a decoder's output of the frames lies
// behind the input: the priming of the transform's overlap. The first frame
// decodes to it alone, so frame j of the encoder carries block j-1.
const Delay = goaac.EncoderDelay

// Lag is how many blocks Encode's result is behind its argument: the encoder
// looks one block ahead, and Delay is the other. The frame that Encode returns
// for block i decodes to block i-Lag.
const Lag = 1 + Delay/Block

// Encoder encodes one stream. It is for one goroutine at a time.
type Encoder struct {
	enc    *goaac.Encoder
	planes [media.Channels][]float32
	in     [][]float32
	out    []byte

	silence []byte // one frame of it
	zeros   int    // blocks in a row that were nothing but zeros
}

// NewEncoder opens an encoder of the given bitrate in bit/s, both channels
// together.
func NewEncoder(bitrate int) (*Encoder, error) {
	if bitrate < 16_000 || bitrate > 512_000 {
		return nil, fmt.Errorf("aac: bitrate %d bit/s: must be between 16000 and 512000", bitrate)
	}
	enc, err := open(bitrate)
	if err != nil {
		return nil, fmt.Errorf("aac: %w", err)
	}
	e := newEncoder(enc)
	e.silence = silence()
	return e, nil
}

func open(bitrate int) (*goaac.Encoder, error) {
	return goaac.NewEncoder(goaac.EncoderConfig{
		SampleRate: media.SampleRate,
		Channels:   media.Channels,
		Bitrate:    bitrate,
		Coder:      goaac.CoderFast,
	})
}

func newEncoder(enc *goaac.Encoder) *Encoder {
	e := &Encoder{enc: enc, out: make([]byte, 0, 6144/8*media.Channels)}
	for i := range e.planes {
		e.planes[i] = make([]float32, Block)
	}
	e.in = e.planes[:]
	return e
}

// settled is after how many blocks of digital silence the encoder is left alone:
// its transform holds nothing but zeros then, so that it goes on after any
// number of them as if it had coded them all. A box without sound, or one that
// shows its slate, saves the encoder's whole cost.
const settled = 4

func isZero(pcm []int16) bool {
	for _, v := range pcm {
		if v != 0 {
			return false
		}
	}
	return true
}

// Encode takes the next Block samples, interleaved, and returns a raw frame:
// nothing for the first block, then one each call (see Lag). The frame belongs
// to the encoder and is valid until the next call.
func (e *Encoder) Encode(pcm []int16) ([]byte, error) {
	if len(pcm) != Block*media.Channels {
		return nil, fmt.Errorf("aac: block of %d values: must be %d", len(pcm), Block*media.Channels)
	}
	if e.zeros++; !isZero(pcm) {
		e.zeros = 0
	}
	if e.zeros > settled && e.silence != nil {
		return e.silence, nil
	}
	left, right := e.planes[0], e.planes[1]
	for i := range left {
		left[i] = float32(pcm[2*i]) * (1.0 / 32768)
		right[i] = float32(pcm[2*i+1]) * (1.0 / 32768)
	}
	out, err := e.enc.EncodeFrame(e.out[:0], e.in)
	if err != nil {
		return nil, fmt.Errorf("aac: %w", err)
	}
	e.out = out[:0]
	return out, nil
}

// Silence is one raw frame that adds nothing to a decoder's output wherever it
// stands: what is heard during it is the fading second half of the frame before.
func Silence() []byte { return bytes.Clone(silence()) }

// silence is made once, by an encoder that has no silence yet to fall back to.
var silence = sync.OnceValue(func() []byte {
	enc, err := open(64_000)
	if err != nil {
		panic(err) // the bitrate above is a constant within the limits
	}
	e := newEncoder(enc)
	var pcm [Block * media.Channels]int16
	var frame []byte
	for range 4 { // two to get past the priming, two of the steady state
		if frame, err = e.Encode(pcm[:]); err != nil {
			panic(err) // zeros are finite
		}
	}
	return bytes.Clone(frame)
})
