package vm

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Network is a further network card.
type Network struct {
	MAC string // "": QEMU's
	// Backend is what follows -netdev but the id, such as "user,net=10.0.9.0/24"
	// or "socket,mcast=239.1.1.1:9000,localaddr=127.0.0.1".
	Backend string
}

// Disk is a further disk, which is written to.
type Disk struct {
	ID     string // letters and digits; "disk", "net" and "stick" are taken
	Path   string
	Format string // "": raw
	USB    bool   // a USB stick; else virtio
	NVMe   bool   // an SSD
	Card   bool   // in a card slot, the nearest there is to an e.MMC
}

// args is QEMU's command line. Network cards have no boot ROM, which Debian
// packs separately. A restart is an end (-no-reboot): see life.
func (c Config) args(cmdline string, forward map[int]int) []string {
	forwards := ""
	for guest, host := range forward {
		forwards += fmt.Sprintf(",hostfwd=tcp:127.0.0.1:%d-:%d", host, guest)
	}
	args := append(c.bootArgs(cmdline), "-accel", "tcg,thread=multi",
		"-nodefaults", "-display", "none", "-no-reboot",
		"-chardev", "stdio,id=serial,signal=off", "-serial", "chardev:serial",
		"-device", "virtio-rng-pci",
		"-device", "qemu-xhci,id=xhci",
		"-chardev", "socket,id=qmp,fd=3", "-mon", "chardev=qmp,mode=control",
	)
	args = append(args, c.cardArgs()...)
	if c.Stick != "" {
		host, port, _ := net.SplitHostPort(c.Stick)
		args = append(args, "-chardev", "socket,id=stick,host="+host+",port="+port+",reconnect=1,nodelay=on",
			"-device", "usb-redir,chardev=stick,bus=xhci.0,id=stick0,port=1")
	}
	for _, d := range c.Disks { // after the stick, whose port a USB disk would take
		args = append(args, d.args()...)
	}
	args = append(args, Network{c.MAC, "user" + forwards}.args("net")...)
	for i, n := range c.Networks {
		args = append(args, n.args(fmt.Sprint("net", i+1))...)
	}
	if c.Watchdog {
		args = append(args, "-device", "i6300esb", "-action", "watchdog=reset")
	}
	args = append(args, c.screenArgs()...)
	if !c.RTC.IsZero() {
		args = append(args, "-rtc", "base="+c.RTC.UTC().Format("2006-01-02T15:04:05"))
	}
	return args
}

func (n Network) args(id string) []string {
	device := "virtio-net-pci,romfile=,netdev=" + id
	if n.MAC != "" {
		device += ",mac=" + n.MAC
	}
	backend, options, _ := strings.Cut(n.Backend, ",")
	netdev := backend + ",id=" + id
	if options != "" {
		netdev += "," + options
	}
	return []string{"-netdev", netdev, "-device", device}
}

// cardArgs is the card that the image is on, with its writes logged if wanted.
// The guest's flushes end here and aren't waited for: this host's power stays
// on, and a guest must not be slow because others write to the host's disk.
func (c Config) cardArgs() []string {
	args := []string{"-blockdev", "driver=qcow2,node-name=disk,cache.no-flush=on,file.driver=file,file.cache.no-flush=on,file.filename=" + option(filepath.Join(c.Dir, overlay))}
	node := "disk"
	if c.Log != "" {
		node = "logged"
		args = append(args, "-blockdev", "driver=blklogwrites,node-name=logged,file=disk,log.driver=file,log.cache.no-flush=on,log.filename="+option(c.Log))
	}
	return append(args, "-device", "virtio-blk-pci,drive="+node)
}

func (d Disk) args() []string {
	format, device := d.Format, "virtio-blk-pci"
	if format == "" {
		format = "raw"
	}
	var more []string
	switch {
	case d.USB:
		device = "usb-storage,bus=xhci.0"
	case d.NVMe:
		device = "nvme,serial=" + d.ID
	case d.Card:
		device = "sd-card"
		more = []string{"-device", "sdhci-pci"}
	}
	return append(more,
		"-blockdev", fmt.Sprintf("driver=%s,node-name=%s,file.driver=file,file.filename=%s", format, d.ID, option(d.Path)),
		"-device", fmt.Sprintf("%s,drive=%s,id=%s-device", device, d.ID, d.ID),
	)
}

// option is a path as a value among QEMU's options: a comma would end it.
func option(path string) string { return strings.ReplaceAll(path, ",", ",,") }

// newLog makes the log of writes that blklogwrites wants to find. At a restart
// the log of the last run is kept beside it.
func (c Config) newLog() error {
	if c.Log == "" {
		return nil
	}
	if info, err := os.Stat(c.Log); err == nil && info.Size() > 0 {
		if err := os.Rename(c.Log, c.Log+"."+time.Now().UTC().Format("150405.000")); err != nil {
			return err
		}
	}
	f, err := os.Create(c.Log)
	if err != nil {
		return err
	}
	return errors.Join(err, f.Close())
}
