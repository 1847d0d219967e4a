// Package ntptest is an NTP server for tests: it tells the time it is given, and
// lies as told.
package ntptest

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/openvideobox/videobox/internal/clock/ntp"
)

// Server answers on one UDP socket.
type Server struct {
	// Now is UTC, ns.
	Now func() int64
	// Answer may change an answer, or say that there is none; nil: it stays.
	Answer func(p *ntp.Packet) (send bool)

	asked  atomic.Int64
	silent atomic.Bool
}

// Asked counts questions.
func (s *Server) Asked() int64 { return s.asked.Load() }

// Silence makes the server say nothing, or answer again.
func (s *Server) Silence(on bool) { s.silent.Store(on) }

// Serve answers until the context ends, and closes the socket.
func (s *Server) Serve(ctx context.Context, conn net.PacketConn) error {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var b [1024]byte
	for {
		n, from, err := conn.ReadFrom(b[:])
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		q, err := ntp.Parse(b[:n])
		if err != nil {
			continue
		}
		s.asked.Add(1)
		p := Reply(q, s.Now())
		if s.silent.Load() || s.Answer != nil && !s.Answer(&p) {
			continue
		}
		_, _ = conn.WriteTo(p.Append(nil), from)
	}
}

// Reply is a good server's answer at utc, ns.
func Reply(q ntp.Packet, utc int64) ntp.Packet {
	now := ntp.Stamp(utc)
	return ntp.Packet{
		Version: 4, Mode: 4, Stratum: 2, Precision: -20,
		RootDelay: 4 * time.Millisecond, RootDispersion: time.Millisecond,
		Reference: ntp.Stamp(utc - int64(10*time.Second)), Origin: q.Transmit, Receive: now, Transmit: now,
	}
}
