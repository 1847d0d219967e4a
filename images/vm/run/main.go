// Command run boots the box's image in a virtual machine with an HDMI stick on
// its USB bus, until Ctrl-C: make vm. make run VM=1 starts two of it.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/alecthomas/kong"

	"github.com/openvideobox/videobox/images/vm"
	"github.com/openvideobox/videobox/images/vm/dongle"
	"github.com/openvideobox/videobox/internal/run"
)

type cli struct {
	Image   string      `default:"bin/videobox.img" help:"The image; it is not written."`
	PC      bool        `name:"pc" help:"Boot the image of PC boxes instead, with UEFI and a screen, bin/videobox-pc.img if --image isn't given."`
	Dir     string      `default:"run/vm" help:"Where the machine's disk (an overlay) and its serial log lie."`
	Keep    bool        `help:"Go on with the disk of the last run, recordings and all."`
	Source  string      `default:"pattern" help:"What is on the HDMI cable: pattern, deck (slides), or a media file."`
	Name    string      `default:"virtual machine" help:"Shown in the pattern."`
	MAC     string      `name:"mac" help:"The box's hardware address; QEMU's own if not given."`
	Offset  int         `default:"30000" help:"The box's port 80 is this host's 80 + offset, and so on."`
	CPUs    int         `name:"cpus" default:"2" help:"Processors of the machine. Without KVM one is cheaper for the host than two."`
	Port    map[int]int `placeholder:"BOX=HOST" help:"Forward these ports instead, such as 80=8101."`
	Control string      `default:"127.0.0.1:15556" help:"Where the stick takes commands."`
}

func main() {
	var c cli
	kong.Parse(&c, kong.Name("run"), kong.Description("Boots the box's image in QEMU with an HDMI stick in software."))
	run.Main(c.run)
}

func (c cli) run(ctx context.Context) error {
	needs := vm.Needs
	if c.PC {
		needs = vm.NeedsPC
		if c.Image == "bin/videobox.img" {
			c.Image = "bin/videobox-pc.img"
		}
	}
	if err := needs(); err != nil {
		return err
	}
	source, err := c.source(ctx)
	if err != nil {
		return err
	}
	stick := dongle.New(&dongle.MS2131, source, nil)
	usb, err := run.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	control, err := run.Listen(ctx, c.Control)
	if err != nil {
		return errors.Join(err, usb.Close())
	}
	g := run.NewGroup(ctx)
	g.Go("stick", func(ctx context.Context) error { return stick.Serve(ctx, usb) })
	g.Go("stick's commands", func(ctx context.Context) error { return stick.ServeControl(ctx, control) })
	g.Go("", func(ctx context.Context) error { return c.machine(ctx, usb.Addr()) })
	return g.Wait()
}

// source is what the stick sees. It ends with the context.
func (c cli) source(ctx context.Context) (dongle.Source, error) {
	switch c.Source {
	case "pattern":
		return &dongle.Pattern{Name: c.Name}, nil
	case "deck":
		return new(dongle.Slides), nil
	}
	return dongle.NewFile(ctx, c.Source, nil)
}

// ports are the box's, with this host's.
func (c cli) ports() map[int]int {
	if len(c.Port) > 0 {
		return c.Port
	}
	ports := map[int]int{}
	for _, port := range []int{80, 8899, 8898} {
		ports[port] = port + c.Offset
	}
	return ports
}

// config is the machine, and how its page is logged in to.
func (c cli) config(usb net.Addr) (cfg vm.Config, login string, err error) {
	cfg = vm.Config{CPUs: c.CPUs, PC: c.PC, Display: c.PC, Image: c.Image, Dir: c.Dir, MAC: c.MAC, Stick: usb.String(), Ports: c.ports()}
	if c.PC {
		cfg.VNC = 5900 + c.Offset
	}
	if c.Keep {
		return cfg, "the last run's password", nil
	}
	password := rand.Text()[:10]
	cfg.Perm, err = vm.BoxPerm(password)
	return cfg, "password " + password, err
}

func (c cli) machine(ctx context.Context, usb net.Addr) error {
	cfg, login, err := c.config(usb)
	if err != nil {
		return err
	}
	m, err := vm.Start(ctx, cfg)
	if err != nil {
		return err
	}
	defer m.Stop()
	fmt.Printf(`vm: booting; without KVM the stream takes up to a minute
    page       http://%s/   user %s, %s
    stream     tcp://%s    (ffplay, mpv; from half the ring back: %s)
    stick      nc %s    commands: %s
    console    %s
`, m.Addr(80), vm.User, login, m.Addr(8899), m.Addr(8898), hostPort(c.Control), dongle.Commands, filepath.Join(c.Dir, "serial.log"))
	if cfg.VNC != 0 {
		fmt.Printf("    screen     vncviewer 127.0.0.1::%d\n", cfg.VNC)
	}
	d, err := vm.FirstByte(ctx, m, 8899)
	if err != nil {
		return fmt.Errorf("%w; the console's end:\n%s", err, m.Console.Last(10))
	}
	fmt.Printf("vm: the stream is there, %.1f s after the machine's start; Ctrl-C takes its power away\n", d.Round(100*time.Millisecond).Seconds())
	select {
	case <-m.Done():
		return errors.New("the machine was switched off from within; see " + filepath.Join(c.Dir, "serial.log"))
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hostPort writes an address as nc wants it.
func hostPort(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return host + " " + port
}
