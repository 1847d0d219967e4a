package mpegts

import "github.com/openvideobox/videobox/internal/h264"

// headSize is how much of an access unit is looked at: delimiter, parameter
// sets, SEI, and the first slice's header.
const headSize = 8 << 10

// FirstStamp finds the stamp of the first access unit that starts in a buffer
// of transport packets.
func FirstStamp(ts []byte) (h264.Stamp, bool) {
	var (
		s    Scanner
		pid  = -1
		done bool
		head []byte
	)
	s.Scan(ts, func(p Packet) {
		switch {
		case done || p.Error() || p.Scrambled():
		case p.PayloadStart() && int(p.PID()) == pid, len(head) >= headSize:
			done = true
		case p.PayloadStart() && pid < 0:
			if h, ok := parsePES(p.Payload()); ok && h.id&0xf0 == streamVideo {
				pid = int(p.PID())
				head = append(make([]byte, 0, headSize+PacketSize), h.payload...)
			}
		case int(p.PID()) == pid:
			head = append(head, p.Payload()...)
		}
	})
	return h264.FindStamp(head)
}
