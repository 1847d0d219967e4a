package ext4

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
)

// seedData are the blocks of the seed that aren't zero, each behind its number
// (u32, little-endian), in gzip.
//
//go:embed seed.gz
var seedData []byte

// SeedBytes is the size of a new file system before it is grown.
const SeedBytes = 32 << 20

// Device is what a file system is made on.
type Device interface {
	io.WriterAt
	Sync() error
}

// Make writes an empty file system of SeedBytes, with a UUID of its own and a
// label of at most 16 bytes, at the start of a device of that many bytes. The
// block with the superblock comes last and alone: after a power cut there is
// either no file system yet, or a whole one.
func Make(d Device, size int64, label string) error {
	if size < SeedBytes {
		return fmt.Errorf("%w: %d bytes, want at least %d", ErrTooSmall, size, SeedBytes)
	}
	image, err := seed(label)
	if err != nil {
		return err
	}
	if _, err := d.WriteAt(make([]byte, commonBlock), 0); err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return err
	}
	const piece = 1 << 20
	for at := int64(commonBlock); at < SeedBytes; at = (at/piece + 1) * piece {
		// All of it: an old journal must not be found in the new one.
		if _, err := d.WriteAt(image[at:(at/piece+1)*piece], at); err != nil {
			return err
		}
	}
	if err := d.Sync(); err != nil {
		return err
	}
	if _, err := d.WriteAt(image[:commonBlock], 0); err != nil {
		return err
	}
	return d.Sync()
}

// seed is the new file system.
func seed(label string) ([]byte, error) {
	if len(label) > labelBytes {
		return nil, fmt.Errorf("label %q: %d bytes, want at most %d", label, len(label), labelBytes)
	}
	image, err := unpack(seedData)
	if err != nil {
		return nil, fmt.Errorf("embedded file system: %w", err)
	}
	b := image[superOffset:][:superBytes]
	clear(b[labelOffset:][:labelBytes])
	copy(b[labelOffset:], label)
	id := b[uuidOffset:][:16]
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // RFC 9562, 5.4: version 4
	le.PutUint32(b[csumOffset:], superSum(b))
	return image, nil
}

// unpack makes an image of SeedBytes from its packed form.
func unpack(packed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	image := make([]byte, SeedBytes)
	for {
		var n [4]byte
		if _, err := io.ReadFull(z, n[:]); errors.Is(err, io.EOF) {
			return image, nil
		} else if err != nil {
			return nil, err
		}
		at := int(le.Uint32(n[:])) * commonBlock
		if at >= SeedBytes {
			return nil, fmt.Errorf("a block at %d, behind the end", at)
		}
		if _, err := io.ReadFull(z, image[at:at+commonBlock]); err != nil {
			return nil, err
		}
	}
}
