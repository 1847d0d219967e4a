package bundle

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
)

// NewKey makes a key pair: the private key's seed in a new file, which nobody
// else can read, and the public key in a file with .pub behind its name. Both
// are 32 bytes in base64, as the keys of the event file are.
func NewKey(path string) (ed25519.PublicKey, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	if err := writeNew(path, private.Seed(), 0o600); err != nil {
		return nil, err
	}
	return public, writeNew(path+".pub", public, 0o644)
}

// writeNew never overwrites: boxes that have a lost key's public half take no
// update any more.
func writeNew(path string, key []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, base64.StdEncoding.EncodeToString(key))
	return errors.Join(err, f.Close())
}

// LoadKey reads a private key.
func LoadKey(path string) (ed25519.PrivateKey, error) {
	seed, err := load(path, ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// LoadPublicKey reads a public key.
func LoadPublicKey(path string) (ed25519.PublicKey, error) {
	return load(path, ed25519.PublicKeySize)
}

func load(path string, size int) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := parse(text, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// ParsePublicKey reads a public key as it is in a file.
func ParsePublicKey(text []byte) (ed25519.PublicKey, error) {
	return parse(text, ed25519.PublicKeySize)
}

func parse(text []byte, size int) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != size {
		return nil, fmt.Errorf("this is no update key; it must be %d bytes in base64, as images/build key makes them", size)
	}
	return key, nil
}
