package mpegts

import "bytes"

// syncRun is how many packets in a row must start with a sync byte before a
// stream that lost sync is believed again.
const syncRun = 3

// Scanner cuts a byte stream into packets. Its input may come in any chunks;
// it is taken to start at a packet, and searched for packets wherever it
// doesn't. The zero value is ready. What it delivers does not depend on how
// the input was cut.
type Scanner struct {
	Packets    uint64 // delivered
	Skipped    uint64 // bytes of garbage thrown away
	SyncLosses uint64 // times that a packet did not start where it should

	buf       []byte // what was not enough, less than syncRun packets
	searching bool
}

// Scan takes p and calls fn with each whole packet in it. The packet is valid
// until fn returns.
func (s *Scanner) Scan(p []byte, fn func(Packet)) {
	if len(s.buf) > 0 {
		if !s.searching && s.buf[0] == syncByte {
			// Only the packet that was cut is copied.
			n := min(PacketSize-len(s.buf), len(p))
			s.buf, p = append(s.buf, p[:n]...), p[n:]
			if len(s.buf) < PacketSize {
				return
			}
			s.deliver(s.buf, fn)
			s.buf = s.buf[:0]
		} else {
			p = append(s.buf, p...)
			s.buf = nil // p is its buffer now
		}
	}
	p = s.packets(p, fn)
	s.buf = append(s.buf[:0], p...)
}

// packets delivers the packets of p and returns what is too short to judge.
func (s *Scanner) packets(p []byte, fn func(Packet)) []byte {
	for {
		if s.searching {
			i, found := findSync(p)
			s.Skipped += uint64(i)
			p = p[i:]
			if !found {
				return p
			}
			s.searching = false
		}
		for len(p) >= PacketSize && p[0] == syncByte {
			s.deliver(p[:PacketSize:PacketSize], fn)
			p = p[PacketSize:]
		}
		if len(p) == 0 || p[0] == syncByte {
			return p
		}
		s.searching = true
		s.SyncLosses++
	}
}

func (s *Scanner) deliver(p []byte, fn func(Packet)) {
	s.Packets++
	fn(Packet(p))
}

// findSync is the index of the first byte that may start syncRun packets in a
// row, and whether all of them have been seen.
func findSync(p []byte) (int, bool) {
	for i := 0; i < len(p); i++ {
		n := bytes.IndexByte(p[i:], syncByte)
		if n < 0 {
			break
		}
		i += n
		seen := 1
		for ; seen < syncRun; seen++ {
			next := i + seen*PacketSize
			if next >= len(p) {
				return i, false
			}
			if p[next] != syncByte {
				break
			}
		}
		if seen == syncRun {
			return i, true
		}
	}
	return len(p), false
}
