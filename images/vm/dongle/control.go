package dongle

import "log/slog"

// Requests of USB Video Class 1.1, A.8, and of USB Audio Class 1.0.
const (
	setCur, getCur, getMin, getMax, getLen, getInfo, getDef = 0x01, 0x81, 0x82, 0x83, 0x85, 0x86, 0x87

	probeControl, commitControl = 1, 2
	rateControl                 = 1
	probeBytes                  = 34 // of UVC 1.1
)

// offer is the probe control's value for one mode; nil if there is no such mode.
func (k *Stick) offer(format, size, interval int) []byte {
	m, ok := k.profile.mode(format, size, interval)
	if !ok {
		return nil
	}
	return pack(u16(1), format, size, u32(intervalOf(m.Rate)), make([]byte, 10),
		u32(m.frameBytes()), u32(videoPayload), u32(deviceClock), 3, 0, 0, 0)
}

// control answers a request on endpoint 0; what the stick doesn't know, it
// stalls, as USB wants.
func (k *Stick) control(r *redir, p packet) {
	request, kind := p.body[1], p.body[2]
	value, index, length := le.Uint16(p.body[4:]), le.Uint16(p.body[6:]), int(le.Uint16(p.body[8:]))
	data, ok := k.request(r, kind, request, value, index, p.body[10:])
	status := success
	if !ok {
		status = stall
		slog.Debug("dongle: stall", "kind", kind, "request", request, "value", value, "index", index)
	}
	if kind&0x80 != 0 {
		data = data[:min(len(data), length)]
		length = len(data)
	}
	r.send(controlPacket, p.id, int(p.body[0]), int(request), int(kind), status, u16(value), u16(index), u16(length), data)
}

func (k *Stick) request(r *redir, kind, request byte, value, index uint16, in []byte) (out []byte, ok bool) {
	const getStatus, clearFeature, getDescriptor = 0, 1, 6
	switch {
	case kind == 0x80 && request == getDescriptor:
		return k.descriptor(value)
	case k.profile.Status && kind&0x1f == 1 && index == k.profile.hidInterface():
		return k.hid(kind, request, value, in)
	case kind&0xe0 == 0x80 && request == getStatus:
		return []byte{0, 0}, true
	case kind == 0x02 && request == clearFeature:
		if index == videoEndpoint { // how uvcvideo stops a bulk stream
			k.stopVideo()
		}
		return nil, true
	case index == videoStream && (value>>8 == probeControl || value>>8 == commitControl):
		return k.negotiate(r, kind, request, value>>8 == commitControl, in)
	case index == audioEndpoint && value>>8 == rateControl:
		return k.soundRate(kind, request, in)
	}
	return nil, false
}

func (k *Stick) descriptor(value uint16) ([]byte, bool) {
	switch value >> 8 {
	case kindDevice:
		return k.profile.device(), true
	case kindConfig:
		return k.profile.config(), true
	case kindString:
		return k.profile.text(int(value & 0xff)), true
	case kindQualifier:
		return k.profile.qualifier(), true
	}
	return nil, false
}

func (k *Stick) soundRate(kind, request byte, in []byte) ([]byte, bool) {
	switch {
	case kind == 0xa2:
		return pack(u24(k.rate)), true
	case kind == 0x22 && request == setCur && len(in) >= 3:
		k.rate = int(in[0]) | int(in[1])<<8 | int(in[2])<<16
		return nil, true
	}
	return nil, false
}

// negotiate is the dance of probe and commit (UVC 1.1, 4.3.1.1): the host
// proposes, the stick answers with the nearest it can, commit starts it.
func (k *Stick) negotiate(r *redir, kind, request byte, commit bool, in []byte) (out []byte, ok bool) {
	switch {
	case kind == 0x21 && request == setCur && len(in) >= 8:
		return nil, k.propose(r, commit, int(in[2]), int(in[3]), int(le.Uint32(in[4:])))
	case kind != 0xa1:
		return nil, false
	}
	switch request {
	case getCur:
		if commit && k.agreed != nil {
			return k.agreed, true
		}
		return k.probe, true
	case getMin, getMax, getDef:
		return k.offer(int(k.probe[2]), int(k.probe[3]), 0), true
	case getLen:
		return pack(u16(probeBytes)), true
	case getInfo:
		return []byte{3}, true
	}
	return nil, false
}

func (k *Stick) propose(r *redir, commit bool, format, size, interval int) bool {
	offer := k.offer(format, size, interval)
	if offer == nil {
		return false
	}
	k.probe = offer
	if commit {
		k.agreed = offer
		m, _ := k.profile.mode(format, size, interval)
		k.mode = m
		k.stopVideo()
		k.video = k.start(func(s *stream) { k.showVideo(s, r, m) })
	}
	return true
}
