package timesync

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// gokrazy's DHCP client doesn't ask for option 42 and keeps no lease, so the
// servers are asked for by a DHCPINFORM of our own (RFC 2131, 3.4): it wants
// options only, no address, and changes nothing.

// Fields of a DHCP message (RFC 2131, figure 1) and options (RFC 2132).
const (
	bootRequest = 1
	bootReply   = 2
	ethernet    = 1

	atXID     = 4
	atAddress = 12 // ciaddr
	atMAC     = 28
	atCookie  = 236
	atOptions = 240
	leastSize = 300 // of a message, for old relays (RFC 1542, 2.1)

	optionPad     = 0
	optionServers = 42 // NTP
	optionType    = 53
	optionWant    = 55
	optionEnd     = 255
	typeAck       = 5
	typeInform    = 8
)

const cookie = 0x63825363

// errNotDHCP means that what came is no answer to the question.
var errNotDHCP = errors.New("dhcp: not an answer to this question")

// question is a DHCPINFORM.
func question(xid uint32, ip netip.Addr, mac net.HardwareAddr) []byte {
	b := make([]byte, leastSize)
	b[0], b[1], b[2] = bootRequest, ethernet, byte(len(mac))
	binary.BigEndian.PutUint32(b[atXID:], xid)
	copy(b[atAddress:], ip.AsSlice())
	copy(b[atMAC:atMAC+16], mac)
	binary.BigEndian.PutUint32(b[atCookie:], cookie)
	copy(b[atOptions:], []byte{optionType, 1, typeInform, optionWant, 1, optionServers, optionEnd})
	return b
}

// answer reads the time servers from a DHCPACK.
func answer(b []byte, xid uint32) (servers []string, err error) {
	if len(b) < atOptions || b[0] != bootReply || binary.BigEndian.Uint32(b[atXID:]) != xid || binary.BigEndian.Uint32(b[atCookie:]) != cookie {
		return nil, errNotDHCP
	}
	ack := false
	for o := b[atOptions:]; len(o) > 0 && o[0] != optionEnd; {
		if o[0] == optionPad {
			o = o[1:]
			continue
		}
		if len(o) < 2 || len(o) < 2+int(o[1]) {
			return nil, fmt.Errorf("dhcp: option %d is cut off", o[0])
		}
		body := o[2 : 2+int(o[1])]
		switch o[0] {
		case optionType:
			ack = len(body) == 1 && body[0] == typeAck
		case optionServers:
			for ; len(body) >= 4; body = body[4:] {
				servers = append(servers, netip.AddrFrom4([4]byte(body)).String())
			}
		}
		o = o[2+int(o[1]):]
	}
	if !ack {
		return nil, errNotDHCP
	}
	return servers, nil
}

// inform asks the network of the first interface that has an address.
func inform(ctx context.Context) ([]string, error) {
	ip, mac, err := address()
	if err != nil {
		return nil, err
	}
	conn, err := new(net.ListenConfig).ListenPacket(ctx, "udp4", netip.AddrPortFrom(ip, 68).String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return exchange(ctx, conn, &net.UDPAddr{IP: net.IPv4bcast, Port: 67}, ip, mac)
}

const tries = 3

// exchange sends the question until somebody answers it.
func exchange(ctx context.Context, conn net.PacketConn, to net.Addr, ip netip.Addr, mac net.HardwareAddr) ([]string, error) {
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var id [4]byte
	_, _ = rand.Read(id[:]) // never fails
	xid := binary.BigEndian.Uint32(id[:])
	err := errors.New("dhcp: no answer")
	for range tries {
		if _, err := conn.WriteTo(question(xid, ip, mac), to); err != nil {
			return nil, err
		}
		if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			return nil, err
		}
		var servers []string
		if servers, err = receive(conn, xid); err == nil {
			return servers, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return nil, err
}

func receive(conn net.PacketConn, xid uint32) ([]string, error) {
	var b [1500]byte
	for {
		n, _, err := conn.ReadFrom(b[:])
		if err != nil {
			return nil, err
		}
		servers, err := answer(b[:n], xid)
		if !errors.Is(err, errNotDHCP) {
			return servers, err
		}
	}
}

// address is the host's, on the first cable that is up.
func address() (netip.Addr, net.HardwareAddr, error) {
	all, err := net.Interfaces()
	if err != nil {
		return netip.Addr{}, nil, err
	}
	for _, i := range all {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 || len(i.HardwareAddr) != 6 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue // it has just gone
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLinkLocalUnicast() {
				return p.Addr(), i.HardwareAddr, nil
			}
		}
	}
	return netip.Addr{}, nil, errors.New("dhcp: no interface has an address yet")
}
