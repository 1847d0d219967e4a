package tee

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/internal/mpegts"
)

const (
	// receiveBuffer is what a receiver asks the kernel to hold: 2 s at
	// 16 Mbit/s, more than any pause of a healthy reader.
	receiveBuffer = 4 << 20
	// datagramSize is the largest taken: 48 packets, a jumbo frame.
	datagramSize = 9216
	// batch is the most that one Read collects.
	batch = 64 << 10
)

// UDPReader receives a stream by UDP. What is not whole packets is dropped and
// counted, so that noise sent to the group reaches nobody.
type UDPReader struct {
	conn    *net.UDPConn
	raw     syscall.RawConn
	ctx     context.Context
	name    string
	timeout time.Duration
	release func() bool

	buf     []byte
	rest    []byte                // of buf, not yet read
	receive func(fd uintptr) bool // one closure for all calls
	filled  int
	failed  error

	datagrams, bytes, bad, dropped atomic.Uint64
}

// UDPStats is a snapshot of a UDPReader's counters.
type UDPStats struct {
	Datagrams uint64 // taken
	Bytes     uint64 // in them
	Bad       uint64 // datagrams that were no whole packets
	Dropped   uint64 // datagrams for which the kernel had no room
}

// Stats reads the counters; it may be called at any time.
func (r *UDPReader) Stats() UDPStats {
	r.askDropped()
	return UDPStats{r.datagrams.Load(), r.bytes.Load(), r.bad.Load(), r.dropped.Load()}
}

// askDropped asks the socket how many datagrams it had no room for
// (SO_MEMINFO, sock_diag(7)), as long as it is open.
func (r *UDPReader) askDropped() {
	_ = r.raw.Control(func(fd uintptr) {
		var info [unix.SK_MEMINFO_VARS]uint32
		size := uint32(unsafe.Sizeof(info))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
		if errno == 0 {
			r.dropped.Store(uint64(info[unix.SK_MEMINFO_DROPS]))
		}
	})
}

// listenUDP makes a socket that gets what is sent to the address and nothing
// else. Go's own multicast listener binds to the wildcard address, so that two
// groups on one port would mix.
func listenUDP(to netip.AddrPort, ifname string) (*UDPReader, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), "udp")
	defer f.Close() // FilePacketConn has its own
	if to.Addr().IsMulticast() {
		err = join(fd, to, ifname)
	}
	if err == nil {
		err = bind(fd, to)
	}
	if err != nil {
		return nil, err
	}
	growReceiveBuffer(fd)
	pc, err := net.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	r := &UDPReader{conn: pc.(*net.UDPConn), buf: make([]byte, batch)}
	r.receive = r.receiveAll
	r.raw, err = r.conn.SyscallConn()
	return r, err
}

func bind(fd int, to netip.AddrPort) error {
	err := unix.Bind(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	if errors.Is(err, unix.EADDRINUSE) {
		return fmt.Errorf("UDP port %d is taken by another program", to.Port())
	}
	return os.NewSyscallError("bind", err)
}

// join makes the socket a member of the group on one interface, together with
// other programs on this host, and of no other group (IP_MULTICAST_ALL, ip(7)).
func join(fd int, group netip.AddrPort, ifname string) error {
	index, err := interfaceIndex(ifname)
	if err != nil {
		return err
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0))
	if err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	m := &unix.IPMreqn{Multiaddr: group.Addr().As4(), Ifindex: int32(index)}
	if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, m); err != nil {
		return fmt.Errorf("can't join %v on interface %q: %w", group.Addr(), cmp.Or(ifname, "default"), err)
	}
	return nil
}

// interfaceIndex is 0, the system's choice, for no name.
func interfaceIndex(name string) (int, error) {
	if name == "" {
		return 0, nil
	}
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return 0, fmt.Errorf("interface %q: %w", name, err)
	}
	return ifi.Index, nil
}

// growReceiveBuffer goes over the system's limit where it may.
func growReceiveBuffer(fd int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
}

func (r *UDPReader) start(ctx context.Context, name string, timeout time.Duration) {
	r.ctx, r.name, r.timeout = ctx, name, timeout
	r.release = context.AfterFunc(ctx, func() { r.conn.Close() })
}

// Close ends a Read that waits. Closing twice is fine.
func (r *UDPReader) Close() error {
	r.release()
	if err := r.conn.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Read returns whole packets as long as p has room for them; it never ends by
// itself.
func (r *UDPReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// fill waits for a datagram and collects those that came with it.
func (r *UDPReader) fill() error {
	if r.timeout > 0 {
		_ = r.conn.SetReadDeadline(time.Now().Add(r.timeout)) // an error shows in the read
	}
	r.filled, r.failed = 0, nil
	err := cmp.Or(r.raw.Read(r.receive), r.failed)
	switch {
	case err == nil:
		r.rest = r.buf[:r.filled]
		return nil
	case r.ctx.Err() != nil:
		return r.ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%s: no data for %v: %w", r.name, r.timeout, os.ErrDeadlineExceeded)
	}
	return fmt.Errorf("%s: %w", r.name, err)
}

// receiveAll is called when the socket is readable; false asks for another
// wait. A read is one system call either way: with three datagrams at a time,
// as a paced stream has it, recvmmsg would save two of a thousand a second.
func (r *UDPReader) receiveAll(fd uintptr) bool {
	for len(r.buf)-r.filled >= datagramSize {
		n, err := unix.Read(int(fd), r.buf[r.filled:r.filled+datagramSize])
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return r.filled > 0
		case err != nil:
			r.failed = os.NewSyscallError("read", err)
			return true
		case !wholePackets(r.buf[r.filled : r.filled+n]):
			r.bad.Add(1)
			continue
		}
		r.datagrams.Add(1)
		r.bytes.Add(uint64(n))
		r.filled += n
	}
	return true
}

func wholePackets(b []byte) bool {
	if len(b) == 0 || len(b)%mpegts.PacketSize != 0 {
		return false
	}
	for ; len(b) > 0; b = b[mpegts.PacketSize:] {
		if b[0] != syncByte {
			return false
		}
	}
	return true
}
