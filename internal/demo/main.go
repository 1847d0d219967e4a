// Command demo is the program behind `make run` and `make deps`: it fetches
// what the project needs, and runs the whole chain on one machine, every part
// as the real program in a process of its own, with one event file.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/internal/run"
)

type flags struct {
	Run  runCmd  `cmd:"" help:"Run the whole chain on this machine."`
	Deps depsCmd `cmd:"" help:"Install what building and running need."`
}

type runCmd struct {
	Camera     string        `placeholder:"SOURCE" help:"What box1 sends: pattern, deck, a media file, v4l2:auto or v4l2:/dev/videoN. Default: the film, or the pattern without it."`
	Slides     string        `placeholder:"SOURCE" help:"What box2 sends, likewise. Default: deck, the project's own slides."`
	PortOffset int           `help:"Added to every TCP and UDP port, so that two runs don't meet."`
	VM         bool          `name:"vm" help:"The boxes are virtual machines with the box's image, bin/videobox.img, and an HDMI stick each."`
	Dir        string        `default:"run" help:"Where the event file, logs and recordings go. With a port offset the default is run/offset-N."`
	Every      time.Duration `default:"10s" help:"How often the table is printed where the output is not a terminal."`
	WithParent bool          `help:"End when the process that started this one ends (make run sets it)."`
}

func main() {
	var f flags
	k := kong.Parse(&f, kong.Name("demo"), kong.UsageOnError(),
		kong.Description("The whole system on one machine: two boxes, a mixer, two origins, a cache, a dumper."))
	run.Main(func(ctx context.Context) error {
		k.BindTo(ctx, (*context.Context)(nil))
		return k.Run()
	})
}

// Run starts everything and stays until the context ends.
func (c runCmd) Run(ctx context.Context) error {
	if c.WithParent {
		endWithParent()
	}
	l, why, err := c.layout()
	if err != nil {
		return err
	}
	config, text, err := writeEvent(l.dir, c.PortOffset, c.VM)
	if err != nil {
		return err
	}
	l.config = config
	fmt.Printf("%s:\n%s\n", config, indent(text))
	if why != "" {
		fmt.Println("note:", why)
	}
	fmt.Println("starting", len(l.parts()), "programs; their logs are in", filepath.Join(l.dir, "log"))
	fmt.Println("open:\n" + indent(strings.Join(l.open(), "\n")+"\n"))
	err = newSupervisor(l).run(ctx, newScreen(os.Stdout, c.Every, l.open()))
	fmt.Println("\nended; recordings are in", l.dir)
	return err
}

// layout resolves the flags. Files that don't exist are found here, before
// anything starts.
func (c runCmd) layout() (layout, string, error) {
	if c.PortOffset < 0 || c.PortOffset > 65535-29000 {
		return layout{}, "", fmt.Errorf("port offset %d: must be from 0 to %d, so that the highest port, 29000, still fits", c.PortOffset, 65535-29000)
	}
	dir := c.Dir
	if dir == "run" && c.PortOffset != 0 {
		dir = filepath.Join(dir, fmt.Sprintf("offset-%d", c.PortOffset))
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return layout{}, "", err
	}
	exe, err := os.Executable()
	if err != nil {
		return layout{}, "", err
	}
	cam, why := camera(c.Camera)
	l := layout{bin: filepath.Dir(exe), dir: dir, camera: cam, slides: c.Slides, offset: c.PortOffset, machines: c.VM}
	if l.slides == "" {
		l.slides = "deck"
	}
	if err := l.check(); err != nil {
		return l, "", err
	}
	return l, why, nil
}

// check finds what is missing before anything starts.
func (l layout) check() error {
	if err := checkSource("camera", l.camera); err != nil {
		return err
	}
	if err := checkSource("slides", l.slides); err != nil {
		return err
	}
	if !l.machines {
		return nil
	}
	for _, path := range []string{filepath.Join(l.bin, "vm"), l.image()} {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("virtual machines: %w; make run VM=1 builds it", err)
		}
	}
	for _, s := range []string{l.camera, l.slides} {
		if strings.HasPrefix(s, "v4l2:") {
			return fmt.Errorf("%s: a virtual machine's stick shows pattern, deck or a media file", s)
		}
	}
	return nil
}

// checkSource finds a missing file early; capture itself checks the rest.
func checkSource(what, source string) error {
	if source == "pattern" || source == "deck" {
		return nil
	}
	path, device := strings.CutPrefix(source, "v4l2:")
	if device {
		path, _, _ = strings.Cut(path, ",") // what follows names its sound
		if path == "auto" {
			return nil
		}
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("%s: %w; give pattern, deck, a media file that exists, v4l2:auto or v4l2:/dev/videoN (bin/capture --list shows them)", what, err)
	}
	return nil
}

func indent(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n    ")
}

// endWithParent has the kernel send SIGTERM when make is gone, so that nothing
// is left running even if make was killed.
func endWithParent() {
	_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGTERM), 0, 0, 0)
}
