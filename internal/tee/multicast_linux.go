package tee

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/internal/mpegts"
)

const syncByte = 0x47

// datagramPackets is how many packets go into one datagram: 1316 bytes, the
// most that an Ethernet frame holds.
const datagramPackets = 7

// Multicast says where a stream goes by UDP. A unicast address will do, too.
type Multicast struct {
	Group     string // as 239.255.42.1:5004
	Interface string // by name; "": as the routing table says
	TTL       int    // 0: this host only
}

// Sender sends a ring's stream by UDP. Set the fields before Run.
type Sender struct {
	Ring      *Ring
	Multicast Multicast
	Log       *slog.Logger // nil: slog.Default()

	// Callbacks for counters, from the goroutine of Run; nil ones are left out.
	OnSent   func(bytes int)
	OnFailed func(datagrams int)

	conn *net.UDPConn
	to   netip.AddrPort
	bad  bool // the last datagram could not be sent

	datagrams, bytes, failed, lapped atomic.Uint64
}

// SenderStats is a snapshot of a sender's counters.
type SenderStats struct {
	Datagrams uint64 // sent
	Bytes     uint64 // in them
	Failed    uint64 // datagrams that the system refused
	Lapped    uint64 // times that the sender fell behind the ring
}

// Stats reads the counters; it may be called at any time.
func (s *Sender) Stats() SenderStats {
	return SenderStats{s.datagrams.Load(), s.bytes.Load(), s.failed.Load(), s.lapped.Load()}
}

// Send sends the ring to m until ctx ends or the ring is closed.
func Send(ctx context.Context, r *Ring, m Multicast, log *slog.Logger) error {
	return (&Sender{Ring: r, Multicast: m, Log: log}).Run(ctx)
}

func (s *Sender) log() *slog.Logger { return cmp.Or(s.Log, slog.Default()) }

// Run sends from the next packet on until ctx ends or the ring is closed, and
// returns nil then. It returns an error only when the socket can't be set up;
// what can't be sent later is counted.
func (s *Sender) Run(ctx context.Context) error {
	if err := s.open(ctx); err != nil {
		return fmt.Errorf("multicast to %s: %w", s.Multicast.Group, err)
	}
	defer s.conn.Close()
	for {
		err := s.follow(ctx)
		if !errors.Is(err, ErrLapped) {
			return nil
		}
		s.lapped.Add(1)
		s.log().Warn("multicast fell behind the ring", "group", s.Multicast.Group)
	}
}

func (s *Sender) open(ctx context.Context) (err error) {
	if s.to, err = resolveUDP(ctx, s.Multicast.Group); err != nil {
		return err
	}
	var lc net.ListenConfig
	if s.to.Addr().IsMulticast() {
		index, err := interfaceIndex(s.Multicast.Interface)
		if err != nil {
			return err
		}
		lc.Control = func(_, _ string, c syscall.RawConn) error { return s.setup(c, index) }
	}
	pc, err := lc.ListenPacket(ctx, "udp4", "0.0.0.0:0")
	if err != nil {
		return err
	}
	s.conn = pc.(*net.UDPConn)
	return nil
}

// setup chooses interface and TTL; receivers on this host get the stream too.
func (s *Sender) setup(c syscall.RawConn, index int) (err error) {
	cerr := c.Control(func(fd uintptr) {
		err = errors.Join(
			unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, s.Multicast.TTL),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 1))
		if index != 0 {
			err = errors.Join(err, unix.SetsockoptIPMreqn(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(index)}))
		}
	})
	return errors.Join(cerr, err)
}

// follow is one reader's life.
func (s *Sender) follow(ctx context.Context) error {
	rd := s.Ring.NewReader(edge)
	defer rd.Close()
	defer rd.unpin()
	var p pacer
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if err := collect(rd, &p); err != nil {
			s.write(p.rest())
			return err
		}
		s.write(p.take(time.Now()))
		ready, err := rd.ready()
		switch {
		case err != nil: // the end
			s.write(p.rest())
			return err
		case ready:
			continue
		case p.pending():
			timer.Reset(paceTick)
		}
		select {
		case <-rd.wake:
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// collect moves what the ring has into the pacer.
func collect(rd *Reader, p *pacer) error {
	for {
		rd.unpin()
		b, err := rd.take()
		if b == nil {
			return err
		}
		p.push(b, time.Now())
	}
}

// write sends b in datagrams of up to seven packets.
func (s *Sender) write(b []byte) {
	const most = datagramPackets * mpegts.PacketSize
	for len(b) > 0 {
		n := min(most, len(b))
		_, err := s.conn.WriteToUDPAddrPort(b[:n], s.to)
		if err != nil {
			s.failed.Add(1)
			call(s.OnFailed, 1)
			if !s.bad {
				s.log().Warn("multicast can't be sent", "group", s.Multicast.Group, "err", err)
			}
		} else {
			s.datagrams.Add(1)
			s.bytes.Add(uint64(n))
			call(s.OnSent, n)
		}
		s.bad = err != nil
		b = b[n:]
	}
}
