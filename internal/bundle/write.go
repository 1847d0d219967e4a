package bundle

import (
	"bufio"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// Payload is a part to be written.
type Payload struct {
	Name string
	io.ReaderAt
	Size int64 // bytes
}

// Write writes a signed bundle of the payloads, which it reads twice: for their
// hashes, then for themselves. Of the manifest, format and parts are filled in.
func Write(w io.Writer, m Manifest, key ed25519.PrivateKey, payloads ...Payload) error {
	m.Format, m.Parts = 1, nil
	for _, p := range payloads {
		part, err := describe(p)
		if err != nil {
			return err
		}
		m.Parts = append(m.Parts, part)
	}
	if err := m.check(); err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 64<<10)
	if err := writeHeader(out, m, key); err != nil {
		return err
	}
	for _, p := range payloads {
		if _, err := io.Copy(out, io.NewSectionReader(p, 0, p.Size)); err != nil {
			return fmt.Errorf("part %s: %w", p.Name, err)
		}
	}
	return out.Flush()
}

func describe(p Payload) (Part, error) {
	part := Part{Name: p.Name, Size: p.Size, Chunk: ChunkSize}
	buf := make([]byte, ChunkSize)
	for at := int64(0); at < p.Size; at += ChunkSize {
		chunk := buf[:min(ChunkSize, p.Size-at)]
		if n, err := p.ReadAt(chunk, at); n < len(chunk) {
			return part, fmt.Errorf("part %s: %d of %d bytes at %d: %w", p.Name, n, len(chunk), at, err)
		}
		part.Hashes = append(part.Hashes, sha256.Sum256(chunk))
	}
	return part, nil
}

func writeHeader(w io.Writer, m Manifest, key ed25519.PrivateKey) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(text) > maxManifest {
		return fmt.Errorf("the manifest has %d bytes, more than %d: too many chunks", len(text), maxManifest)
	}
	head := binary.BigEndian.AppendUint32([]byte(magic), uint32(len(text)))
	head = append(head, text...)
	_, err = w.Write(append(head, ed25519.Sign(key, head)...))
	return err
}
