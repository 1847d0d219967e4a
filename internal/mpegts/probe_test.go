package mpegts

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
)

// probe gives the report of a stream.
func probe(ts []byte) Report {
	p := NewProbe()
	for b := range slices.Chunk(ts, 1316) {
		_, _ = p.Write(b)
	}
	return p.Report()
}

// packetsOf copies a stream into packets.
func packetsOf(ts []byte) (ps []Packet) {
	for b := range slices.Chunk(bytes.Clone(ts), PacketSize) {
		ps = append(ps, Packet(b))
	}
	return ps
}

func join(ps []Packet) []byte {
	var b []byte
	for _, p := range ps {
		b = append(b, p...)
	}
	return b
}

// renumber gives the packets of every PID counters without gaps.
func renumber(ps []Packet) []Packet {
	counters := map[uint16]byte{}
	for _, p := range ps {
		if p.HasPayload() {
			counters[p.PID()]++
		}
		p[3] = p[3]&^counterMask | counters[p.PID()]&counterMask
	}
	return ps
}

// without leaves out the packets that match, and renumbers the others.
func without(ps []Packet, match func(i int, p Packet) bool) []byte {
	var out []Packet
	for i, p := range ps {
		if !match(i, p) {
			out = append(out, p)
		}
	}
	return join(renumber(out))
}

// shift moves the PTS of the PES packets of a PID from the n-th on. Later
// ones are moved too if all is set.
func shift(ps []Packet, pid uint16, n int, ticks int64, all bool) {
	for _, p := range ps {
		if p.PID() != pid || !p.PayloadStart() {
			continue
		}
		if n--; n > 0 || n < 0 && !all {
			continue
		}
		b := p.Payload()[9:]
		appendTimestamp(b[:0], b[0]>>4, parseTimestamp(b)+ticks)
	}
}

// shiftPCR moves the PCRs from packet i on.
func shiftPCR(ps []Packet, d int64) {
	for _, p := range ps {
		if v, ok := p.PCR(); ok {
			v = ((v+d)%pcrModulus + pcrModulus) % pcrModulus
			appendAdaptation(p[4:4], p.Discontinuity(), fields{key: p.RandomAccess(), pcr: v}, 8)
		}
	}
}

// restamped is a stream whose frame numbers come from number.
func restamped(t *testing.T, number func(i int, s *h264.Stamp)) []byte {
	var b bytes.Buffer
	us := units(start, 3000, 25)
	i := 0
	for k := range us {
		if us[k].Track == media.Video {
			s, _ := h264.FindStamp(us[k].Data)
			number(i, &s)
			us[k].Data = h264.InsertStamp(nil, us[k].Data, s)
			i++
		}
	}
	mux(t, NewMuxer(&b, Options{}), us)
	return b.Bytes()
}

