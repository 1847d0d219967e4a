// Package matroska reads live Matroska (RFC 9559, on EBML, RFC 8794) as ffmpeg
// and GStreamer write it into a pipe: one Segment, Clusters of known or unknown
// size, raw video and PCM in SimpleBlocks or BlockGroups without lacing.
//
// Masters are entered and never left: what an element means follows from its
// ID, so unknown sizes need no end. Payloads are read in place by the caller,
// since a raw picture is large. Tested on ffmpeg 5.1's output and fuzzed.
package matroska

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// Element IDs, RFC 9559 section 27.
const (
	idEBML           = 0x1A45DFA3
	idSegment        = 0x18538067
	idInfo           = 0x1549A966
	idTimestampScale = 0x2AD7B1
	idTracks         = 0x1654AE6B
	idTrackEntry     = 0xAE
	idTrackNumber    = 0xD7
	idTrackType      = 0x83
	idCodecID        = 0x86
	idVideo          = 0xE0
	idPixelWidth     = 0xB0
	idPixelHeight    = 0xBA
	idFourCC         = 0x2EB524
	idAudio          = 0xE1
	idFrequency      = 0xB5
	idChannels       = 0x9F
	idBitDepth       = 0x6264
	idCluster        = 0x1F43B675
	idTimestamp      = 0xE7
	idSimpleBlock    = 0xA3
	idBlockGroup     = 0xA0
	idBlock          = 0xA1
)

// Limits on what a sender can make the reader keep. A header of ffmpeg has
// about 700 bytes and two tracks.
const (
	maxTracks = 16
	maxValue  = 4096
)

// unknown is the size of a master that ends where the next one begins.
const unknown = math.MaxUint64

// ErrLacing is a block with several frames in it, which nobody uses for raw
// pictures.
var ErrLacing = errors.New("matroska: block with lacing; send one frame a block")

// Type is what a track carries.
type Type uint64

// Track types that are read, RFC 9559 section 5.1.4.1.3.
const (
	Video Type = 1
	Audio Type = 2
)

// Track is one TrackEntry.
type Track struct {
	Number        uint64
	Type          Type
	Codec         string // "V_UNCOMPRESSED", "A_PCM/INT/LIT"
	FourCC        string // of raw video: "I420"
	Width, Height int
	SampleRate    float64
	Channels      int
	BitDepth      int
}

// Block is the header of a frame. Its payload is read from the Reader.
type Block struct {
	Track uint64
	Time  int64 // ns, as the sender counts
	Size  int64 // bytes of payload
}

// Reader reads one stream. It is for one goroutine at a time.
type Reader struct {
	r       *bufio.Reader
	left    int64 // of the block's payload
	scale   int64 // ns a timestamp unit
	cluster int64
	tracks  []Track
	track   *Track // the one being described
}

// NewReader reads from r.
func NewReader(r io.Reader) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 32<<10), scale: 1_000_000}
}

// Header reads up to the first cluster and returns the tracks.
func (r *Reader) Header() ([]Track, error) {
	id, _, err := r.element()
	if err != nil {
		return nil, err
	}
	if id != idEBML {
		return nil, fmt.Errorf("matroska: starts with element %#x, not an EBML header", id)
	}
	for {
		id, size, err := r.element()
		if err != nil {
			return nil, err
		}
		if id == idCluster {
			return r.tracks, nil
		}
		if err := r.describe(id, size); err != nil {
			return nil, err
		}
	}
}

// describe takes one element of the header. The EBML header's own children are
// skipped like everything else that it does not know.
func (r *Reader) describe(id, size uint64) error {
	switch id {
	case idSegment, idInfo, idTracks, idVideo, idAudio:
		return nil
	case idTrackEntry:
		if len(r.tracks) == maxTracks {
			return fmt.Errorf("matroska: more than %d tracks", maxTracks)
		}
		r.tracks = append(r.tracks, Track{})
		r.track = &r.tracks[len(r.tracks)-1]
		return nil
	case idTimestampScale:
		return r.number(size, func(v uint64) { r.scale = int64(min(max(v, 1), 1_000_000_000)) })
	}
	if r.track == nil {
		return r.skip(size)
	}
	return r.describeTrack(r.track, id, size)
}

func (r *Reader) describeTrack(t *Track, id, size uint64) error {
	switch id {
	case idTrackNumber:
		return r.number(size, func(v uint64) { t.Number = v })
	case idTrackType:
		return r.number(size, func(v uint64) { t.Type = Type(v) })
	case idPixelWidth:
		return r.number(size, func(v uint64) { t.Width = int(v & math.MaxInt32) })
	case idPixelHeight:
		return r.number(size, func(v uint64) { t.Height = int(v & math.MaxInt32) })
	case idChannels:
		return r.number(size, func(v uint64) { t.Channels = int(v & math.MaxInt32) })
	case idBitDepth:
		return r.number(size, func(v uint64) { t.BitDepth = int(v & math.MaxInt32) })
	case idCodecID:
		return r.text(size, &t.Codec)
	case idFourCC:
		return r.text(size, &t.FourCC)
	case idFrequency:
		return r.float(size, &t.SampleRate)
	}
	return r.skip(size)
}

