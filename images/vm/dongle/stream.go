package dongle

import (
	"log/slog"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/media"
)

// next waits for the guest to want data; ok is false once the stream is over.
func (k *Stick) next(s *stream) (t transfer, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for s.Err() == nil && len(k.waiting) == 0 {
		k.changed.Wait()
	}
	if s.Err() != nil {
		return t, false
	}
	t = k.waiting[0]
	k.waiting = k.waiting[1:]
	return t, true
}

// showVideo sends frames of UTC's grid until the stream is over. A frame for
// which there is no time is left out, as by a stick without memory.
func (k *Stick) showVideo(s *stream, r *redir, m Mode) {
	began := k.clock.Now()
	v := video{stick: k, stream: s, link: r, began: began, flags: 0x80}
	for n := media.FrameAt(began, m.Rate); ; {
		n++
		if late := media.FrameAt(k.clock.Now(), m.Rate) - n; late > 0 {
			k.count(func(st *Status) { st.Late += uint64(late) })
			n += late
		}
		if clock.Wait(s, k.clock, media.FrameTime(n, m.Rate)) != nil || !v.show(m, n) {
			return
		}
	}
}

func (k *Stick) count(f func(*Status)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(&k.status)
}

// video is a running stream of pictures.
type video struct {
	stick  *Stick
	stream *stream
	link   *redir
	began  int64
	flags  int
	last   []byte // the frame shown last, for freezing
}

// show sends frame n with the fault that strikes it; false once it is over.
func (v *video) show(m Mode, n int64) bool {
	k := v.stick
	k.mu.Lock()
	state := k.faults
	unread := len(k.waiting) == 0
	if unread && !state.stopped {
		k.status.Unread++
	}
	fault := k.faults.nextFrame(unread || state.stopped)
	k.mu.Unlock()
	switch {
	case unread, state.stopped:
		return v.stream.Err() == nil
	case fault == "stall":
		t, ok := k.next(v.stream)
		if ok {
			k.answer(v.link, t, stall, nil)
		}
		return ok
	case !state.frozen || v.last == nil:
		frame, err := k.source.Frame(m, n, !state.noSignal)
		if err != nil {
			slog.Error("dongle: no picture", "mode", m, "err", err)
			return false
		}
		v.last = frame
	}
	if !v.send(fault.apply(v.last), fault == "flag") {
		return false
	}
	k.count(func(st *Status) { st.Frames++ })
	return true
}

// send cuts a frame into payloads with headers (UVC 1.1, 2.4.3.3).
func (v *video) send(frame []byte, bad bool) bool {
	const frameBit, end, clocks, fault, head = 1, 2, 0x0c, 0x40, 12
	v.flags ^= frameBit
	since := v.stick.clock.Now() - v.began
	stamp := u32(uint64(since) * (deviceClock / 1e6) / 1e3)
	for len(frame) > 0 {
		t, ok := v.stick.next(v.stream)
		if !ok {
			return false
		}
		part := frame[:min(len(frame), max(1, min(t.length, videoPayload)-head))]
		frame = frame[len(part):]
		flags := v.flags | clocks
		if len(frame) == 0 {
			flags |= end
		}
		if bad {
			flags |= fault
		}
		v.stick.answer(v.link, t, success, pack(head, flags, stamp, stamp, u16(since/1e6)&0x7ff, part))
	}
	return true
}

const (
	// wake is how often sound is sent: packets of a millisecond, four at a time.
	wake = 4 * time.Millisecond
	// mostLate is how much sound a late program still sends; QEMU has no room
	// for more at once.
	mostLate = 100 * time.Millisecond
)

// playSound sends a packet for each millisecond that has passed.
func (k *Stick) playSound(s *stream, r *redir, rate int) {
	began := k.clock.Now()
	first := media.FrameAt(began, rate)
	pcm := make([]int16, audioChannels*(rate/1000+1))
	var sent, packets int64
	for id := uint64(0); ; {
		if clock.Wait(s, k.clock, began+packets*1e6+int64(wake)) != nil {
			return
		}
		due := (k.clock.Now() - began) / 1e6
		if lost := due - packets - int64(mostLate/time.Millisecond); lost > 0 {
			packets += lost
			skipped := packets*int64(rate)/1000 - sent
			sent += skipped
			k.count(func(st *Status) { st.SamplesLost += uint64(skipped) })
		}
		for ; packets < due; packets++ {
			upto := (packets + 1) * int64(rate) / 1000
			block := pcm[:audioChannels*(upto-sent)]
			if k.sample(block, first+sent) {
				r.send(isoPacket, id, audioEndpoint, success, u16(2*len(block)), samplesLE(block))
				id++
				k.count(func(st *Status) { st.Samples += uint64(len(block) / audioChannels) })
			}
			sent = upto
		}
	}
}

// sample fills a block; false when none is to be sent.
func (k *Stick) sample(block []int16, from int64) bool {
	k.mu.Lock()
	state := k.faults
	k.mu.Unlock()
	if state.silent {
		return false
	}
	if state.noSignal {
		clear(block)
	} else {
		k.source.Samples(block, from)
	}
	return true
}

func samplesLE(s []int16) []byte {
	b := make([]byte, 0, 2*len(s))
	for _, v := range s {
		b = le.AppendUint16(b, uint16(v))
	}
	return b
}
