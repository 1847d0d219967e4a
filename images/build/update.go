package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// updateCmd is `gok update` of one box: root, boot partition and kernel, as they
// are built here, unsigned and without a trial. Many boxes are images/fleet's.
type updateCmd struct {
	URL      string   `arg:"" placeholder:"http://USER@BOX/" help:"The box, with the event's user, and its password unless VIDEOBOX_PASSWORD has it."`
	Password string   `env:"VIDEOBOX_PASSWORD" hidden:""`
	With     []string `placeholder:"FOLDER" help:"A program of this repository that the box also gets: for tests."`
}

// Help says when to use it.
func (updateCmd) Help() string {
	return `Builds the instance and writes it onto one box over the network by gokrazy's own gok update, behind the event's credentials: also the kernel and the boot partition, which a signed bundle (make bundle, images/fleet update) leaves alone. There is no trial: a bad kernel wants a card reader. What a person put onto the boot partition is gone afterwards; the box keeps its copy.`
}

// Run builds, sends, and waits until the box runs what was built.
func (c updateCmd) Run(ctx context.Context, i instance) error {
	to, password, err := c.target()
	if err != nil {
		return err
	}
	held, err := lock(ctx, os.Stdout)
	if err != nil {
		return err
	}
	defer held.Close()
	v, err := i.version("", time.Now())
	if err != nil {
		return err
	}
	i, err = i.changed("update", v, func(all map[string]any) error {
		all["InternalCompatibilityFlags"] = map[string]any{"Update": to}
		return addPrograms(all, c.With)
	})
	if err != nil {
		return err
	}
	defer os.RemoveAll(i.folder())
	cmd := exec.CommandContext(ctx, "go", "tool", "gok", "--parent_dir", filepath.Join("..", ".."), "-i", i.name(), "update")
	cmd.Dir = filepath.Join(i.folder(), "builddir")
	if err := runGok(cmd, password); err != nil {
		return err
	}
	fmt.Println("update: the box runs what was built")
	return nil
}

// target is the URL with user and password.
func (c updateCmd) target() (target, password string, err error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.User == nil || u.User.Username() == "" {
		return "", "", fmt.Errorf("%s is no box with a user; write http://admin@box1.local/", redactURL(c.URL))
	}
	password, ok := u.User.Password()
	if !ok {
		password = c.Password
	}
	if password == "" {
		return "", "", fmt.Errorf("no password for %s; set VIDEOBOX_PASSWORD", u.Redacted())
	}
	u.User, u.Path = url.UserPassword(u.User.Username(), password), "/"
	return u.String(), password, nil
}

func redactURL(s string) string {
	if u, err := url.Parse(s); err == nil {
		return u.Redacted()
	}
	return "the address given"
}

// redacting keeps a password out of a log, a line at a time.
type redacting struct {
	to     io.Writer
	secret []string // as it may be written
	rest   []byte   // of the line that has no end yet
}

func redact(to io.Writer, password string) *redacting {
	r := &redacting{to: to}
	if password != "" {
		_, encoded, _ := bytes.Cut([]byte(url.UserPassword("u", password).String()), []byte(":"))
		r.secret = []string{":" + password + "@", ":" + string(encoded) + "@"}
	}
	return r
}

func (r *redacting) Write(b []byte) (int, error) {
	r.rest = append(r.rest, b...)
	end := bytes.LastIndexAny(r.rest, "\r\n") + 1
	if len(r.rest) > 64<<10 {
		end = len(r.rest)
	}
	if end == 0 {
		return len(b), nil
	}
	lines := r.rest[:end]
	for _, s := range r.secret {
		lines = bytes.ReplaceAll(lines, []byte(s), []byte(":…@"))
	}
	_, err := r.to.Write(lines)
	r.rest = append([]byte(nil), r.rest[end:]...)
	return len(b), err
}
