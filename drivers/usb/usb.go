// Package usb finds the USB device that a node of /dev belongs to, by sysfs,
// and puts a device that hangs back on its feet: by a reset, or by taking its
// authorization away and giving it back, which comes close to unplugging it.
//
// Sysfs is described in Documentation/ABI/testing/sysfs-bus-usb and
// Documentation/usb/authorization.rst of Linux, the reset in
// include/uapi/linux/usbdevice_fs.h. Tested on a made-up sysfs here, and with
// the emulated stick in the virtual machine: a reset takes 400 ms there, and a
// program that reads the device meanwhile sees it unplugged.
package usb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrNotUSB is what Of returns for a node that is there and on no USB device.
var ErrNotUSB = errors.New("not part of a USB device")

// Device is a device on the USB bus, as it was when it was looked up.
type Device struct {
	Path            string // its directory in sysfs; stays when it is plugged into the same socket again
	Bus, Number     int    // of /dev/bus/usb/BBB/NNN; Number changes with each reset and plugging
	Vendor, Product uint16
	Speed           int    // Mbit/s: 480 is USB 2, 5000 and more USB 3; 0: unknown
	Serial, Name    string // as the device says; may be empty

	root Root
}

// ID is vendor and product as lsusb writes them: 534d:2109.
func (d Device) ID() string { return fmt.Sprintf("%04x:%04x", d.Vendor, d.Product) }

func (d Device) String() string { return strings.TrimSpace(d.ID() + " " + d.Name) }

// Root says where the kernel's file systems are.
type Root struct {
	Sys, Dev string
	// Reset resets the device behind a node of /dev/bus/usb, Alive asks it for its
	// status, ResetPort one on a port of a hub behind a node, Authorize the one of
	// a directory in sysfs; nil: the kernel does.
	Reset     func(node string) error
	Alive     func(node string) error
	ResetPort func(hub string, port uint16) error
	Authorize func(dir string, on bool) error
}

// System is this machine.
var System = Root{Sys: "/sys", Dev: "/dev"}

// Of finds the device of a node such as /dev/video0, /dev/snd/pcmC1D0c or
// /dev/hidraw0. The error is fs.ErrNotExist when there is no such node,
// ErrNotUSB when it belongs to something else.
func Of(node string) (Device, error) { return System.Of(node) }

// List gives all devices, hubs left out, in the order of their paths.
func List() ([]Device, error) { return System.List() }

// classes are where sysfs lists the kinds of nodes that a capture stick has.
var classes = []string{"video4linux", "sound", "hidraw"}

// Of is the package's Of under that root.
func (r Root) Of(node string) (Device, error) {
	for _, class := range classes {
		dir, err := filepath.EvalSymlinks(filepath.Join(r.Sys, "class", class, filepath.Base(node), "device"))
		if err == nil {
			return r.above(node, dir)
		}
	}
	return Device{}, fmt.Errorf("%s: %w in %s/class", node, fs.ErrNotExist, r.Sys)
}

// above goes up from a function of a device to the device: the first directory
// with the files that all USB devices have and their interfaces have not.
func (r Root) above(node, dir string) (Device, error) {
	for ; len(dir) > len(r.Sys) && dir != "/"; dir = filepath.Dir(dir) {
		if d, err := r.read(dir); err == nil {
			return d, nil
		}
	}
	return Device{}, fmt.Errorf("%s: %w", node, ErrNotUSB)
}

// List is the package's List under that root.
func (r Root) List() ([]Device, error) {
	links, err := filepath.Glob(filepath.Join(r.Sys, "bus/usb/devices/*"))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(r.Sys, "bus/usb")); err != nil {
		return nil, fmt.Errorf("no USB in this kernel: %w", err)
	}
	var all []Device
	for _, link := range links {
		dir, err := filepath.EvalSymlinks(link)
		if err != nil || attribute(dir, "bDeviceClass") == "09" {
			continue // gone meanwhile, or a hub
		}
		if d, err := r.read(dir); err == nil {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b Device) int { return strings.Compare(a.Path, b.Path) })
	return all, nil
}

func (r Root) read(dir string) (Device, error) {
	d, err := parse(func(name string) string { return attribute(dir, name) })
	d.Path, d.root = dir, r
	if err != nil {
		return d, fmt.Errorf("%s: %w", dir, err)
	}
	return d, nil
}

// parse makes a device of its attributes.
func parse(attribute func(name string) string) (Device, error) {
	d := Device{Serial: line(attribute("serial")), Name: line(attribute("product"))}
	vendor, err1 := strconv.ParseUint(attribute("idVendor"), 16, 16)
	product, err2 := strconv.ParseUint(attribute("idProduct"), 16, 16)
	bus, err3 := strconv.Atoi(attribute("busnum"))
	number, err4 := strconv.Atoi(attribute("devnum"))
	if speed, err := strconv.ParseFloat(attribute("speed"), 64); err == nil && speed > 0 && speed < maxSpeed { // 1.5 is the slowest
		d.Speed = int(speed)
	}
	d.Vendor, d.Product, d.Bus, d.Number = uint16(vendor), uint16(product), bus, number
	err := errors.Join(err1, err2, err3, err4)
	if err == nil && (bus < 1 || number < 1 || number > maxNumber) {
		err = fmt.Errorf("number %d on bus %d; there are 1 to %d", number, bus, maxNumber)
	}
	return d, err
}

const (
	maxSpeed  = 1e6 // Mbit/s
	maxNumber = 127 // USB 2.0, 9.4.6
	maxText   = 126 // characters in a string descriptor (USB 2.0, 9.6.7)
)

// line is what a device says of itself as one line of text for logs and pages:
// a string descriptor may hold anything.
func line(s string) string {
	clean := strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	if runes := []rune(clean); len(runes) > maxText {
		clean = string(runes[:maxText])
	}
	return clean
}

// attribute is a file of sysfs without the line's end; empty if there is none.
func attribute(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// Video lists the device's video nodes, the first interface's first: /dev/video0.
func (d Device) Video() []string { return d.nodes("video4linux/video*", "") }

// Sound lists its sound devices for capture: /dev/snd/pcmC0D0c.
func (d Device) Sound() []string { return d.nodes("sound/card*/pcmC*D*c", "snd") }

// HID lists its raw HID devices: /dev/hidraw0.
func (d Device) HID() []string { return d.nodes("*/hidraw/hidraw*", "") }

// nodes are the names in /dev, or a folder of it, that match below the device's
// interfaces: 1-1:1.0 of the device 1-1.
func (d Device) nodes(pattern, folder string) []string {
	found, _ := filepath.Glob(filepath.Join(d.Path, "*:*", pattern))
	for i, f := range found {
		found[i] = filepath.Join(d.root.Dev, folder, filepath.Base(f))
	}
	return found
}
