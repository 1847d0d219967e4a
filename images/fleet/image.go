package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/openvideobox/videobox/images/disk"
	"github.com/openvideobox/videobox/internal/event"
)

type imageCmd struct {
	Config string `required:"" placeholder:"FILE" help:"The event file."`
	Image  string `arg:"" placeholder:"IMG|/dev/sdX" help:"A card that make flash wrote, or an image that make image built."`
}

// Help says what is written where.
func (imageCmd) Help() string {
	return `Two files of the boot partition are written, and nothing is mounted:
  videobox.yaml  user and bcrypt (never the password), event_key; lines with other keys stay
  videobox.key   the public key of updates, update_key of the secrets file

make flash builds afresh onto a card, which has neither: name the card afterwards, as root. Or name bin/videobox.img, and write that onto all cards with dd, before make image or make bundle makes it anew. Boxes keep what they read there, also when an update overwrites the partition.

Examples:
  fleet image --config event.yaml /dev/sdX
  fleet image --config event.yaml bin/videobox.img`
}

// Files of the boot partition that boxd reads.
const (
	boxFile = "videobox.yaml"
	keyFile = "videobox.key"
	// newEntries of the root folder are two for each of the two names.
	newEntries = 4
)

// Run writes and reads back.
func (c imageCmd) Run(ctx context.Context) error {
	e, err := event.Load(c.Config)
	if err != nil {
		return err
	}
	s := e.Secrets
	if s.Box.User == "" || s.Box.Bcrypt == "" {
		return fmt.Errorf("%s: boxes need credentials; put box: {user: admin, bcrypt: …} into its secrets file (htpasswd -nB admin makes the hash)", c.Config)
	}
	if err := notMounted("/proc/self/mounts", c.Image); err != nil {
		return err
	}
	boot, err := disk.OpenBoot(c.Image, newEntries)
	if errors.Is(err, disk.ErrNoGPT) {
		return fmt.Errorf("%w; make image builds what this takes", err)
	}
	if err != nil {
		return err
	}
	old, err := boot.Read(boxFile)
	if err != nil {
		return err
	}
	if err := boot.Write(ctx, boxFile, withLogin(old, s)); err != nil {
		return err
	}
	fmt.Printf("%s: %s has the user %s with a hash%s\n", c.Image, boxFile, s.Box.User, map[bool]string{true: " and the key of views", false: "; the event has no event_key, so boxes believe any view"}[s.EventKey != nil])
	if s.UpdateKey == nil {
		fmt.Printf("%s: no %s: the event has no update_key, so boxes take no signed updates\n", c.Image, keyFile)
		return nil
	}
	if err := boot.Write(ctx, keyFile, []byte(base64.StdEncoding.EncodeToString(s.UpdateKey)+"\n")); err != nil {
		return err
	}
	fmt.Printf("%s: %s is the public key of updates\n", c.Image, keyFile)
	return nil
}

// withLogin is a videobox.yaml with the event's credentials in place of those
// that it had. Every other line stays.
func withLogin(old []byte, s event.Secrets) []byte {
	var out bytes.Buffer
	for line := range strings.Lines(string(old)) {
		key, _, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "user", "bcrypt", "password", "event_key":
			continue
		}
		out.WriteString(strings.TrimRight(line, "\r\n") + "\r\n")
	}
	fmt.Fprintf(&out, "user: %s\r\nbcrypt: %s\r\n", quoted(s.Box.User), quoted(s.Box.Bcrypt))
	if s.EventKey != nil {
		public := s.EventKey.Public().(ed25519.PublicKey)
		fmt.Fprintf(&out, "event_key: %s\r\n", quoted(base64.StdEncoding.EncodeToString(public)))
	}
	return out.Bytes()
}

// quoted is a single-quoted scalar, YAML 1.2, 7.3.2.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// notMounted refuses a card that this host has mounted: it would not see what
// is written behind its back, and write over it. The card may be named by a
// link, such as those in /dev/disk/by-id.
func notMounted(mounts, path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if to, err := filepath.EvalSymlinks(abs); err == nil { // what isn't there can't be opened either
		abs = to
	}
	if !strings.HasPrefix(abs, "/dev/") {
		return nil
	}
	data, err := os.ReadFile(mounts)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[0], abs) {
			return fmt.Errorf("%s is in use: %s is mounted at %s; unmount it first", path, f[0], f[1])
		}
	}
	return nil
}
