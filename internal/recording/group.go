package recording

import (
	"encoding/binary"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/mpegts"
)

// How far into a picture its stamp is looked for. Ours stands in the first
// packet; a foreign encoder may put a few hundred bytes of SEI before it.
const (
	maxHead   = 4096 // bytes of the access unit
	maxHeld   = 64   // packets, those of other PIDs in between included
	maxTables = 8    // packets of PAT and PMT before a picture
)

// group is packets that belong together: the first packets of a picture with
// the tables directly before them, or anything else, packet by packet.
type group struct {
	packets []byte // whole ones; valid until the handler returns
	errors  int    // continuity errors found in them

	picture bool // one starts here
	tables  int  // packets of PAT and PMT before it
	key     bool
	pts     int64 // 33 bits; -1 when the PES header has none
	stamped bool
	stamp   h264.Stamp

	whole bool // the newest picture ends in these packets or before them
}

// start is the packet that the picture starts with.
func (g *group) start() []byte {
	at := g.tables * mpegts.PacketSize
	return g.packets[at : at+mpegts.PacketSize]
}

// grouper finds pictures, tables and continuity errors in a stream of packets.
type grouper struct {
	handle func(*group)

	pat, pmt []byte // the newest of each, a packet; nil before the first
	pmtPID   uint16
	videoPID uint16
	counters map[uint16]counter

	held group  // being collected
	head []byte // of the held picture's access unit
	unit unit   // the newest picture
}

// unit is how much of a picture's access unit has come.
type unit struct {
	want, got int  // bytes of its PES packet; want is 0 where that does not say
	stamped   bool // it is one of our own programs' (internal/program)
	ended     bool // its sender has marked its end
}

// whole says whether all of it is there. A unit without a length is one of more
// than 64 KB, whose end our muxer marks; nothing tells where one of a foreign
// muxer ends, so that it counts from its start on, as a player shows it.
func (u unit) whole() bool {
	return u.ended || u.want > 0 && u.got >= u.want || u.want == 0 && !u.stamped
}

type counter struct {
	last      byte
	duplicate bool // the last packet was sent twice, which is allowed once
}

func newGrouper(handle func(*group)) *grouper {
	g := &grouper{handle: handle}
	g.reset()
	return g
}

// reset forgets where the stream was, but not its tables.
func (g *grouper) reset() {
	g.counters = make(map[uint16]counter)
	g.held = group{packets: g.held.packets[:0]}
	g.head = g.head[:0]
	g.unit = unit{}
}

// packet takes the next packet.
func (g *grouper) packet(p mpegts.Packet) {
	errors := g.check(p)
	pid := p.PID()
	starts := pid == g.videoPID && g.videoPID != 0 && p.PayloadStart()
	table := pid == mpegts.PIDPAT || pid == g.pmtPID && g.pmtPID != 0
	if g.held.picture {
		if !starts && !table {
			g.hold(p, errors)
			g.more(p)
			return
		}
		g.flush() // without a stamp
	}
	switch {
	case table:
		g.table(p, errors)
	case starts:
		g.open(p, errors)
	default:
		g.flush()
		g.hold(p, errors)
		g.flush()
	}
}

func (g *grouper) hold(p mpegts.Packet, errors int) {
	g.held.packets = append(g.held.packets, p...)
	g.held.errors += errors
	if p.PID() == g.videoPID {
		g.unit.got += len(p.Payload())
		g.unit.ended = g.unit.ended || p.UnitEnd()
	}
}

// flush hands over what is held.
func (g *grouper) flush() {
	if len(g.held.packets) > 0 {
		g.held.whole = g.unit.whole()
		g.handle(&g.held)
	}
	g.held = group{packets: g.held.packets[:0]}
	g.head = g.head[:0]
}

// table keeps a packet of PAT or PMT, and holds it back: a keyframe behind it
// takes it along into a new file.
func (g *grouper) table(p mpegts.Packet, errors int) {
	pat := p.PID() == mpegts.PIDPAT
	if pat && len(g.held.packets) > 0 || g.held.tables >= maxTables {
		g.flush()
	}
	if section := section(p); section != nil {
		if pat {
			g.readPAT(section, p)
		} else {
			g.readPMT(section, p)
		}
	}
	g.hold(p, errors)
	g.held.tables++
}

