// Package network knows a box's network as the kernel has it: which hardware
// address names the box, and at which addresses it is reached. It also sets a
// fixed address, in place of gokrazy's DHCP client.
//
// Sources: /sys/class/net (Documentation/ABI/testing/sysfs-class-net) and
// rtnetlink(7).
package network

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// SysNet is where the kernel lists its interfaces.
const SysNet = "/sys/class/net"

// ErrNone says that there is no interface (yet) that could name the box.
var ErrNone = errors.New("no network interface with a hardware address")

// Interface is what names a box.
type Interface struct {
	Name  string
	MAC   net.HardwareAddr
	Wired bool // an Ethernet device; without one, any but loopback counts
}

// First is the first wired Ethernet device, in the order in which the kernel
// found them, or else the first interface that has a hardware address.
func First(sys string) (Interface, error) {
	dirs, err := os.ReadDir(sys)
	if err != nil {
		return Interface{}, err
	}
	type numbered struct {
		Interface
		index int
	}
	var list []numbered
	for _, d := range dirs {
		dir := filepath.Join(sys, d.Name())
		mac, err := net.ParseMAC(read(dir, "address"))
		if err != nil || len(mac) != 6 || slices.Max(mac) == 0 {
			continue // loopback has zeros
		}
		index, _ := strconv.Atoi(read(dir, "ifindex"))
		list = append(list, numbered{Interface{d.Name(), mac, wired(dir)}, index})
	}
	slices.SortFunc(list, func(a, b numbered) int {
		if a.Wired != b.Wired {
			if a.Wired {
				return -1
			}
			return 1
		}
		return a.index - b.index
	})
	if len(list) == 0 {
		return Interface{}, ErrNone
	}
	return list[0].Interface, nil
}

// wired tells Ethernet devices from wireless ones and from what is no device:
// bridges, tunnels, dummies. ARPHRD_ETHER is 1 (include/uapi/linux/if_arp.h).
func wired(dir string) bool {
	return read(dir, "type") == "1" && exists(dir, "device") && !exists(dir, "wireless") && !exists(dir, "phy80211")
}

func read(dir, file string) string {
	data, _ := os.ReadFile(filepath.Join(dir, file))
	return strings.TrimSpace(string(data))
}

func exists(dir, file string) bool {
	_, err := os.Stat(filepath.Join(dir, file))
	return err == nil
}

// Addresses are those under which others reach this host, IPv4 first.
func Addresses() []netip.Addr {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	return usable(all)
}

// usable leaves out loopback and link-local addresses, which need to be told
// the interface.
func usable(all []net.Addr) (list []netip.Addr) {
	for _, a := range all {
		n, ok := a.(*net.IPNet)
		if !ok || !n.IP.IsGlobalUnicast() {
			continue
		}
		if ip, ok := netip.AddrFromSlice(n.IP); ok && !slices.Contains(list, ip.Unmap()) {
			list = append(list, ip.Unmap())
		}
	}
	slices.SortStableFunc(list, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() })
	return list
}
