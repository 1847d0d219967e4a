package update

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/openvideobox/videobox/appliance/internal/slot"
	"github.com/openvideobox/videobox/internal/bundle"
)

const (
	// KeyFile is the public key, in Options.Dir and Options.Etc.
	KeyFile = "update.key"
	// bootKey is the same on the boot partition, put there by images/fleet or by
	// a person with the card in a laptop.
	bootKey = "videobox.key"
)

// key is the event's public key: one given to the box, else the image's.
func (u *Updater) key() (ed25519.PublicKey, error) {
	for _, dir := range []string{u.o.Dir, u.o.Etc} {
		key, err := bundle.LoadPublicKey(filepath.Join(dir, KeyFile))
		if !errors.Is(err, fs.ErrNotExist) {
			return key, err
		}
	}
	return nil, ErrNoKey
}

// copyKey keeps the boot partition's key: `gok update` overwrites that
// partition. One that is no key is said and left.
func (u *Updater) copyKey(c slot.Card) error {
	text, err := c.ReadBoot(bootKey)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(u.path(KeyFile)); err == nil && bytes.Equal(old, text) {
		return nil
	}
	if _, err := bundle.ParsePublicKey(text); err != nil {
		return err
	}
	return u.writeFile(KeyFile, text)
}