// section is the table section that starts in a packet, from its table_id on
// (ISO/IEC 13818-1 2.4.4), or nil. Sections of several packets, which no
// stream with two tracks needs, are not put together.
func section(p mpegts.Packet) []byte {
	b := p.Payload()
	if !p.PayloadStart() || len(b) < 1 || len(b) < 1+int(b[0])+3 {
		return nil
	}
	b = b[1+int(b[0]):]
	size := 3 + int(binary.BigEndian.Uint16(b[1:])&0xfff)
	if size < 12 || size > len(b) {
		return nil
	}
	return b[:size-4] // without the CRC
}

// readPAT takes the first program (2.4.4.3): table_id 8, length 16, stream id
// 16, version 8, section 8, last section 8, then program_number 16, PID 16.
func (g *grouper) readPAT(s, p []byte) {
	if s[0] != 0x00 {
		return
	}
	for e := s[8:]; len(e) >= 4; e = e[4:] {
		if binary.BigEndian.Uint16(e) != 0 {
			g.pmtPID = binary.BigEndian.Uint16(e[2:]) & 0x1fff
			g.pat = append(g.pat[:0], p...)
			return
		}
	}
}

// readPMT finds the H.264 stream (2.4.4.8): 8 bytes as in the PAT, PCR PID 16,
// program_info_length 16, then stream_type 8, PID 16, ES_info_length 16.
func (g *grouper) readPMT(s, p []byte) {
	const h264Video = 0x1b // table 2-34
	if s[0] != 0x02 {
		return
	}
	at := 12 + int(binary.BigEndian.Uint16(s[10:])&0xfff)
	for at+5 <= len(s) {
		if s[at] == h264Video {
			g.videoPID = binary.BigEndian.Uint16(s[at+1:]) & 0x1fff
			g.pmt = append(g.pmt[:0], p...)
			return
		}
		at += 5 + int(binary.BigEndian.Uint16(s[at+3:])&0xfff)
	}
}

// open starts a picture.
func (g *grouper) open(p mpegts.Packet, errors int) {
	if len(g.held.packets) > 0 && g.held.tables == 0 {
		g.flush()
	}
	g.unit = unit{}
	g.hold(p, errors)
	g.held.picture = true
	g.held.pts = -1
	g.held.key = p.RandomAccess()
	g.more(p)
}

// more looks for the stamp in what has come of the held picture.
func (g *grouper) more(p mpegts.Packet) {
	if p.PID() == g.videoPID {
		payload := p.Payload()
		if p.PayloadStart() {
			payload = g.pes(payload)
		}
		g.head = append(g.head, payload...)
		g.held.stamp, g.held.stamped = h264.FindStamp(g.head)
		g.unit.stamped = g.held.stamped
		if !g.held.key {
			sps, _ := h264.ParameterSets(g.head)
			g.held.key = sps != nil
		}
	}
	if g.held.stamped || len(g.head) >= maxHead || len(g.held.packets) >= maxHeld*mpegts.PacketSize {
		g.flush()
	}
}

// pes reads length and PTS of a PES header (2.4.3.6) and returns what follows
// it.
func (g *grouper) pes(b []byte) []byte {
	if len(b) < 9 || b[0] != 0 || b[1] != 0 || b[2] != 1 || len(b) < 9+int(b[8]) {
		return nil
	}
	if n := int(binary.BigEndian.Uint16(b[4:])); n > 0 {
		g.unit.want = 6 + n // which it counts from
	}
	if b[7]&0x80 != 0 && b[8] >= 5 {
		t := b[9:]
		g.held.pts = int64(t[0]>>1&7)<<30 | int64(t[1])<<22 | int64(t[2]>>1)<<15 | int64(t[3])<<7 | int64(t[4]>>1)
	}
	return b[9+int(b[8]):]
}

// check counts a packet's continuity error, 0 or 1 (2.4.3.3).
func (g *grouper) check(p mpegts.Packet) int {
	if p.IsStuffing() || !p.HasPayload() {
		return 0
	}
	pid, now := p.PID(), p.Counter()
	was, known := g.counters[pid]
	next := counter{last: now, duplicate: known && was.last == now}
	g.counters[pid] = next
	switch {
	case !known, p.Discontinuity(), now == (was.last+1)&15:
		return 0
	case next.duplicate && !was.duplicate:
		return 0
	}
	return 1
}