func TestProbeFindsEachFault(t *testing.T) {
	ts := cleanStream(t, 3000, 25)
	const s = media.TicksPerSecond
	middle := func(ps []Packet, pid uint16, startOfUnit bool) int { // of the stream
		for i := len(ps) / 2; ; i++ {
			if p := ps[i]; p.PID() == pid && p.PayloadStart() == startOfUnit && p.HasPayload() &&
				(startOfUnit || !ps[i+1].PayloadStart() && len(p.adaptation()) == 0) {
				return i
			}
		}
	}
	for name, c := range map[string]struct {
		make  func(ps []Packet) []byte
		fault string
	}{
		"nothing": {join, ""},
		"garbage between packets": {func(ps []Packet) []byte {
			return append(append(join(ps[:1000]), bytes.Repeat([]byte{0, 0x47}, 50)...), join(ps[1000:])...)
		}, "sync losses: 1 with 100 bytes"},
		"a sync byte gone": {func(ps []Packet) []byte {
			i := middle(ps, PIDPMT, true)
			gone := ps[i]
			gone[0] = 0x46
			return join(slices.Insert(renumber(slices.Delete(ps, i, i+1)), i, gone))
		}, "sync losses: 1 with 188 bytes"},
		"transport error": {func(ps []Packet) []byte {
			p := bytes.Clone(ps[1000])
			p[1] |= 0x80
			return join(slices.Insert(ps, 1000, Packet(p)))
		}, "transport errors: 1"},
		"a video packet lost": {func(ps []Packet) []byte {
			i := middle(ps, PIDVideo, false)
			return join(slices.Delete(ps, i, i+1))
		}, "continuity errors: 1"},
		"an audio packet lost": {func(ps []Packet) []byte {
			i := middle(ps, PIDAudio, false)
			return join(slices.Delete(ps, i, i+1))
		}, "continuity errors: 1"},
		"two packets swapped": {func(ps []Packet) []byte {
			i := middle(ps, PIDVideo, false)
			for ps[i+1].PID() != PIDVideo || len(ps[i+1].adaptation()) > 0 {
				i++
			}
			ps[i], ps[i+1] = ps[i+1], ps[i]
			return join(ps)
		}, "continuity errors: 3"},
		"a packet three times": {func(ps []Packet) []byte {
			return join(slices.Insert(ps, 1000, ps[1000], ps[1000]))
		}, "continuity errors: 1"},
		"a packet twice, which is allowed": {func(ps []Packet) []byte {
			return join(slices.Insert(ps, 1000, ps[1000]))
		}, ""},
		"a counter on a packet without payload": {func(ps []Packet) []byte {
			i := middle(ps, PIDVideo, true)
			st := stream{pid: PIDVideo, counter: ps[i].Counter() + 1}
			p := st.appendHeader(nil, false, fields{pcr: noPCR}, 0)
			return join(slices.Insert(ps, i, Packet(p)))
		}, "continuity errors:"},
		"no PAT": {func(ps []Packet) []byte {
			return without(ps, func(_ int, p Packet) bool { return p.PID() == PIDPAT })
		}, "no PAT"},
		"no PMT": {func(ps []Packet) []byte {
			return without(ps, func(_ int, p Packet) bool { return p.PID() == PIDPMT })
		}, "no PMT"},
		"PAT missing for a while": {func(ps []Packet) []byte {
			return without(ps, func(i int, p Packet) bool { return p.PID() == PIDPAT && i > 1000 && i < 1300 })
		}, "PAT interval"},
		"PMT missing for a while": {func(ps []Packet) []byte {
			return without(ps, func(i int, p Packet) bool { return p.PID() == PIDPMT && i > 1000 && i < 1300 })
		}, "PMT interval"},
		"PAT gone for good": {func(ps []Packet) []byte {
			return without(ps, func(i int, p Packet) bool { return p.PID() == PIDPAT && i > 1000 })
		}, "PAT interval"},
		"PAT broken": {func(ps []Packet) []byte {
			ps[middle(ps, PIDPAT, true)][14] ^= 1
			return join(ps)
		}, "CRC errors in PAT or PMT: 1"},
		"PCR missing in a frame": {func(ps []Packet) []byte {
			dropPCR(ps[middle(ps, PIDVideo, true)])
			return join(ps)
		}, "PCR interval: 80.0 ms, limit 40 ms"},
		"PCR gone for good": {func(ps []Packet) []byte {
			for _, p := range ps[1000:] {
				dropPCR(p)
			}
			return join(ps)
		}, "PCR interval"},
		"no PCR at all": {func(ps []Packet) []byte {
			for _, p := range ps {
				dropPCR(p)
			}
			return join(ps)
		}, "no PCR"},
		"PCR jumps forward": {func(ps []Packet) []byte {
			shiftPCR(ps[1000:], 10*clockHz)
			return join(ps)
		}, "PCR jumps: 1"},
		"PCR jumps back": {func(ps []Packet) []byte {
			shiftPCR(ps[1000:], -clockHz)
			return join(ps)
		}, "PCR jumps: 1"},
		"video PTS jumps forward": {func(ps []Packet) []byte {
			shift(ps, PIDVideo, 30, 10*s, true)
			return join(ps)
		}, "video PTS jumps: 1"},
		"video PTS jumps back": {func(ps []Packet) []byte {
			shift(ps, PIDVideo, 30, -s, true)
			return join(ps)
		}, "video PTS jumps: 1"},
		"one video PTS is off by a frame": {func(ps []Packet) []byte {
			shift(ps, PIDVideo, 30, s/25, false)
			return join(ps)
		}, "video PTS jumps: 2"},
		"audio PTS jumps": {func(ps []Packet) []byte {
			shift(ps, PIDAudio, 30, s/10, true)
			return join(ps)
		}, "audio PTS jumps: 1"},
		"audio frame missing": {func(ps []Packet) []byte {
			i := middle(ps, PIDAudio, true)
			inside := true
			return without(ps, func(k int, p Packet) bool {
				if p.PID() != PIDAudio || k < i || !inside {
					return false
				}
				inside = k == i || !p.PayloadStart()
				return inside
			})
		}, "audio PTS jumps: 1"},
		"no video": {func(ps []Packet) []byte {
			return without(ps, func(_ int, p Packet) bool {
				if p.PID() == PIDVideo && p.HasPayload() {
					keepPCR(p)
				}
				return p.PID() == PIDVideo && len(p.adaptation()) < 7
			})
		}, "no H.264 access unit"},
		"frame number missing": {func([]Packet) []byte {
			return restamped(t, func(i int, s *h264.Stamp) {
				if i >= 30 {
					s.Frame += 3
				}
			})
		}, "missing frames: 3"},
		"frame number doubled": {func([]Packet) []byte {
			return restamped(t, func(i int, s *h264.Stamp) {
				if i >= 30 {
					s.Frame--
				}
			})
		}, "duplicate frames: 1"},
		"frame number backward": {func([]Packet) []byte {
			return restamped(t, func(i int, s *h264.Stamp) {
				if i >= 30 {
					s.Frame -= 5
				}
			})
		}, "backward frames: 1"},
		"frame number of a new epoch, which is allowed": {func([]Packet) []byte {
			return restamped(t, func(i int, s *h264.Stamp) {
				if i >= 30 {
					s.Frame -= 500
					s.Epoch++
				}
			})
		}, ""},
		"no IDR": {func([]Packet) []byte { return withoutIDR(t, 0) }, "no IDR picture in 75 frames"},
		"an IDR missing": {func([]Packet) []byte {
			return withoutIDR(t, 30)
		}, "IDR interval: 1960.0 ms, limit 1000 ms"},
		"nothing but noise": {func([]Packet) []byte { return bytes.Repeat([]byte{1, 2, 3}, 1000) }, "sync losses"},
	} {
		t.Run(name, func(t *testing.T) {
			faults := probe(c.make(packetsOf(ts))).Faults()
			if name == "nothing but noise" && len(faults) == 2 {
				faults = faults[1:] // that there is no packet is said too
			}
			switch {
			case c.fault == "" && len(faults) > 0:
				t.Errorf("found %q in a clean stream", faults)
			case c.fault != "" && (len(faults) != 1 || !strings.HasPrefix(faults[0], c.fault)):
				t.Errorf("found %q, want %q only", faults, c.fault)
			}
		})
	}
}

// dropPCR makes the PCR of a packet stuffing.
func dropPCR(p Packet) {
	if _, ok := p.PCR(); ok {
		p[5] &^= 0x10
		copy(p[6:12], bytes.Repeat([]byte{0xff}, 6))
	}
}

// keepPCR makes a packet with a PCR one without payload.
func keepPCR(p Packet) {
	if v, ok := p.PCR(); ok {
		st := stream{pid: PIDVideo}
		copy(p, st.appendHeader(nil, false, fields{pcr: v}, 0))
	}
}

// withoutIDR is a stream whose slices from frame n on are not of IDR pictures.
func withoutIDR(t *testing.T, n int) []byte {
	us := units(start, 3000, 25)
	for i := range us {
		if us[i].Track != media.Video {
			continue
		}
		if n--; n < 0 && us[i].Key {
			us[i].Data = bytes.Replace(us[i].Data, []byte{0, 0, 0, 1, 0x65}, []byte{0, 0, 0, 1, 0x41}, 1)
		}
	}
	var b bytes.Buffer
	mux(t, NewMuxer(&b, Options{}), us)
	return b.Bytes()
}
