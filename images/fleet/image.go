package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/openvideobox/videobox/images/disk"
	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/fat"
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
	boot, err := openBoot(c.Image)
	if err != nil {
		return err
	}
	old, err := boot.read(boxFile)
	if err != nil {
		return err
	}
	if err := boot.write(ctx, boxFile, withLogin(old, s)); err != nil {
		return err
	}
	fmt.Printf("%s: %s has the user %s with a hash%s\n", c.Image, boxFile, s.Box.User, map[bool]string{true: " and the key of views", false: "; the event has no event_key, so boxes believe any view"}[s.EventKey != nil])
	if s.UpdateKey == nil {
		fmt.Printf("%s: no %s: the event has no update_key, so boxes take no signed updates\n", c.Image, keyFile)
		return nil
	}
	if err := boot.write(ctx, keyFile, []byte(base64.StdEncoding.EncodeToString(s.UpdateKey)+"\n")); err != nil {
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

// bootPart is the boot partition of an image or card, to read and write.
type bootPart struct {
	path string
	part disk.Partition
}

// openBoot finds it and makes room on it, which gok leaves none of.
func openBoot(path string) (b bootPart, err error) {
	if err := notMounted("/proc/self/mounts", path); err != nil {
		return b, err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	p, err := disk.Find(f, 1)
	if err != nil {
		return b, fmt.Errorf("%s: %w; make image builds what this takes", path, err)
	}
	part := struct {
		*io.SectionReader
		*io.OffsetWriter
	}{p.Reader(f), io.NewOffsetWriter(f, p.Start)}
	if _, err := fat.ExtendFAT16(part, p.Size); err != nil {
		return b, fmt.Errorf("%s: boot partition: %w", path, err)
	}
	const entries = 4 // two for each of the two names
	if err := fat.WidenRoot(part, entries); err != nil {
		return b, fmt.Errorf("%s: boot partition: %w", path, err)
	}
	return bootPart{path, p}, f.Sync()
}

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

// read gives a file of the root folder, nil if there is none.
func (b bootPart) read(name string) ([]byte, error) {
	f, err := os.Open(b.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := fat.ReadFile(b.part.Reader(f), name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// write puts a file into the root folder and reads it back.
func (b bootPart) write(ctx context.Context, name string, data []byte) error {
	if err := b.copy(ctx, data, name); err != nil {
		return err
	}
	got, err := b.read(name)
	if err == nil && !bytes.Equal(got, data) {
		err = errors.New("what was written isn't what can be read")
	}
	if err != nil {
		return fmt.Errorf("%s of %s: %w", name, b.path, err)
	}
	return nil
}

// copy is mtools' work.
func (b bootPart) copy(ctx context.Context, data []byte, name string) error {
	cmd := exec.CommandContext(ctx, "mcopy", "-o", "-i", fmt.Sprintf("%s@@%d", b.path, b.part.Start), "-", "::"+name)
	cmd.Env = append(os.Environ(), "MTOOLS_SKIP_CHECK=1")
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w; it is in Debian's package mtools", err)
	case err != nil:
		return fmt.Errorf("%s onto the boot partition of %s: mcopy: %w: %s", name, b.path, err, bytes.TrimSpace(out))
	}
	return nil
}
