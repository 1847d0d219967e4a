package bundle

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

var testKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

func public() ed25519.PublicKey { return testKey.Public().(ed25519.PublicKey) }

func testManifest() Manifest {
	return Manifest{Board: "videobox", Arch: "arm64", Version: "v1.2.0", Build: 1795400000}
}

func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed)}).Read(b)
	return b
}

// make1 is a bundle with a root of two chunks, the last not whole, and a
// second part.
func make1(t testing.TB) (file, root []byte) {
	t.Helper()
	root = noise(ChunkSize+1000, 1)
	other := noise(10, 2)
	var b bytes.Buffer
	err := Write(&b, testManifest(), testKey,
		Payload{Root, bytes.NewReader(root), int64(len(root))}, Payload{"boot", bytes.NewReader(other), 10})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), root
}

func TestRoundTrip(t *testing.T) {
	file, root := make1(t)
	r := iotest.HalfReader(bytes.NewReader(file)) // as a network gives it
	h, err := ReadHeader(r, public())
	if err != nil {
		t.Fatal(err)
	}
	if h.Version != "v1.2.0" || h.Size() != int64(len(file)) {
		t.Errorf("%+v, %d bytes of %d", h.Manifest, h.Size(), len(file))
	}
	got := make([]byte, len(root))
	to, err := h.Read(r, int64(len(h.Raw)), func(c Chunk) error {
		if c.Part == Root {
			copy(got[c.At:], c.Data)
		}
		return nil
	})
	if err != nil || to != h.Size() || !bytes.Equal(got, root) {
		t.Errorf("read to %d of %d: %v", to, h.Size(), err)
	}
	if u, err := Unverified(bytes.NewReader(file)); err != nil || u.Build != h.Build {
		t.Errorf("without a key: %+v, %v", u.Manifest, err)
	}
}

// TestBad is every way in which a bundle can be wrong.
func TestBad(t *testing.T) {
	file, _ := make1(t)
	h, err := ReadHeader(bytes.NewReader(file), public())
	if err != nil {
		t.Fatal(err)
	}
	head := len(h.Raw)
	flip := func(at int) []byte {
		b := bytes.Clone(file)
		b[at] ^= 1
		return b
	}
	for _, tt := range []struct {
		name string
		file []byte
		want error
	}{
		{"whole", file, nil},
		{"nothing", nil, ErrTruncated},
		{"a picture", append([]byte("\x89PNG\r\n\x1a\n"), file...), ErrFormat},
		{"a manifest of 4 GB", append([]byte(magic), bytes.Repeat([]byte{255}, 2000)...), ErrFormat},
		{"a manifest of nothing", append([]byte(magic), make([]byte, 2000)...), ErrFormat},
		{"cut off in the manifest", file[:100], ErrTruncated},
		{"cut off in the signature", file[:head-1], ErrTruncated},
		{"cut off after the header", file[:head], ErrTruncated},
		{"cut off in the second chunk", file[:head+ChunkSize+5], ErrTruncated},
		{"cut off between two chunks", file[:head+ChunkSize], ErrTruncated},
		{"a byte missing", file[:len(file)-1], ErrTruncated},
		{"a byte more", append(bytes.Clone(file), 0), ErrTooLong},
		{"a bit of the manifest", flip(30), ErrSignature},
		{"a bit of its length", flip(11), ErrSignature},
		{"a bit of the signature", flip(head - 3), ErrSignature},
		{"a bit of the first chunk", flip(head), ErrChunk},
		{"the last bit", flip(len(file) - 1), ErrChunk},
		{"another key's", signedBy(t, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))), ErrSignature},
		{"format 2", signed(t, `{"format":2}`), ErrFormat},
		{"no JSON", signed(t, `boo`), ErrFormat},
		{"no parts", signed(t, `{"format":1,"board":"videobox","build":5}`), ErrFormat},
		{"no board", signed(t, `{"format":1,"build":5,"parts":[{"name":"root","size":1,"chunk":1048576,"hashes":[]}]}`), ErrFormat},
		{"a hash missing", signed(t, `{"format":1,"board":"b","build":5,"parts":[{"name":"root","size":1,"chunk":1048576,"hashes":[]}]}`), ErrFormat},
		{"a short hash", signed(t, `{"format":1,"board":"b","build":5,"parts":[{"name":"root","size":1,"chunk":1048576,"hashes":["00"]}]}`), ErrFormat},
		{"size below zero", signed(t, `{"format":1,"board":"b","build":5,"parts":[{"name":"root","size":-1,"chunk":1048576,"hashes":[]}]}`), ErrFormat},
		{"size beyond all", signed(t, `{"format":1,"board":"b","build":5,"parts":[{"name":"root","size":9223372036854775807,"chunk":1048576,"hashes":[]}]}`), ErrFormat},
	} {
		if _, err := Check(bytes.NewReader(tt.file), public()); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, err := ReadHeader(bytes.NewReader(file), nil); err == nil {
		t.Error("a box without a key takes a bundle")
	}
	if _, err := Check(bytes.NewReader(flip(head-3)), nil); err != nil {
		t.Errorf("without a key the signature counts: %v", err)
	}
	if _, err := Check(bytes.NewReader(flip(head)), nil); !errors.Is(err, ErrChunk) {
		t.Errorf("damaged, without a key: %v", err)
	}
}

