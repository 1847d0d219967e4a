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
	r.sent += step
	if p.PayloadStart() {
		r.packets = 0
	}
	r.packets++
	if r.mute || r.packets > maxPES {
		return dst
	}
	at := len(dst)
	dst = append(dst, p...)
	q := dst[at:]
	q[1] = q[1]&0xe0 | byte(r.to>>8)
	q[2] = byte(r.to)
	q[3] = q[3]&^counterMask | r.sent&counterMask
	return dst
}
