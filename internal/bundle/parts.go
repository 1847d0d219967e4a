package bundle

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// Chunk is a piece of a part, whose hash is right.
type Chunk struct {
	Part string
	At   int64  // in the part, bytes
	Data []byte // valid until the next one
}

// place is where a chunk is.
type place struct {
	part  string
	at    int64 // in the part
	start int64 // in the bundle
	size  int64
	hash  Hash
}

// places are all chunks, in order.
func (h Header) places(yield func(place) bool) {
	start := int64(len(h.Raw))
	for _, p := range h.Parts {
		for i, hash := range p.Hashes {
			at := int64(i) * ChunkSize
			c := place{p.Name, at, start + at, min(ChunkSize, p.Size-at), hash}
			if !yield(c) {
				return
			}
		}
		start += p.Size
	}
}

// Read reads the parts, from a place in the bundle on, and gives each chunk to
// put once its hash is right. It says up to where in the bundle all has been
// put, which is where a next Read goes on, also with an error: ErrTruncated
// where r ends too early, ErrChunk, r's or put's own.
func (h Header) Read(r io.Reader, from int64, put func(Chunk) error) (to int64, err error) {
	to = from
	buf := make([]byte, ChunkSize)
	for c := range h.places {
		if c.start < to {
			continue
		}
		if c.start > to {
			return to, fmt.Errorf("no chunk begins at byte %d of the bundle; the next one does at %d", to, c.start)
		}
		data := buf[:c.size]
		if err := readChunk(r, c, data); err != nil {
			return to, err
		}
		if err := put(Chunk{c.part, c.at, data}); err != nil {
			return to, err
		}
		to += c.size
	}
	return to, atEnd(r)
}

func readChunk(r io.Reader, c place, data []byte) error {
	_, err := io.ReadFull(r, data)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: in %s, at byte %d", ErrTruncated, c.part, c.at)
	}
	if err != nil {
		return err
	}
	if sha256.Sum256(data) != c.hash {
		return fmt.Errorf("%w: the %d bytes of %s from byte %d on are not what was signed", ErrChunk, c.size, c.part, c.at)
	}
	return nil
}

// atEnd wants nothing more to come.
func atEnd(r io.Reader) error {
	n, err := io.ReadFull(r, make([]byte, 1))
	if n > 0 {
		return ErrTooLong
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Whole says up to where in the bundle its parts are there already, of which
// open gives what was put before. It stops at the first chunk that isn't.
func (h Header) Whole(open func(part string) io.ReaderAt) (to int64, err error) {
	to = int64(len(h.Raw))
	buf := make([]byte, ChunkSize)
	for c := range h.places {
		n, err := open(c.part).ReadAt(buf[:c.size], c.at)
		if int64(n) < c.size && err != nil && !errors.Is(err, io.EOF) {
			return to, err
		}
		if int64(n) < c.size || sha256.Sum256(buf[:c.size]) != c.hash {
			return to, nil
		}
		to += c.size
	}
	return to, nil
}

// Check reads a whole bundle and wants all of it to be right, to its last byte.
// Without a key the signature alone isn't looked at: who made it is not known.
func Check(r io.Reader, key ed25519.PublicKey) (Header, error) {
	read := Unverified
	if key != nil {
		read = func(r io.Reader) (Header, error) { return ReadHeader(r, key) }
	}
	h, err := read(r)
	if err != nil {
		return h, err
	}
	_, err = h.Read(r, int64(len(h.Raw)), func(Chunk) error { return nil })
	return h, err
}
