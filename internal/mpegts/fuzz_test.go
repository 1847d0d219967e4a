package mpegts

import (
	"bytes"
	"testing"
	"testing/iotest"

	"github.com/openvideobox/videobox/internal/adts"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
)

// small is a stream of a few packets to start from.
func small() []byte {
	var b bytes.Buffer
	m := NewMuxer(&b, Options{Discontinuity: true})
	for n := range int64(3) {
		u := picture(n*25, 25, 200)
		u.PTS, u.DTS = n*3600, n*3600
		_ = m.WriteVideo(u)
		_ = m.WriteAudio(media.Unit{Track: media.Audio, PTS: n * 1920, DTS: n * 1920, Data: []byte{1, 2, 3}})
	}
	return b.Bytes()
}

// fixCRC makes the sections that start in the stream valid, so that fuzzing
// gets past their CRC.
func fixCRC(ts []byte) {
	for i := 0; i+PacketSize <= len(ts); i += PacketSize {
		p := Packet(ts[i : i+PacketSize])
		b := p.Payload()
		if pid := p.PID(); pid != PIDPAT && pid != PIDPMT || !p.PayloadStart() || len(b) < 5 || int(b[0])+4 > len(b) {
			continue
		}
		s := b[1+int(b[0]):]
		if n := 3 + int(s[1]&0xf)<<8 + int(s[2]); n >= 7 && n <= len(s) {
			c := crc32(s[:n-4])
			s[n-4], s[n-3], s[n-2], s[n-1] = byte(c>>24), byte(c>>16), byte(c>>8), byte(c)
		}
	}
}

// FuzzStream feeds any bytes to everything that reads a stream from outside.
// Whatever comes out must be well formed.
func FuzzStream(f *testing.F) {
	ts := small()
	f.Add(ts)
	f.Add(ts[3*PacketSize+50:])
	f.Add(append(append(bytes.Clone(ts[:600]), 0x47, 0x47, 0x47), ts...))
	f.Add(foreign(ts, 0x20, 0x31, 0x32, []elementary{{0x24, 0x33}}))
	f.Fuzz(func(t *testing.T, in []byte) {
		fixCRC(in)
		var c checker
		c.t = t
		_ = Demux(iotest.HalfReader(bytes.NewReader(in)), &c)
		p := NewProbe()
		_, _ = p.Write(in)
		r := p.Report()
		if r.Packets*PacketSize+r.SkippedBytes > uint64(len(in)) {
			t.Fatalf("%d packets and %d skipped bytes of %d", r.Packets, r.SkippedBytes, len(in))
		}
		if len(r.Faults()) == 0 && r.Frames == 0 {
			t.Fatal("nothing in it and no fault")
		}
		FirstStamp(in)
	})
}

// checker is a Handler that checks what it is given.
type checker struct{ t *testing.T }

func (c checker) Video(u media.Unit) {
	if !bytes.HasPrefix(u.Data, anyDelimiter) || u.Key != h264.IsIDR(u.Data) || u.PTS != media.Wire(u.PTS) || u.DTS != media.Wire(u.DTS) {
		c.t.Fatalf("picture at %d, %d, key %v: % x", u.PTS, u.DTS, u.Key, u.Data)
	}
}

func (c checker) Audio(u media.Unit) {
	if len(u.Data) == 0 || len(u.Data) > adts.MaxPayload || u.PTS != u.DTS || u.PTS != media.Wire(u.PTS) {
		c.t.Fatalf("AAC frame at %d, %d with %d bytes", u.PTS, u.DTS, len(u.Data))
	}
}
