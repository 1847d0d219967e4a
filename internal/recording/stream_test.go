package recording

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/mpegts"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testPMT   = 0x1000
	testVideo = 0x100
	testAudio = 0x101
	testRate  = 25
)

// epoch is a whole second at which every test stream starts.
var testStart = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// streamer makes a transport stream of its own: what it takes from h264 is the
// stamp, so that a fault of the project's muxer does not hide here.
type streamer struct {
	out      bytes.Buffer
	counters [8192]byte
	frame    int64 // next
	origin   int64 // frame 0 here on the grid
	epoch    uint32
	flags    h264.Flags
	plain    bool // no stamps
	late     bool // tables only some packets before a keyframe, and a large SEI before the stamp
	size     int  // bytes of a picture
	seed     uint32
	starts   []int // offsets at which a keyframe's tables start
}

func newStreamer() *streamer {
	return &streamer{origin: testStart.Unix() * testRate, flags: h264.Synced | h264.Live, size: 900, seed: 1}
}

func (s *streamer) packet(pid uint16, start, key bool, adaptation []byte, payload []byte) []byte {
	p := make([]byte, 4, mpegts.PacketSize)
	p[0] = 0x47
	binary.BigEndian.PutUint16(p[1:], pid)
	if start {
		p[1] |= 0x40
	}
	p[3] = 0x10 | s.counters[pid]
	s.counters[pid] = (s.counters[pid] + 1) & 15
	room := mpegts.PacketSize - 4
	if len(payload) < room || key || adaptation != nil {
		p[3] |= 0x20
		field := append([]byte{0}, adaptation...)
		if key {
			field[0] |= 0x40
		}
		if adaptation != nil {
			field[0] |= 0x10
		}
		for len(field)+1+len(payload) < room {
			field = append(field, 0xff)
		}
		if len(payload) == room-1 && !key && adaptation == nil {
			field = nil
		}
		p = append(append(p, byte(len(field))), field...)
	}
	n := min(mpegts.PacketSize-len(p), len(payload))
	p = append(p, payload[:n]...)
	s.out.Write(p)
	return payload[n:]
}