func signedBy(t *testing.T, key ed25519.PrivateKey) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, testManifest(), key, Payload{Root, strings.NewReader("root"), 4}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// signed is a manifest with a right signature.
func signed(t *testing.T, manifest string) []byte {
	t.Helper()
	head := binary.BigEndian.AppendUint32([]byte(magic), uint32(len(manifest)))
	head = append(head, manifest...)
	return append(head, ed25519.Sign(testKey, head)...)
}

// TestGoesOn cuts a bundle off anywhere and goes on from where Read and Whole
// say.
func TestGoesOn(t *testing.T) {
	file, root := make1(t)
	h, err := ReadHeader(bytes.NewReader(file), public())
	if err != nil {
		t.Fatal(err)
	}
	head := int64(len(h.Raw))
	for _, cut := range []int64{head, head + 1, head + ChunkSize - 1, head + ChunkSize, head + ChunkSize + 999, h.Size() - 1} {
		got := map[string][]byte{Root: make([]byte, len(root)), "boot": make([]byte, 10)}
		put := func(c Chunk) error { copy(got[c.Part][c.At:], c.Data); return nil }
		to, err := h.Read(bytes.NewReader(file[head:cut]), head, put)
		if !errors.Is(err, ErrTruncated) || to > cut {
			t.Fatalf("cut at %d: to %d, %v", cut, to, err)
		}
		whole, err := h.Whole(func(part string) io.ReaderAt { return bytes.NewReader(got[part]) })
		if whole != to || err != nil {
			t.Errorf("cut at %d: %d are there, want %d: %v", cut, whole, to, err)
		}
		if to, err = h.Read(bytes.NewReader(file[to:]), to, put); to != h.Size() || err != nil || !bytes.Equal(got[Root], root) {
			t.Errorf("cut at %d: then to %d, %v", cut, to, err)
		}
	}
	if _, err := h.Read(bytes.NewReader(file), head+5, func(Chunk) error { return nil }); err == nil {
		t.Error("it goes on in the middle of a chunk")
	}
	full := errors.New("full")
	if to, err := h.Read(bytes.NewReader(file[head:]), head, func(Chunk) error { return full }); to != head || !errors.Is(err, full) {
		t.Errorf("a disk that is full: to %d, %v", to, err)
	}
}

func TestWriteRefuses(t *testing.T) {
	m := testManifest()
	if err := Write(io.Discard, m, testKey, Payload{Root, strings.NewReader("abc"), 5}); err == nil {
		t.Error("a payload that is shorter than said")
	}
	if err := Write(io.Discard, m, testKey); !errors.Is(err, ErrFormat) {
		t.Errorf("no payload: %v", err)
	}
	m.Board = ""
	if err := Write(io.Discard, m, testKey, Payload{Root, strings.NewReader("abc"), 3}); !errors.Is(err, ErrFormat) {
		t.Errorf("no board: %v", err)
	}
}

func TestKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "update.key")
	made, err := NewKey(path)
	if err != nil {
		t.Fatal(err)
	}
	private, err := LoadKey(path)
	if err != nil || !made.Equal(private.Public()) {
		t.Errorf("private key: %v", err)
	}
	if public, err := LoadPublicKey(path + ".pub"); err != nil || !made.Equal(public) {
		t.Errorf("public key: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := NewKey(path); err == nil {
		t.Error("a key is overwritten")
	}
	if err := os.WriteFile(path, []byte("bm8K\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(path); err == nil || !strings.Contains(err.Error(), "32 bytes") {
		t.Errorf("a short key: %v", err)
	}
}

func FuzzCheck(f *testing.F) {
	var b bytes.Buffer
	if err := Write(&b, testManifest(), testKey, Payload{Root, strings.NewReader("a small root"), 12}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, file []byte) {
		// Signatures are passed over, else nothing would get behind them.
		r := bytes.NewReader(file)
		h, err := Unverified(r)
		if err != nil {
			return
		}
		to, err := h.Read(r, int64(len(h.Raw)), func(c Chunk) error {
			p, ok := h.Part(c.Part)
			if !ok || c.At < 0 || c.At+int64(len(c.Data)) > p.Size {
				t.Fatalf("chunk of %q at %d, %d bytes", c.Part, c.At, len(c.Data))
			}
			return nil
		})
		if to > int64(len(file)) || err == nil && h.Size() != int64(len(file)) {
			t.Fatalf("to %d, a file of %d, %v", to, len(file), err)
		}
	})
}
