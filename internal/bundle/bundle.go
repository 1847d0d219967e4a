// Package bundle makes, signs and checks updates of a box: one file, *.vbox,
// with the file system of a root partition. It is checked as it comes, a chunk
// at a time, so that a bundle of any size needs 1 MiB of memory, and what was
// cut off goes on at the last whole chunk.
//
//	8 bytes  "vboxupd\n"
//	u32      length of the manifest, big-endian
//	n        manifest, JSON
//	64       ed25519 signature (RFC 8032) of all before it
//	...      the parts, one after the other, without gaps
//
// The signature covers the parts by the SHA-256 of each of their chunks, which
// the manifest lists.
package bundle

import (
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	magic = "vboxupd\n"
	// ChunkSize is what one hash is of; the last chunk of a part may be shorter.
	ChunkSize = 1 << 20
	// maxManifest is enough for the hashes of 15 GB.
	maxManifest = 1 << 20
	maxPart     = 8 << 30
	maxText     = 100 // bytes of board, version and so on
)

// Root is the name of the part that is a root partition's file system.
const Root = "root"

// Errors that say what a bundle lacks; what is wrapped around them says more.
var (
	ErrFormat    = errors.New("this is no bundle")
	ErrSignature = errors.New("the bundle's signature is not by the update key that this box has; make it with the event's key")
	ErrTruncated = errors.New("the bundle ends too early")
	ErrChunk     = errors.New("a part of the bundle is damaged")
	ErrTooLong   = errors.New("there is more than the bundle's manifest says")
)

// Hash is the SHA-256 of a chunk.
type Hash [32]byte

// MarshalText writes it in hexadecimal.
func (h Hash) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h[:])), nil }

// UnmarshalText reads that.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != 2*len(h) {
		return fmt.Errorf("a hash has %d characters, want %d", len(text), 2*len(h))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// Manifest says what a bundle holds and for what.
type Manifest struct {
	Format  int    `json:"format"`  // 1
	Board   string `json:"board"`   // gokrazy instance: videobox, videobox-pc
	Arch    string `json:"arch"`    // GOARCH
	Version string `json:"version"` // for people
	Build   int64  `json:"build"`   // Unix seconds; the larger is the newer
	// Kernel is the SHA-256 of the kernel on the boot partition that the root
	// belongs to; its modules fit no other.
	Kernel string `json:"kernel,omitempty"`
	Parts  []Part `json:"parts"`
}

// Part is one payload.
type Part struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`  // bytes
	Chunk  int64  `json:"chunk"` // bytes: ChunkSize
	Hashes []Hash `json:"hashes"`
}

// chunks is how many a part of that size has.
func chunks(size int64) int64 { return (size + ChunkSize - 1) / ChunkSize }

// Header is the beginning of a bundle, up to the parts.
type Header struct {
	Manifest
	Raw []byte // as it was read
}

// Size is the whole bundle's, in bytes.
func (h Header) Size() int64 {
	n := int64(len(h.Raw))
	for _, p := range h.Parts {
		n += p.Size
	}
	return n
}

// Part is the one of that name.
func (h Header) Part(name string) (Part, bool) {
	for _, p := range h.Parts {
		if p.Name == name {
			return p, true
		}
	}
	return Part{}, false
}

// ReadHeader reads a bundle's beginning and no byte more, and believes nothing
// in it before it has checked the signature.
func ReadHeader(r io.Reader, key ed25519.PublicKey) (Header, error) {
	if len(key) != ed25519.PublicKeySize {
		return Header{}, fmt.Errorf("an update key has %d bytes, want %d", len(key), ed25519.PublicKeySize)
	}
	return readHeader(r, func(signed, sig []byte) bool { return ed25519.Verify(key, signed, sig) })
}

// Unverified reads a bundle's beginning without a key: for showing what a file
// says that it is.
func Unverified(r io.Reader) (Header, error) {
	return readHeader(r, func(_, _ []byte) bool { return true })
}

func readHeader(r io.Reader, verify func(signed, sig []byte) bool) (Header, error) {
	raw := make([]byte, len(magic)+4)
	if err := readFull(r, raw); err != nil {
		return Header{}, err
	}
	n := binary.BigEndian.Uint32(raw[len(magic):])
	if string(raw[:len(magic)]) != magic || n == 0 || n > maxManifest {
		return Header{}, fmt.Errorf("%w: it begins with %q; make bundle makes one", ErrFormat, raw)
	}
	signed := len(raw) + int(n)
	raw = append(raw, make([]byte, int(n)+ed25519.SignatureSize)...)
	if err := readFull(r, raw[len(magic)+4:]); err != nil {
		return Header{}, err
	}
	if !verify(raw[:signed], raw[signed:]) {
		return Header{}, ErrSignature
	}
	h := Header{Raw: raw}
	d := json.NewDecoder(strings.NewReader(string(raw[len(magic)+4 : signed])))
	if err := d.Decode(&h.Manifest); err != nil {
		return Header{}, fmt.Errorf("%w: its manifest: %w", ErrFormat, err)
	}
	return h, h.Manifest.check()
}

func readFull(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: within its first bytes", ErrTruncated)
	}
	return err
}

func (m Manifest) check() error {
	if m.Format != 1 {
		return fmt.Errorf("%w: format %d; this box knows format 1", ErrFormat, m.Format)
	}
	for _, text := range []string{m.Board, m.Arch, m.Version, m.Kernel} {
		if len(text) > maxText {
			return fmt.Errorf("%w: %.20q… in its manifest is too long", ErrFormat, text)
		}
	}
	if m.Board == "" || m.Build <= 0 || len(m.Parts) == 0 || len(m.Parts) > 4 {
		return fmt.Errorf("%w: board %q, build %d, %d parts", ErrFormat, m.Board, m.Build, len(m.Parts))
	}
	for i, p := range m.Parts {
		if err := p.check(); err != nil {
			return err
		}
		for _, q := range m.Parts[:i] {
			if p.Name == q.Name {
				return fmt.Errorf("%w: two parts %q", ErrFormat, p.Name)
			}
		}
	}
	return nil
}

func (p Part) check() error {
	switch {
	case p.Name == "" || len(p.Name) > maxText:
		return fmt.Errorf("%w: a part has the name %.20q", ErrFormat, p.Name)
	case p.Size <= 0 || p.Size > maxPart:
		return fmt.Errorf("%w: part %s has %d bytes", ErrFormat, p.Name, p.Size)
	case p.Chunk != ChunkSize || int64(len(p.Hashes)) != chunks(p.Size):
		return fmt.Errorf("%w: part %s of %d bytes has %d hashes of %d bytes each", ErrFormat, p.Name, p.Size, len(p.Hashes), p.Chunk)
	}
	return nil
}