// Next skips what is left of the block before and returns the next one's
// header. At the end of the stream it returns io.EOF or io.ErrUnexpectedEOF.
func (r *Reader) Next() (Block, error) {
	if err := r.skip(uint64(r.left)); err != nil {
		return Block{}, err
	}
	r.left = 0
	for {
		id, size, err := r.element()
		if err != nil {
			return Block{}, err
		}
		switch id {
		case idSegment, idCluster, idBlockGroup:
		case idTimestamp:
			err = r.number(size, func(v uint64) { r.cluster = int64(v & math.MaxInt64) })
		case idSimpleBlock, idBlock:
			return r.block(size)
		default:
			err = r.skip(size)
		}
		if err != nil {
			return Block{}, err
		}
	}
}

// Read reads the block's payload; io.EOF at its end.
func (r *Reader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.r.Read(p)
	r.left -= int64(n)
	if err == io.EOF && r.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// block reads a block's header, RFC 9559 section 10.1: track number as a
// variable size integer, 16 bits of signed relative time, flags.
func (r *Reader) block(size uint64) (Block, error) {
	number, n, err := r.vint()
	if err != nil {
		return Block{}, err
	}
	head := uint64(n) + 3
	if size == unknown || size < head || size > math.MaxInt64 {
		return Block{}, fmt.Errorf("matroska: block of %d bytes, its header alone has %d", size, head)
	}
	var b [3]byte
	if _, err := io.ReadFull(r.r, b[:]); err != nil {
		return Block{}, cut(err)
	}
	if b[2]&0x06 != 0 {
		return Block{}, ErrLacing
	}
	r.left = int64(size - head)
	at := r.cluster + int64(int16(binary.BigEndian.Uint16(b[:])))
	return Block{Track: number, Time: at * r.scale, Size: r.left}, nil
}

// element reads an ID, with its length marker, and a size.
func (r *Reader) element() (id, size uint64, err error) {
	first, err := r.r.ReadByte()
	if err != nil {
		return 0, 0, err // io.EOF between elements is the end
	}
	n := length(first)
	if n > 4 {
		return 0, 0, fmt.Errorf("matroska: %#x starts no element", first)
	}
	id, err = r.tail(uint64(first), n-1)
	if err != nil {
		return 0, 0, err
	}
	size, n, err = r.vint()
	if err == nil && size == 1<<(7*n)-1 {
		size = unknown
	}
	return id, size, err
}

// vint reads a variable size integer without its marker, and its length.
func (r *Reader) vint() (v uint64, n int, err error) {
	first, err := r.r.ReadByte()
	if err != nil {
		return 0, 0, cut(err)
	}
	n = length(first)
	if n > 8 {
		return 0, 0, errors.New("matroska: number longer than 8 bytes")
	}
	v, err = r.tail(uint64(first)&(1<<(8-n)-1), n-1)
	return v, n, err
}

func (r *Reader) tail(v uint64, n int) (uint64, error) {
	for range n {
		b, err := r.r.ReadByte()
		if err != nil {
			return 0, cut(err)
		}
		v = v<<8 | uint64(b)
	}
	return v, nil
}

// length is the number of bytes that the first one announces: 1 to 9.
func length(first byte) int {
	n := 1
	for mask := byte(0x80); mask != 0 && first&mask == 0; mask >>= 1 {
		n++
	}
	return n
}

func (r *Reader) skip(size uint64) error {
	if size == unknown {
		return errors.New("matroska: unknown element of unknown size")
	}
	for size > 0 {
		n, err := r.r.Discard(int(min(size, 1<<30)))
		size -= uint64(n)
		if err != nil {
			return cut(err)
		}
	}
	return nil
}

func (r *Reader) number(size uint64, set func(uint64)) error {
	if size > 8 {
		return fmt.Errorf("matroska: number of %d bytes", size)
	}
	v, err := r.tail(0, int(size))
	if err == nil {
		set(v)
	}
	return err
}

func (r *Reader) float(size uint64, v *float64) error {
	if size != 4 && size != 8 {
		return fmt.Errorf("matroska: float of %d bytes", size)
	}
	bits, err := r.tail(0, int(size))
	if size == 4 {
		*v = float64(math.Float32frombits(uint32(bits)))
	} else {
		*v = math.Float64frombits(bits)
	}
	return err
}

func (r *Reader) text(size uint64, v *string) error {
	if size > maxValue {
		return fmt.Errorf("matroska: text of %d bytes, at most %d", size, maxValue)
	}
	b := make([]byte, size)
	_, err := io.ReadFull(r.r, b)
	*v = string(b)
	return cut(err)
}

// cut makes the end of the stream within an element an error.
func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
