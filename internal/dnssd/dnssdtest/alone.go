// Package dnssdtest gives tests of announcing and finding a network of their own.
package dnssdtest

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
)

// inside says that this is the process in a network of its own.
const inside = "VIDEOBOX_TEST_NETNS"

// Alone runs a test in a process of its own with a network of its own: a
// network card that leads nowhere, so that nothing of what is announced leaves
// this machine; its address is 192.0.2.10. It is true in that process, and false
// in the one that started it, whose test has then ended.
func Alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		setUp(t)
		return true
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
		t.Skipf("needs a network namespace: root, or user namespaces: %v", err)
	}
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	return false
}

func setUp(t *testing.T) {
	t.Helper()
	up := func(name string) {
		l, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(l)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	card := &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: "card0"}}
	if err := netlink.LinkAdd(card); err != nil {
		// A kernel without dummies has at least pairs.
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "card0"}, PeerName: "card1"}); err != nil {
			t.Fatal(err)
		}
		up("card1")
	}
	up("lo")
	up("card0")
	AddAddress(t, "192.0.2.10/24")
	if err := netlink.LinkSetMulticastOn(card); err != nil {
		t.Fatal(err)
	}
}

// AddAddress gives the network card another address, such as 192.0.2.11/24.
func AddAddress(t *testing.T, text string) {
	t.Helper()
	l, err := netlink.LinkByName("card0")
	if err != nil {
		t.Fatal(err)
	}
	a, err := netlink.ParseAddr(text)
	if err == nil {
		err = netlink.AddrAdd(l, a)
	}
	if err != nil {
		t.Fatal(err)
	}
}