func crc32MPEG(b []byte) uint32 {
	crc := ^uint32(0)
	for _, v := range b {
		crc ^= uint32(v) << 24
		for range 8 {
			if crc&(1<<31) != 0 {
				crc = crc<<1 ^ 0x04c11db7
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

func (s *streamer) table(pid uint16, section []byte) {
	section = binary.BigEndian.AppendUint32(section, crc32MPEG(section))
	payload := append([]byte{0}, section...)
	for len(payload) < mpegts.PacketSize-4 {
		payload = append(payload, 0xff)
	}
	s.packet(pid, true, false, nil, payload)
}

func (s *streamer) tables() {
	s.table(0, []byte{0x00, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xe0 | testPMT>>8, testPMT & 0xff})
	s.table(testPMT, []byte{0x02, 0xb0, 18, 0, 1, 0xc1, 0, 0, 0xe0 | testVideo>>8, testVideo & 0xff, 0xf0, 0,
		0x1b, 0xe0 | testVideo>>8, testVideo & 0xff, 0xf0, 0})
}

func (s *streamer) stamp() h264.Stamp {
	n := s.origin + s.frame
	return h264.Stamp{Flags: s.flags, Epoch: s.epoch, Frame: uint64(n), Program: n/testRate*1e9 + n%testRate*1e9/testRate}
}

// picture makes an access unit that nothing needs to decode.
func (s *streamer) picture(key bool) []byte {
	au := []byte{0, 0, 0, 1, 9, 0xf0}
	if key {
		au = append(au, 0, 0, 0, 1, 0x67, 0x64, 0, 0x1f, 0xac, 0, 0, 0, 1, 0x68, 0xee, 0x3c, 0x80)
	}
	if s.late {
		au = append(au, 0, 0, 0, 1, 6, 5, 255, 45) // 300 bytes of user data
		for i := range 300 {
			au = append(au, byte(i)|1)
		}
		au = append(au, 0x80)
	}
	if !s.plain {
		au = h264.AppendStamp(au, s.stamp())
	}
	nal := byte(0x41)
	if key {
		nal = 0x65
	}
	au = append(au, 0, 0, 0, 1, nal)
	for range s.size {
		s.seed = s.seed*1664525 + 1013904223
		au = append(au, byte(s.seed>>24)|1)
	}
	return au
}

func (s *streamer) pes(au []byte) []byte {
	t := uint64((s.origin+s.frame)*90000/testRate+90000) & (1<<33 - 1)
	h := []byte{0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5,
		byte(0x21 | t>>30&7<<1), byte(t >> 22), byte(t>>15<<1 | 1), byte(t >> 7), byte(t<<1 | 1)}
	if n := len(h) - 6 + len(au); n <= 0xffff { // else the length is left out
		binary.BigEndian.PutUint16(h[4:], uint16(n))
	}
	return append(h, au...)
}

// add makes the next frame of the stream, keyframes on whole seconds.
func (s *streamer) add() {
	s.addPicture(s.picture((s.origin+s.frame)%testRate == 0), (s.origin+s.frame)%testRate == 0)
}

func (s *streamer) addPicture(au []byte, key bool) {
	if key {
		s.starts = append(s.starts, s.out.Len())
		s.tables()
	}
	if key && s.late {
		s.packet(testAudio, false, false, nil, make([]byte, 184))
	}
	clock := uint64((s.origin+s.frame)*90000/testRate) & (1<<33 - 1)
	pcr := []byte{byte(clock >> 25), byte(clock >> 17), byte(clock >> 9), byte(clock >> 1), byte(clock<<7) | 0x7e, 0}
	rest := s.packet(testVideo, true, key, pcr, s.pes(au))
	for i := 0; len(rest) > 0; i++ {
		rest = s.packet(testVideo, false, false, nil, rest)
		if i%3 == 1 {
			s.packet(testAudio, false, false, nil, bytes.Repeat([]byte{byte(s.frame)}, 184))
		}
	}
	s.frame++
}

// seconds makes some of the stream and returns it.
func (s *streamer) seconds(n int) []byte {
	from := s.out.Len()
	for range n * testRate {
		s.add()
	}
	return append([]byte(nil), s.out.Bytes()[from:]...)
}

// probe checks a stream for continuity errors with a checker that is not the
// recorder's.
func probe(t *testing.T, name string, ts []byte) {
	t.Helper()
	last := map[uint16]int{}
	twice := map[uint16]bool{}
	var scan mpegts.Scanner
	scan.Scan(ts, func(p mpegts.Packet) {
		pid, now := p.PID(), int(p.Counter())
		was, known := last[pid]
		switch {
		case !known || now == (was+1)%16:
			twice[pid] = false
		case now == was && !twice[pid]:
			twice[pid] = true
		default:
			t.Errorf("%s: PID %d goes from counter %d to %d", name, pid, was, now)
		}
		last[pid] = now
	})
	if scan.Skipped > 0 {
		t.Errorf("%s: %d bytes are no packets", name, scan.Skipped)
	}
}

// startsAlone checks that a file begins with PAT, PMT and a keyframe.
func startsAlone(t *testing.T, name string, ts []byte) {
	t.Helper()
	if len(ts) < 3*mpegts.PacketSize || len(ts)%mpegts.PacketSize != 0 {
		t.Errorf("%s: %d bytes", name, len(ts))
		return
	}
	p := func(i int) mpegts.Packet {
		return mpegts.Packet(ts[i*mpegts.PacketSize : (i+1)*mpegts.PacketSize])
	}
	if p(0).PID() != 0 || p(1).PID() != testPMT || p(2).PID() != testVideo || !p(2).RandomAccess() {
		t.Errorf("%s starts with PIDs %d, %d, %d, keyframe %v", name, p(0).PID(), p(1).PID(), p(2).PID(), p(2).RandomAccess())
	}
}
