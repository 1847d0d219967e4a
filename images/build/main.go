// Command build makes a flashable image of an instance (a folder beside this
// one) with gokrazy's own tools, and writes it to cards:
//
//	go run ./images/build image           # bin/videobox.img
//	go run ./images/build flash /dev/sdX  # shows what is lost, asks, writes
//	go run ./images/build update http://admin@box1.local/  # gok update
//	go run ./images/build key FILE        # makes FILE and FILE.pub
//	go run ./images/build bundle --key FILE  # bin/videobox.vbox, of bin/videobox.img
//
// gok builds boot partition and root; what it leaves out is added here: a file
// system on the data partition (/perm). Nothing is mounted, so no root is needed
// but for writing to a card.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/alecthomas/kong"

	"github.com/openvideobox/videobox/images/disk"
	"github.com/openvideobox/videobox/internal/run"
)

// imageBytes is an image's size: it fits every card sold as 4 GB, and its /perm
// holds an hour's recording. The file is sparse.
const imageBytes = 3_598_712_832

type cli struct {
	Instance string    `default:"videobox" help:"Folder in images/ that says what the image holds."`
	Image    imageCmd  `cmd:"" help:"Build bin/INSTANCE.img."`
	Flash    flashCmd  `cmd:"" help:"Build and write to a card."`
	Update   updateCmd `cmd:"" help:"Build and write onto a box over the network, by gok update."`
	Bundle   bundleCmd `cmd:"" help:"Make a signed update of an image."`
	Key      keyCmd    `cmd:"" help:"Make a pair of update keys."`
}

func main() {
	var c cli
	k := kong.Parse(&c, kong.Name("build"), kong.Description("Builds images of gokrazy instances. Run it in the repository's root."))
	run.Main(func(ctx context.Context) error {
		k.BindTo(ctx, (*context.Context)(nil))
		return k.Run(instance(filepath.Join("images", c.Instance)))
	})
}

// instance is the folder of a gokrazy instance, two levels below the
// repository's root. Its name is the folder's.
type instance string

func (i instance) folder() string { return string(i) }
func (i instance) name() string   { return filepath.Base(string(i)) }

type imageCmd struct {
	Out  string   `placeholder:"FILE" help:"Where to write instead."`
	With []string `placeholder:"FOLDER" help:"A program of this repository that the image also gets, or, if it is called init, gets instead of its own: for tests, which need a way into the box."`

	Version string `placeholder:"TEXT" help:"What the image calls itself. Default: time and commit."`
}

// Run builds the image whole or not at all.
func (c imageCmd) Run(ctx context.Context, i instance) error {
	if c.Out == "" {
		c.Out = filepath.Join("bin", i.name()+".img")
	}
	held, err := lock(ctx, os.Stdout)
	if err != nil {
		return err
	}
	defer held.Close()
	began := time.Now()
	v, err := i.version(c.Version, began)
	if err != nil {
		return err
	}
	if i, err = i.with(v, c.With); err != nil {
		return err
	}
	defer os.RemoveAll(i.folder())
	if err := os.MkdirAll(filepath.Dir(c.Out), 0o755); err != nil {
		return err
	}
	part := c.Out + ".part"
	defer os.Remove(part)
	if err := overwrite(ctx, i, part, imageBytes); err != nil {
		return err
	}
	if err := openBoot(ctx, part, v); err != nil {
		return err
	}
	if err := formatPerm(ctx, part); err != nil {
		return err
	}
	if err := os.Rename(part, c.Out); err != nil {
		return err
	}
	text, err := describe(c.Out)
	if err != nil {
		return err
	}
	fmt.Printf("image: %s in %.0f s: %s\n", c.Out, time.Since(began).Seconds(), text)
	fmt.Printf(howToFlash, c.Out)
	return nil
}

const howToFlash = `image: write it to a card (it erases the card):
    make flash DEV=/dev/sdX        # shows what is on it and asks; /perm gets the whole card
or, with /perm as small as the image:
    dd if=%s of=/dev/sdX bs=4M conv=fsync status=progress
`

// describe says how large the parts of an image are.
func describe(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	root, err := disk.Find(f, 2)
	if err != nil {
		return "", err
	}
	perm, err := disk.Find(f, 4)
	if err != nil {
		return "", err
	}
	used, err := disk.SquashFSSize(root.Reader(f))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("root %.1f of %d MB used, /perm %d MB", float64(used)/1e6, root.Size/1e6, perm.Size/1e6), nil
}
