package mpegts

// route is where the packets of one incoming PID go.
type route struct {
	active  bool
	mute    bool   // the stream isn't one that can be passed on
	pid     uint16 // incoming
	to      uint16 // outgoing
	fresh   bool   // the next packet follows whatever came before
	counter byte   // incoming, of the last packet
	sent    byte   // outgoing, of the last packet
	packets int    // since a PES packet started; 0 outside of one
	endless bool   // that doesn't say how long it is
}

// take connects the route to a PID, or to none.
func (r *route) take(pid uint16, ok bool) {
	if ok == r.active && pid == r.pid {
		return
	}
	r.active, r.pid, r.fresh, r.mute = ok, pid, true, false
}

// spoil makes the access unit in progress one that the reader throws away,
// by a jump of the counter.
func (r *route) spoil() { r.sent++ }

// forward appends the packet to dst under the outgoing PID and counter.
func (r *route) forward(dst []byte, p Packet) []byte {
	step := (p.Counter() - r.counter) & counterMask
	if r.fresh || p.Discontinuity() {
		r.fresh, step = false, 1
	}
	if step == 0 {
		return dst // a duplicate (2.4.3.3)
	}
	r.counter = p.Counter()
	r.sent += step - 1 // packets that were lost are missing behind, too
	if p.PayloadStart() {
		dst = r.end(dst)
		h, ok := parsePES(p.Payload())
		r.packets, r.endless = 0, ok && h.length == 0
	}
	r.sent++
	r.packets++
	if r.mute || r.packets > maxPES {
		return dst
	}
	at := len(dst)
	dst = append(dst, p...)
	r.label(dst[at:])
	if p.UnitEnd() {
		dst = r.end(dst)
	}
	return dst
}

// label gives a packet the outgoing PID and counter.
func (r *route) label(p []byte) {
	p[1] = p[1]&0xe0 | byte(r.to>>8)
	p[2] = byte(r.to)
	p[3] = p[3]&^counterMask | r.sent&counterMask
}

// end ends a PES packet that doesn't say how long it is. astits takes it for
// complete when the next one begins, and (in v1.16.0, packet_pool.go) loses it
// when that is complete within its first packet: so one is begun here that
// isn't, of which nothing comes out.
func (r *route) end(dst []byte) []byte {
	if !r.endless || r.packets == 0 || r.mute {
		return dst
	}
	r.endless = false
	r.sent++
	at := len(dst)
	dst = append(dst, syncByte, 0x40, 0, 0x10, 0, 0, 1, streamVideo, 0xff, 0xff, 0x80, 0, 0)
	for len(dst) < at+PacketSize {
		dst = append(dst, 0xff)
	}
	r.label(dst[at:])
	return dst
}
