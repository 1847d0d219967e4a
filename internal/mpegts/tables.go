package mpegts

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/asticode/go-astits"
)

type psi struct{ pat, pmt [PacketSize]byte }

// tables are the PAT and the PMT of every stream here, a packet each, with
// continuity counters of 0: one program, H.264 and AAC on constant PIDs.
var tables = sync.OnceValue(func() *psi {
	t := new(psi)
	var b bytes.Buffer
	m := astits.NewMuxer(context.Background(), &b, astits.WithTransportStreamID(1), astits.WithPMTPID(PIDPMT))
	for _, es := range []astits.PMTElementaryStream{
		{ElementaryPID: PIDVideo, StreamType: astits.StreamTypeH264Video},
		{ElementaryPID: PIDAudio, StreamType: astits.StreamTypeAACAudio},
	} {
		if err := m.AddElementaryStream(es); err != nil {
			panic(err) // constants that the first test would have found wrong
		}
	}
	m.SetPCRPID(PIDVideo)
	if _, err := m.WriteTables(); err != nil || b.Len() != 2*PacketSize {
		panic(fmt.Sprintf("mpegts: tables of %d bytes: %v", b.Len(), err))
	}
	copy(t.pat[:], b.Bytes())
	copy(t.pmt[:], b.Bytes()[PacketSize:])
	t.pat[3] &^= counterMask
	t.pmt[3] &^= counterMask
	return t
})

// appendTable appends a table's packet. The discontinuity indicator takes an
// adaptation field of two bytes in place of stuffing at the end.
func (s *stream) appendTable(dst []byte, table *[PacketSize]byte) []byte {
	at := len(dst)
	dst = append(dst, table[:]...)
	p := dst[at:]
	if s.discontinuity {
		copy(p[headerSize+2:], table[headerSize:PacketSize-2])
		p[3] |= 0x20
		p[4], p[5] = 1, 0x80
		s.discontinuity = false
	}
	p[3] |= s.counter
	s.counter = (s.counter + 1) & counterMask
	return dst
}
