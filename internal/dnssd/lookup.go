package dnssd

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// Found is a service that answered.
type Found struct {
	Name string         // of the instance
	Addr netip.AddrPort // of the host that answered, with the service's port
	Text map[string]string
}

// Ports and groups of multicast DNS, RFC 6762, 3.
const (
	port    = 5353
	domain  = "local."
	group4  = "224.0.0.251"
	group6  = "ff02::fb"
	maxList = 512  // services of one type; a large event has a hundred boxes
	maxSize = 9000 // bytes of a message, RFC 6762, 17
)

// Lookup asks in every interface's network for services of a type and gathers
// what answers within the time, of each the first answer, but rather one from
// an address that isn't link-local. No answer is no error.
func Lookup(ctx context.Context, service string, wait time.Duration) ([]Found, error) {
	question := new(dns.Msg)
	question.SetQuestion(service+"."+domain, dns.TypePTR)
	question.RecursionDesired = false
	packet, err := question.Pack()
	if err != nil {
		return nil, err
	}
	results := make(chan answer)
	var conns []net.PacketConn
	for _, i := range interfaces() {
		conns = append(conns, ask(i, packet)...)
	}
	for _, c := range conns {
		go receive(c, service, question.Id, results)
	}
	return gather(ctx, conns, results, wait), nil
}

// answer is what came on one connection; end is its last.
type answer struct {
	found []Found
	end   bool
}

// gather takes answers until the time is over, then closes the connections and
// waits for their readers to end.
func gather(ctx context.Context, conns []net.PacketConn, results <-chan answer, wait time.Duration) (list []Found) {
	stop := func() {
		for _, c := range conns {
			c.Close()
		}
	}
	timer := time.AfterFunc(wait, stop)
	defer timer.Stop()
	defer context.AfterFunc(ctx, stop)()
	for open := len(conns); open > 0; {
		a := <-results
		if a.end {
			open--
		}
		for _, f := range a.found {
			i := slices.IndexFunc(list, func(l Found) bool { return l.Name == f.Name })
			switch {
			case i >= 0 && list[i].Addr.Addr().IsLinkLocalUnicast() && !f.Addr.Addr().IsLinkLocalUnicast():
				list[i] = f
			case i < 0 && len(list) < maxList:
				list = append(list, f)
			}
		}
	}
	slices.SortFunc(list, func(a, b Found) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// ask sends the question through one interface, by IPv4 and IPv6, from ports of
// their own. What the interface can't do is left out.
func ask(i net.Interface, packet []byte) (conns []net.PacketConn) {
	if c, err := net.ListenPacket("udp4", ":0"); err == nil {
		p := ipv4.NewPacketConn(c)
		_ = p.SetMulticastLoopback(true) // a service on this very host counts too
		err := errors.Join(p.SetMulticastInterface(&i), p.SetMulticastTTL(255))
		conns = send(conns, c, packet, &net.UDPAddr{IP: net.ParseIP(group4), Port: port}, err)
	}
	if c, err := net.ListenPacket("udp6", ":0"); err == nil {
		p := ipv6.NewPacketConn(c)
		_ = p.SetMulticastLoopback(true)
		err := errors.Join(p.SetMulticastInterface(&i), p.SetMulticastHopLimit(255))
		conns = send(conns, c, packet, &net.UDPAddr{IP: net.ParseIP(group6), Port: port, Zone: i.Name}, err)
	}
	return conns
}

func send(conns []net.PacketConn, c net.PacketConn, packet []byte, to net.Addr, err error) []net.PacketConn {
	if err == nil {
		_, err = c.WriteTo(packet, to)
	}
	if err != nil {
		c.Close()
		return conns
	}
	return append(conns, c)
}

// receive reads answers until the connection is closed.
func receive(c net.PacketConn, service string, id uint16, to chan<- answer) {
	defer func() { to <- answer{end: true} }()
	buf := make([]byte, maxSize)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		if udp, ok := from.(*net.UDPAddr); ok {
			to <- answer{found: parse(buf[:n], service, id, udp.AddrPort())}
		}
	}
}

// parse reads the services out of a response. The host is the one that sent
// it: it is reached by that address, whichever others it has.
func parse(packet []byte, service string, id uint16, from netip.AddrPort) (list []Found) {
	var m dns.Msg
	if err := m.Unpack(packet); err != nil || !m.Response || m.Id != id {
		return nil
	}
	all := slices.Concat(m.Answer, m.Extra)
	for _, rr := range m.Answer {
		ptr, ok := rr.(*dns.PTR)
		if !ok || !strings.EqualFold(ptr.Hdr.Name, service+"."+domain) || ptr.Hdr.Ttl == 0 || len(list) == maxList {
			continue
		}
		f := Found{Name: instance(ptr.Ptr), Text: map[string]string{}}
		for _, other := range all {
			if !strings.EqualFold(other.Header().Name, ptr.Ptr) {
				continue
			}
			switch r := other.(type) {
			case *dns.SRV:
				f.Addr = netip.AddrPortFrom(from.Addr().Unmap(), r.Port)
			case *dns.TXT:
				f.text(r.Txt)
			}
		}
		if f.Addr.Port() != 0 {
			list = append(list, f)
		}
	}
	return list
}

// text takes a TXT record apart, RFC 6763, 6.3: of a key twice the first counts.
func (f *Found) text(list []string) {
	for _, s := range list {
		k, v, _ := strings.Cut(s, "=")
		if _, twice := f.Text[k]; k != "" && !twice {
			f.Text[k] = v
		}
	}
}

// instance is the first label of a service instance's name, without the
// escapes of its textual form.
func instance(name string) string {
	labels := dns.SplitDomainName(name)
	if len(labels) == 0 {
		return ""
	}
	var b strings.Builder
	for s := labels[0]; s != ""; {
		switch {
		case len(s) >= 4 && s[0] == '\\' && digits(s[1:4]):
			b.WriteByte((s[1]-'0')*100 + (s[2]-'0')*10 + s[3] - '0')
			s = s[4:]
		case len(s) >= 2 && s[0] == '\\':
			b.WriteByte(s[1])
			s = s[2:]
		default:
			b.WriteByte(s[0])
			s = s[1:]
		}
	}
	return b.String()
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }
