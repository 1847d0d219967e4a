package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/openvideobox/videobox/display/screen"
)

// system is what the kernel tells about the box, by sysfs.
type system struct{ sys string }

func newSystem(sys string) system { return system{sys} }

func (s system) read(path ...string) string {
	data, err := os.ReadFile(filepath.Join(append([]string{s.sys}, path...)...))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// link is the network's link: the fastest that is up, of those that are
// hardware. Files: Documentation/ABI/testing/sysfs-class-net.
func (s system) link() screen.Line {
	cards, _ := filepath.Glob(filepath.Join(s.sys, "class/net/*/device"))
	best := -1
	for _, card := range cards {
		name := filepath.Base(filepath.Dir(card))
		if s.read("class/net", name, "carrier") != "1" {
			continue
		}
		mbit, err := strconv.Atoi(s.read("class/net", name, "speed"))
		if err != nil { // radio tells none, virtio -1
			mbit = 0
		}
		best = max(best, mbit, 0)
	}
	switch {
	case len(cards) == 0:
		return screen.Line{}
	case best < 0:
		return screen.Line{Text: "no link", Level: screen.Bad}
	case best == 0:
		return screen.Line{Text: "link up"}
	case best >= 1000:
		return screen.Line{Text: fmt.Sprintf("%.3g Gbit/s", float64(best)/1000)}
	}
	return screen.Line{Text: fmt.Sprintf("%d Mbit/s", best)}
}

// addresses are those under which others reach the box, the first of a kind.
func addresses(all []net.Addr) (v4, v6 string) {
	for _, a := range all {
		n, ok := a.(*net.IPNet)
		switch {
		case !ok || !n.IP.IsGlobalUnicast():
		case n.IP.To4() != nil && v4 == "":
			v4 = n.IP.String()
		case n.IP.To4() == nil && v6 == "":
			v6 = n.IP.String()
		}
	}
	return v4, v6
}

// page is the URL of the box's page under an address.
func page(v4, v6, port string) string {
	host := v4
	if host == "" {
		host = v6
	}
	switch {
	case host == "":
		return ""
	case port != "80" && port != "":
		return "http://" + net.JoinHostPort(host, port) + "/"
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	return "http://" + host + "/"
}
