package drivertest

import (
	"fmt"
	"os"
	"path/filepath"
)

// Sysfs is a made-up sysfs. Its methods panic where the file system fails them.
type Sysfs struct {
	Sys string // the folder that stands for /sys
}

// NewSysfs makes one in a folder, with a USB bus and nothing on it.
func NewSysfs(folder string) *Sysfs {
	s := &Sysfs{Sys: filepath.Join(folder, "sys")}
	s.folder("bus/usb/devices")
	s.folder("devices/pci0000:00/usb1")
	for _, class := range []string{"video4linux", "sound", "hidraw"} {
		s.folder("class/" + class)
	}
	return s
}

// USB is a device for Plug.
type USB struct {
	Port            string // 1-1, or 1-1.4 behind a hub
	Vendor, Product uint16
	Name, Serial    string
	Number          int    // of the device on its bus; changes with each plugging
	Speed           int    // Mbit/s
	Class           string // bDeviceClass; empty: ef, several interfaces

	Video []string // video0, video1
	Card  string   // card0
	HID   string   // hidraw0
}

// Plug puts a device onto the bus and gives its folder.
func (s *Sysfs) Plug(d USB) (path string) {
	dir := "devices/pci0000:00/usb1/" + d.Port
	if d.Class == "" {
		d.Class = "ef"
	}
	for name, value := range map[string]string{
		"idVendor": fmt.Sprintf("%04x", d.Vendor), "idProduct": fmt.Sprintf("%04x", d.Product), "busnum": "1",
		"devnum": fmt.Sprint(d.Number), "product": d.Name, "serial": d.Serial, "authorized": "1", "bDeviceClass": d.Class,
		"speed": fmt.Sprint(d.Speed),
	} {
		s.file(dir+"/"+name, value+"\n")
	}
	s.link("bus/usb/devices/"+d.Port, dir)
	for _, v := range d.Video {
		s.node(dir, ":1.0", "video4linux", "video4linux/"+v, dir+"/"+d.Port+":1.0")
	}
	if d.Card != "" {
		pcm := fmt.Sprintf("pcmC%sD0c", d.Card[len("card"):])
		s.node(dir, ":1.2", "sound", "sound/"+d.Card+"/"+pcm, dir+"/"+d.Port+":1.2/sound/"+d.Card)
	}
	if d.HID != "" {
		hid := fmt.Sprintf("0003:%04X:%04X.0001", d.Vendor, d.Product)
		s.node(dir, ":1.4", "hidraw", hid+"/hidraw/"+d.HID, dir+"/"+d.Port+":1.4/"+hid)
	}
	return filepath.Join(s.Sys, dir)
}

// Unplug takes the device at that port away with all its nodes.
func (s *Sysfs) Unplug(port string) {
	dir := filepath.Join(s.Sys, "devices/pci0000:00/usb1", port)
	links, _ := filepath.Glob(filepath.Join(s.Sys, "class/*/*"))
	for _, l := range append(links, filepath.Join(s.Sys, "bus/usb/devices", port)) {
		if to, err := filepath.EvalSymlinks(l); err == nil && (to == dir || len(to) > len(dir) && to[:len(dir)+1] == dir+"/") {
			s.must(os.Remove(l))
		}
	}
	s.must(os.RemoveAll(dir))
}

// node makes a node below an interface, and its link by class.
func (s *Sysfs) node(dir, face, class, node, device string) {
	path := dir + "/" + filepath.Base(dir) + face + "/" + node
	s.folder(path)
	s.link(path+"/device", device)
	s.link("class/"+class+"/"+filepath.Base(node), path)
}

func (s *Sysfs) folder(path string) { s.must(os.MkdirAll(filepath.Join(s.Sys, path), 0o755)) }

func (s *Sysfs) file(path, value string) {
	s.folder(filepath.Dir(path))
	s.must(os.WriteFile(filepath.Join(s.Sys, path), []byte(value), 0o644))
}

func (s *Sysfs) link(from, to string) {
	s.must(os.Symlink(filepath.Join(s.Sys, to), filepath.Join(s.Sys, from)))
}

func (s *Sysfs) must(err error) {
	if err != nil {
		panic(err)
	}
}
