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

// clockOf is one of the stick's clocks as it goes now, and its time.
func (k *Stick) clockOf(o *oscillator) (oscillator, int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return *o, o.time(k.clock.Now())
}

// showVideo sends frames of the grid of the picture's clock until the stream is
// over. A frame for which there is no time is left out, as by a stick without
// memory.
func (k *Stick) showVideo(s *stream, r *redir, m Mode) {
	_, began := k.clockOf(&k.pictures)
	v := video{stick: k, stream: s, link: r, began: began, flags: 0x80}
	for n := media.FrameAt(began, m.Rate); ; {
		n++
		o, now := k.clockOf(&k.pictures)
		if late := media.FrameAt(now, m.Rate) - n; late > 0 {
			k.count(func(st *Status) { st.Late += uint64(late) })
			n += late
		}
		if clock.Wait(s, k.clock, o.utc(media.FrameTime(n, m.Rate))) != nil || !v.show(m, n) {
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
	signal := !state.noSignal && k.input.taken()
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
		frame, err := v.picture(m, n, signal)
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

// picture is the source's, or without a signal that it takes the stick's own.
func (v *video) picture(m Mode, n int64, signal bool) ([]byte, error) {
	if signal {
		return v.stick.source.Frame(m, n)
	}
	return noSignal(m)
}

// send cuts a frame into payloads with headers (UVC 1.1, 2.4.3.3).
func (v *video) send(frame []byte, bad bool) bool {
	const frameBit, end, clocks, fault, head = 1, 2, 0x0c, 0x40, 12
	v.flags ^= frameBit
	stamp, milliseconds := v.stamps()
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
		v.stick.answer(v.link, t, success, pack(head, flags, stamp, stamp, milliseconds, part))
		if len(frame) > 0 && !v.pause() {
			return false
		}
	}
	return true
}

// stamps are the time stamps of a frame that begins now: in ticks of the device's
// clock, for presentation and as reference alike, and in milliseconds of the bus.
func (v *video) stamps() (ticks u32, milliseconds u16) {
	_, now := v.stick.clockOf(&v.stick.pictures)
	since := now - v.began
	v.stick.mu.Lock()
	defer v.stick.mu.Unlock()
	t := v.stick.faults.stamps.apply(uint32(uint64(since) * (deviceClock / 1e6) / 1e3))
	return u32(t), u16(since/1e6) & 0x7ff
}

// pause waits if it was told to; false once the stream is over.
func (v *video) pause() bool {
	k := v.stick
	k.mu.Lock()
	d := k.faults.pause
	k.faults.pause = 0
	k.mu.Unlock()
	return d == 0 || clock.Wait(v.stream, k.clock, k.clock.Now()+int64(d)) == nil
}

const (
	// wake is how often sound is sent: packets of a millisecond, four at a time.
	wake = 4 * time.Millisecond
	// mostLate is how much sound a late program still sends: as much as QEMU's
	// buffer has lost meanwhile. More would stay in it as a delay.
	mostLate = buffered*time.Millisecond + wake
)

// playSound sends a packet for each millisecond of the bus, which is UTC's, with
// as many samples as the sound's own clock has made in it.
func (k *Stick) playSound(s *stream, r *redir, rate int) {
	began := k.clock.Now()
	_, now := k.clockOf(&k.sounds)
	sent := media.FrameAt(now, rate)
	most := int64(rate/1000 + 1) // a packet has room for no more
	pcm := make([]int16, audioChannels*most)
	packets := int64(0)
	for id := uint64(0); ; {
		if clock.Wait(s, k.clock, began+packets*1e6+int64(wake)) != nil {
			return
		}
		due := (k.clock.Now() - began) / 1e6
		o, _ := k.clockOf(&k.sounds)
		if lost := due - packets - int64(mostLate/time.Millisecond); lost > 0 {
			packets += lost
			upto := media.FrameAt(o.time(began+packets*1e6), rate)
			k.count(func(st *Status) { st.SamplesLost += uint64(max(0, upto-sent)) })
			sent = max(sent, upto)
		}
		for ; packets < due; packets++ {
			upto := media.FrameAt(o.time(began+(packets+1)*1e6), rate)
			block := pcm[:audioChannels*min(most, max(0, upto-sent))]
			if k.sample(block, sent) {
				r.send(isoPacket, id, audioEndpoint, success, u16(2*len(block)), samplesLE(block))
				id++
				k.count(func(st *Status) { st.Samples += uint64(len(block) / audioChannels) })
			}
			sent += int64(len(block) / audioChannels)
		}
	}
}

// sample fills a block; false when none is to be sent.
func (k *Stick) sample(block []int16, from int64) bool {
	k.mu.Lock()
	state := k.faults
	ahead := (k.profile.SoundEarly + bufferDelay - k.faults.late) * k.profile.AudioRate / 1000
	k.mu.Unlock()
	if state.silent {
		return false
	}
	if state.noSignal {
		clear(block)
	} else {
		k.source.Samples(block, from+int64(ahead))
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
