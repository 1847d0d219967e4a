package network

import (
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// GatewayAnswers says whether the IPv4 gateway is there, as far as its hardware
// address is known (/proc/net/arp, flag ATF_COM). Where it isn't, a datagram is
// sent for the kernel to ask; so the next call knows. It is false where there is
// no gateway.
func GatewayAnswers(proc string) bool {
	gateway, ok := gatewayIn(table(proc, "route"))
	if !ok {
		return false
	}
	if neighbour(table(proc, "arp"), gateway.String()) {
		return true
	}
	c, err := net.Dial("udp4", netip.AddrPortFrom(gateway, 9).String()) // discard (RFC 863)
	if err != nil {
		return false
	}
	defer c.Close()
	_, _ = c.Write([]byte{0}) // the answer is in the table of neighbours
	return false
}

// table is a table of /proc/net without its first line, in fields.
func table(proc, name string) (rows [][]string) {
	data, err := os.ReadFile(filepath.Join(proc, name))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		rows = append(rows, strings.Fields(line))
	}
	return rows[min(1, len(rows)):]
}

// gatewayIn is the default route's. Addresses are written as numbers of the
// host's byte order: little-endian on all boards.
//
//	Iface Destination Gateway Flags RefCnt Use Metric Mask ...
func gatewayIn(routes [][]string) (netip.Addr, bool) {
	for _, f := range routes {
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
			continue
		}
		raw, err := hex.DecodeString(f[2])
		if err != nil || len(raw) != 4 || f[2] == "00000000" {
			continue
		}
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], binary.LittleEndian.Uint32(raw))
		return netip.AddrFrom4(a), true
	}
	return netip.Addr{}, false
}

// neighbour looks for an address whose hardware address is known.
//
//	IP address, HW type, Flags, HW address, Mask, Device
func neighbour(arp [][]string, addr string) bool {
	for _, f := range arp {
		if len(f) < 4 || f[0] != addr {
			continue
		}
		flags, err := strconv.ParseUint(strings.TrimPrefix(f[2], "0x"), 16, 32)
		if err == nil && flags&2 != 0 {
			return true
		}
	}
	return false
}
