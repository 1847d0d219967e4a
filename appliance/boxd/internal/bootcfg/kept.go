package bootcfg

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"golang.org/x/crypto/bcrypt"
)

// Combine says what counts: the boot partition's file, of which a copy is kept
// in path, or that copy where the partition has no file, as after an update,
// which overwrites the partition. An empty file there removes the copy. A plain
// password is hashed, and the copy has the hash only.
//
// The error says that the copy couldn't be read or written; what is returned
// with it still counts.
func Combine(onBoot []byte, there bool, path string) (Config, []Fault, error) {
	kept, keptErr := os.ReadFile(path)
	if !there {
		if keptErr != nil && !errors.Is(keptErr, fs.ErrNotExist) {
			return Config{}, nil, keptErr
		}
		c, faults := Parse(kept)
		return c, faults, nil
	}
	if Empty(onBoot) {
		err := os.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return Config{}, nil, err
	}
	c, faults := Parse(onBoot)
	old, _ := Parse(kept)
	if list, _ := lines(onBoot); len(list) == 0 { // not a line could be read
		return old, faults, nil
	}
	if err := c.hash(old.Bcrypt); err != nil {
		faults = append(faults, Fault{1, err.Error()})
	}
	if text := c.Text(); text != string(kept) {
		return c, faults, keep(path, text)
	}
	return c, faults, nil
}

// hash replaces a plain password by its hash: the one that is known already if
// it fits, so that a box without changes writes nothing.
func (c *Config) hash(known string) error {
	if c.Password == "" {
		return nil
	}
	password := []byte(c.Password)
	c.Password = ""
	if known != "" && bcrypt.CompareHashAndPassword([]byte(known), password) == nil {
		c.Bcrypt = known
		return nil
	}
	hash, err := bcrypt.GenerateFromPassword(password, bcrypt.DefaultCost)
	if err != nil {
		c.User = ""
		return fmt.Errorf("password: %w", err)
	}
	c.Bcrypt = string(hash)
	return nil
}

// keep writes the copy so that a power cut leaves the old one or the new one.
func keep(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return renameio.WriteFile(path, []byte(text), 0o600)
}

// Text is the configuration as a file again.
func (c Config) Text() string {
	var b strings.Builder
	put := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: '%s'\n", key, strings.ReplaceAll(value, "'", "''"))
		}
	}
	b.WriteString("# What counted of the boot partition's file.\n")
	put("name", c.Name)
	if c.Width != 0 {
		put("size", fmt.Sprintf("%dx%d", c.Width, c.Height))
	}
	if c.Rate != 0 {
		put("rate", fmt.Sprint(c.Rate))
	}
	if c.Bitrate != 0 {
		put("bitrate", fmt.Sprint(c.Bitrate))
	}
	if c.Address.IsValid() {
		put("address", c.Address.String())
	}
	if c.Gateway.IsValid() {
		put("gateway", c.Gateway.String())
	}
	if len(c.DNS) > 0 {
		b.WriteString("dns:\n")
		for _, a := range c.DNS {
			fmt.Fprintf(&b, "- '%s'\n", a)
		}
	}
	put("log", c.Log)
	put("control", c.Control)
	put("event_key", base64.StdEncoding.EncodeToString(c.EventKey))
	put("user", c.User)
	put("bcrypt", c.Bcrypt)
	return b.String()
}
