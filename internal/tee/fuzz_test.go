package tee

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/openvideobox/videobox/internal/mpegts"
)

// FuzzRing writes arbitrary bytes in two parts, with a reader from the start
// and one from between. Readers get whole packets, in order, or nothing.
func FuzzRing(f *testing.F) {
	var m maker
	clean := m.gop(10)
	f.Add(clean, 1000)
	f.Add(append([]byte{syncByte, 1, 2}, clean...), 5)
	f.Add(bytes.Repeat(clean[:2*mpegts.PacketSize], 40), 77)
	f.Add(bytes.Repeat([]byte{syncByte}, 4000), 2000)
	f.Fuzz(func(t *testing.T, stream []byte, cut int) {
		cut = min(max(cut, 0), len(stream))
		var packets []byte
		var s mpegts.Scanner
		s.Scan(stream, func(p mpegts.Packet) { packets = append(packets, p...) })

		r := immediate(8 * testBlock) // a timer would make coverage random
		early := r.NewReader(Newest)
		write(t, r, stream[:cut])
		late := r.NewReader(HalfBack)
		write(t, r, stream[cut:])
		r.Close()
		for _, rd := range []*Reader{early, late} {
			got, err := rest(rd)
			if err == io.EOF && !bytes.HasSuffix(packets, got) {
				t.Errorf("%d bytes are not the end of the stream", len(got))
			}
			if len(got)%mpegts.PacketSize != 0 {
				t.Errorf("%d bytes are no whole packets", len(got))
			}
			rd.Close()
		}
	})
}

// rest reads to the end, without the tables at the start.
func rest(rd *Reader) (all []byte, err error) {
	if rd.tables != nil || rd.pos.Load() < 0 {
		if _, err := rd.Next(context.Background()); err != nil {
			return nil, err
		}
	}
	for {
		b, err := rd.Next(context.Background())
		if err != nil {
			return all, err
		}
		all = append(all, b...)
	}
}
